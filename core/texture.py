"""The grain that decoding averages away, drawn anew for every sound.

Trained on L1, a decoder gives the middle of all mels that have the same codes: smoother
than any of them. What it leaves out, the residual, is drawn from the distribution of
residuals given the smooth mel, by a few steps of flow matching:

    noise ──> x ──+ velocity(x, time, smooth mel) / steps──> ... ──> residual / deviation

Two things need no path. How far residuals stray is told by the smooth mel itself, a little in
a held tone and much in a hiss: that is a net of its own, and the path has the same width
everywhere. And windows overlap, so what is left out of one frame is much like what is left
out of the next: the noise goes from frame to frame as residuals do.

Source: Lipman et al. 2023 (flow matching, straight paths); Nix & Weigend 1994 (a net for the
variance, by its likelihood).
"""

import torch
from torch import Tensor, nn

from core.config import MelConfig, RvqvaeConfig, TextureConfig
from core.mel import silence
from core.rvqvae import FrameNet
from core.training import step_generator

TIME_WAVES = 4
NOISE_BLOCK = 64  # code frames of noise drawn at once
LAGS = 12  # mel frames over which residuals are taken to be alike, 0.14 s
NATS = (-3.0, 1.5)  # of a deviation, against the band's own


class Nets(nn.Module):
    """What is learnt: where x moves, and how far residuals stray."""

    def __init__(self, width: int, config: TextureConfig):
        super().__init__()
        inputs = 2 * width + 2 * TIME_WAVES + 1
        self.velocity = FrameNet(inputs, width, config.hidden, config.blocks, dropout=0.0)
        self.deviation = FrameNet(width, width, max(1, config.hidden // 2), 1, dropout=0.0)


class Texture(nn.Module):
    """Draws residuals for smooth log mels.

    Args:
        mean, spread: (M,) and () of the training mels, as the RVQ-VAE has them.
        scale: (M,) standard deviation of each band's residual in all sounds.
        kernel: (2 * LAGS + 1,) makes white noise as alike from frame to frame as residuals are.
    """

    mean: Tensor
    spread: Tensor
    scale: Tensor
    kernel: Tensor

    def __init__(
        self,
        mean: Tensor,
        spread: Tensor,
        scale: Tensor,
        kernel: Tensor,
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
        self.register_buffer("kernel", kernel)
        self.nets = Nets(self.width, config)

    @classmethod
    def from_weights(
        cls, weights: dict[str, Tensor], mel: MelConfig, codec: RvqvaeConfig, config: TextureConfig
    ) -> "Texture":
        """The trained model whose state dict this is, in evaluation mode."""
        buffers = (weights["mean"], weights["spread"], weights["scale"], weights["kernel"])
        model = cls(*buffers, mel, codec, config)
        model.load_state_dict(weights)
        return model.eval()

    def stacked(self, frames: Tensor) -> Tensor:
        """(B, F' * S, M) -> (B, F', S * M)."""
        return frames.reshape(frames.shape[0], -1, self.width)

    def heard(self, smooth: Tensor) -> Tensor:
        """(B, F' * S, M) smooth log mel -> (B, F', S * M), as the nets hear it."""
        return self.stacked((smooth - self.mean) / self.spread)

    def log_deviation(self, smooth: Tensor) -> Tensor:
        """How far residuals stray here, of what they do in their band: (B, F', S * M) nats."""
        nats: Tensor = self.nets.deviation(self.heard(smooth))
        return nats.clamp(*NATS)

    def velocity(self, x: Tensor, time: Tensor, smooth: Tensor) -> Tensor:
        """Where x moves at this time.

        What is known beforehand, how far noise and residual of unit variance stand apart on
        average, is taken as it is; the net adds what hangs on the sound.

        Args:
            x: (B, F', S * M), noise at time 0 and residual / deviation at time 1.
            time: (B,) in 0 to 1.
            smooth: (B, F' * S, M) the decoder's log mel.
        """
        t = time[:, None, None]
        known = (2 * t - 1) / (t.square() + (1 - t).square())
        order = torch.arange(1, TIME_WAVES + 1, device=x.device) * torch.pi
        waves = [t, (t * order).sin(), (t * order).cos()]
        when = torch.cat(waves, dim=-1).expand(-1, x.shape[1], -1)
        moved: Tensor = known * x + self.nets.velocity(
            torch.cat([x, self.heard(smooth), when], dim=-1)
        )
        return moved

    @torch.no_grad()
    def residual(self, smooth: Tensor, noise: Tensor) -> Tensor:
        """(B, F' * S, M) smooth log mel and (B, F', S * M) noise -> (B, F' * S, M)."""
        x, steps = noise, self.config.sampling_steps
        for number in range(steps):
            time = torch.full((len(x),), number / steps, device=x.device)
            x = x + self.velocity(x, time, smooth) / steps
        strayed = x * self.log_deviation(smooth).exp()
        return strayed.reshape(smooth.shape) * self.scale

    def textured(self, smooth: Tensor, noise: Tensor) -> Tensor:
        """The log mel with grain, not below silence.

        Args:
            smooth: (F' * S, M) log mel.
            noise: (F', S * M), see `noise`.
        """
        grain = self.residual(smooth[None], noise[None])[0]
        return (smooth + grain).clamp_min(silence(self.mel))

    @property
    def white_code_frames(self) -> int:
        """Code frames by which white noise is longer than what it becomes."""
        return -(-2 * LAGS // self.stack_frames)

    def coloured(self, white: Tensor) -> Tensor:
        """(B, F' + white_code_frames, S * M) white noise -> (B, F', S * M) to begin from."""
        frames = white.view(len(white), -1, self.mel.mel_bands)
        alike = frames.unfold(1, 2 * LAGS + 1, 1) @ self.kernel
        wanted = (white.shape[1] - self.white_code_frames) * self.stack_frames
        return self.stacked(alike[:, :wanted])

    def noise(self, seed: int, first: int, last: int) -> Tensor:
        """(last - first, S * M) noise for a sound's code frames from `first` to `last`."""
        white = white_noise(seed, first, last + self.white_code_frames, self.width)
        return self.coloured(white[None].to(self.kernel.device))[0]

    @property
    def reach_code_frames(self) -> int:
        """Code frames on each side of one on which its grain depends."""
        nets = self.nets
        return max(self.config.sampling_steps * nets.velocity.reach, nets.deviation.reach)


def white_noise(seed: int, first: int, last: int, width: int) -> Tensor:
    """(last - first, width) normal noise: the rows from `first` to `last` of an endless one."""
    blocks = [
        torch.randn(NOISE_BLOCK, width, generator=step_generator(seed, block, "texture"))
        for block in range(first // NOISE_BLOCK, -(-last // NOISE_BLOCK))
    ]
    skipped = first // NOISE_BLOCK * NOISE_BLOCK
    return torch.cat(blocks)[first - skipped : last - skipped]


def colouring(likeness: Tensor) -> Tensor:
    """The kernel that gives white noise nearly this autocorrelation.

    It fades out within some LAGS frames: of what is alike for longer, as held tones' residuals
    are, less is left at every lag.

    Args:
        likeness: (LAGS + 1,) from lag 0, where it is 1.
    Returns:
        (2 * LAGS + 1,) with energy 1.
    """
    fading = likeness * torch.cos(torch.linspace(0, torch.pi / 2, LAGS + 2))[:-1]
    round_trip = torch.cat([fading, fading.new_zeros(2 * LAGS), fading[1:].flip(0)])
    power = torch.fft.rfft(round_trip).real.clamp_min(0)
    kernel: Tensor = torch.fft.irfft(power.sqrt(), len(round_trip)).roll(LAGS)[: 2 * LAGS + 1]
    kernel /= kernel.norm()
    return kernel
