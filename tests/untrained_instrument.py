"""An instrument of small untrained nets, and a vocoder that plays what it is given."""

import torch
from torch import Tensor

from core.config import MelConfig, PriorConfig, RvqvaeConfig, TextureConfig, VocoderName
from core.generation import Instrument
from core.prior import Prior
from core.rvqvae import LinearStart, RvqVae
from core.texture import LAGS, Texture, colouring
from core.vocoder import Vocoder

MEL = MelConfig(mel_bands=4)


class Loudness(Vocoder):
    """Plays square waves at the levels of a list, then at 1/2, and keeps the mels it got."""

    name: VocoderName = "griffinlim"
    reach_frames = 0

    def __init__(self, *levels: float):
        self.levels, self.mels = list(levels), list[Tensor]()

    def wave(self, log_mel: Tensor, *_: object) -> Tensor:
        self.mels.append(log_mel)
        level = self.levels.pop(0) if self.levels else 0.5
        return level * torch.tensor([1.0, -1.0]).repeat_interleave(8).repeat(len(log_mel) * 32)


# Training sounds of 4 to 6 code frames; only the longest is bright and of label 1. Length,
# label, ranks and style of each.
EXAMPLES = torch.tensor(
    [
        [4.0, 0, 0.0, 0.5, 0.5, 0.5, 1.0, 0.0, -1.0],
        [5.0, 0, 0.1, 0.5, 0.5, 0.5, 0.0, 1.0, -0.5],
        [6.0, 1, 1.0, 0.4, 0.6, 0.8, -1.0, -1.0, 0.5],
    ]
)
# What the ranks mean: any value of a descriptor that these sounds have lies well within.
SCALES = torch.linspace(-20, 20, 33).expand(4, -1).clone()


# Noise that is white, as long as that of any sound is drawn.
KERNEL = colouring(torch.eye(LAGS + 1)[0])


def instrument(vocoder: Vocoder | None = None, codec_blocks: int = 1) -> Instrument:
    torch.manual_seed(0)
    books, mean, one = torch.randn(2, 8, 3), torch.full((4,), -5.0), torch.ones(())
    start = LinearStart(mean, one, torch.eye(8)[:, :3], books)
    codec = RvqvaeConfig(latent_dim=3, hidden=8, blocks=codec_blocks)
    scale, shape = torch.full((4,), 0.1), TextureConfig(hidden=8, blocks=1, sampling_steps=3)
    prior = Prior(books, PriorConfig(hidden=8), SCALES, EXAMPLES, labels=2)
    return Instrument(
        MEL,
        RvqVae(start, MEL, codec).eval(),
        Texture(mean, one, scale, KERNEL, MEL, codec, shape).eval(),
        prior,
        vocoder or Loudness(),
        longest_frames=6,
    )


def heard_mel() -> Tensor:
    """(7, 4) log mel of a sound to go on from: 4 code frames."""
    return 2 * torch.randn(7, 4, generator=torch.Generator().manual_seed(0)) - 5
