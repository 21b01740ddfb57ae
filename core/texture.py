"""The grain that decoding averages away, drawn anew for every sound.

Trained on L1, a decoder gives the middle of all mels that have the same codes: smoother
than any of them. What it leaves out, the residual, is drawn from the distribution of
residuals given the smooth mel, by a few steps of flow matching:

    noise ──> x ──+ velocity(x, time, smooth mel) / steps──> ... ──> residual / scale

Source: Lipman et al. 2023 (flow matching, straight paths).
"""

import torch
from torch import Tensor, nn

from core.config import MelConfig, RvqvaeConfig, TextureConfig
from core.mel import silence
from core.rvqvae import FrameNet
from core.training import step_generator

TIME_WAVES = 4
NOISE_BLOCK = 64  # code frames of noise drawn at once


class Texture(nn.Module):
    """Draws residuals for smooth log mels.

    Args:
        mean, spread: (M,) and () of the training mels, as the RVQ-VAE has them.
        scale: (M,) standard deviation of each band's residual.
    """

    mean: Tensor
    spread: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: Tensor,
        spread: Tensor,
        scale: Tensor,
        mel: MelConfig,
        codec: RvqvaeConfig,
        config: TextureConfig,
    ):
        super().__init__()
        self.mel, self.config, self.stack_frames = mel, config, codec.stack_frames
        self.width = codec.stack_frames * mel.mel_bands
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.register_buffer("scale", scale)
        inputs = 2 * self.width + 2 * TIME_WAVES + 1
        self.net = FrameNet(inputs, self.width, config.hidden, config.blocks, dropout=0.0)

    @classmethod
    def from_weights(
        cls, weights: dict[str, Tensor], mel: MelConfig, codec: RvqvaeConfig, config: TextureConfig
    ) -> "Texture":
        """The trained model whose state dict this is, in evaluation mode."""
        buffers = (weights["mean"], weights["spread"], weights["scale"])
        model = cls(*buffers, mel, codec, config)
        model.load_state_dict(weights)
        return model.eval()

    def stacked(self, frames: Tensor) -> Tensor:
        """(B, F' * S, M) -> (B, F', S * M)."""
        return frames.reshape(frames.shape[0], -1, self.width)

    def velocity(self, x: Tensor, time: Tensor, smooth: Tensor) -> Tensor:
        """Where x moves at this time.

        What is known beforehand, how far noise and residual of unit variance stand apart on
        average, is taken as it is; the net adds what hangs on the sound.

        Args:
            x: (B, F', S * M), noise at time 0 and residual / scale at time 1.
            time: (B,) in 0 to 1.
            smooth: (B, F' * S, M) the decoder's log mel.
        """
        t = time[:, None, None]
        known = (2 * t - 1) / (t.square() + (1 - t).square())
        order = torch.arange(1, TIME_WAVES + 1, device=x.device) * torch.pi
        waves = [t, (t * order).sin(), (t * order).cos()]
        when = torch.cat(waves, dim=-1).expand(-1, x.shape[1], -1)
        heard = self.stacked((smooth - self.mean) / self.spread)
        moved: Tensor = known * x + self.net(torch.cat([x, heard, when], dim=-1))
        return moved

    @torch.no_grad()
    def residual(self, smooth: Tensor, noise: Tensor) -> Tensor:
        """(B, F' * S, M) smooth log mel and (B, F', S * M) noise -> (B, F' * S, M)."""
        x, steps = noise, self.config.sampling_steps
        for number in range(steps):
            time = torch.full((len(x),), number / steps, device=x.device)
            x = x + self.velocity(x, time, smooth) / steps
        return x.reshape(smooth.shape) * self.scale

    def textured(self, smooth: Tensor, noise: Tensor) -> Tensor:
        """The log mel with grain, not below silence.

        Args:
            smooth: (F' * S, M) log mel.
            noise: (F', S * M), see seeded_noise.
        """
        grain = self.residual(smooth[None], noise[None].to(smooth.device))[0]
        return (smooth + grain).clamp_min(silence(self.mel))

    @property
    def reach_code_frames(self) -> int:
        """Code frames on each side of one on which its grain depends."""
        return self.config.sampling_steps * self.net.reach


def seeded_noise(seed: int, first: int, last: int, width: int) -> Tensor:
    """(last - first, width) normal noise for a sound's code frames from `first` to `last`."""
    blocks = [
        torch.randn(NOISE_BLOCK, width, generator=step_generator(seed, block, "texture"))
        for block in range(first // NOISE_BLOCK, -(-last // NOISE_BLOCK))
    ]
    skipped = first // NOISE_BLOCK * NOISE_BLOCK
    return torch.cat(blocks)[first - skipped : last - skipped]
