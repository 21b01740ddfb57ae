"""The RVQ-VAE: log mels to a few small codes a frame, and back.

    mel ──stack 2──> linear (PCA) ──> latents ──L codebooks──> codes
    mel <─unstack──  linear (PCAᵀ) + residual net  <── summed code vectors

It starts as a fitted linear model (core.rvqvae_fit) which is already near what
training reaches; training (core.rvqvae_training) then corrects it through nets
whose last layer starts at zero. `ContinuousVae` has the same nets and no
codebooks: the yardstick that every build is measured against.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.config import MelConfig, RvqvaeConfig
from core.mel import pad_frames, silence


@dataclass(frozen=True)
class LinearStart:
    """What is fitted before any gradient step."""

    mean: Tensor  # (M,) of each band
    scale: Tensor  # () one for all bands
    components: Tensor  # (S * M, D) orthonormal columns, strongest first
    codebooks: Tensor  # (L, K, D)


class FrameNet(nn.Module):
    """A small net over code frames whose output starts at exactly zero.

    Each block sees its neighbours by concatenating shifted copies, which on a CPU
    is twice as fast as a convolution.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, blocks: int, dropout: float):
        super().__init__()
        self.enter = nn.Linear(inputs, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(3 * hidden),
                nn.Linear(3 * hidden, 2 * hidden),
                nn.GELU(),
                nn.Dropout(dropout),
                nn.Linear(2 * hidden, hidden),
            )
            for _ in range(blocks)
        )
        self.leave = nn.Linear(hidden, outputs)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    @property
    def reach(self) -> int:
        """Frames on each side of one that it hears."""
        return len(self.blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, inputs) -> (B, F, outputs)."""
        x = self.enter(x)
        for block in self.blocks:
            before, after = F.pad(x, (0, 0, 1, 0))[:, :-1], F.pad(x, (0, 0, 0, 1))[:, 1:]
            x = x + block(torch.cat([before, x, after], dim=-1))
        out: Tensor = self.leave(x)
        return out


def net_shape(config: RvqvaeConfig) -> tuple[int, int, float]:
    """Hidden width, blocks and dropout of the nets of both models."""
    return config.hidden, config.blocks, config.dropout


class LinearFrames(nn.Module):
    """The linear half that both models share: mels to stacked, centred code frames and back."""

    mean: Tensor
    scale: Tensor

    def __init__(self, start: LinearStart, mel: MelConfig, config: RvqvaeConfig):
        super().__init__()
        self.mel, self.config = mel, config
        self.register_buffer("mean", start.mean)
        self.register_buffer("scale", start.scale)

    def stacked(self, log_mel: Tensor) -> Tensor:
        """(B, F, M) -> (B, ceil(F / S), S * M), centred and scaled, padded with silence."""
        stack = self.config.stack_frames
        padded = pad_frames(log_mel, -(-log_mel.shape[1] // stack) * stack, self.mel)
        return ((padded - self.mean) / self.scale).reshape(
            log_mel.shape[0], -1, stack * self.mel.mel_bands
        )

    def unstacked(self, frames: Tensor) -> Tensor:
        """(B, F', S * M) -> (B, F' * S, M) log mel, not below silence."""
        mel = frames.reshape(frames.shape[0], -1, self.mel.mel_bands)
        return (mel * self.scale + self.mean).clamp_min(silence(self.mel))


class RvqVae(LinearFrames):
    """Mels to codes and back; see the module's drawing."""

    encoder_linear: Tensor
    codebooks: Tensor

    def __init__(self, start: LinearStart, mel: MelConfig, config: RvqvaeConfig):
        super().__init__(start, mel, config)
        frame, shape = config.stack_frames * mel.mel_bands, net_shape(config)
        self.register_buffer("encoder_linear", start.components)
        self.register_buffer("codebooks", start.codebooks)
        self.encoder_net = FrameNet(frame, config.latent_dim, *shape)
        self.decoder_linear = nn.Parameter(start.components.T.clone())
        self.decoder_net = FrameNet(config.latent_dim, frame, *shape)

    @classmethod
    def from_weights(
        cls, weights: dict[str, Tensor], mel: MelConfig, config: RvqvaeConfig
    ) -> "RvqVae":
        """The trained model whose state dict this is, in evaluation mode."""
        start = LinearStart(
            weights["mean"], weights["scale"], weights["encoder_linear"], weights["codebooks"]
        )
        model = cls(start, mel, config)
        model.load_state_dict(weights)
        return model.eval()

    @property
    def levels(self) -> int:
        return self.codebooks.shape[0]

    @property
    def codebook_size(self) -> int:
        return self.codebooks.shape[1]

    def latents(self, log_mel: Tensor) -> Tensor:
        """(B, F, M) -> (B, F', D) continuous latents."""
        frames = self.stacked(log_mel)
        latents: Tensor = frames @ self.encoder_linear + self.encoder_net(frames)
        return latents

    def codes(self, latents: Tensor) -> Tensor:
        """(B, F', D) -> (B, F', L) int64: the nearest code of each level to what is left."""
        left = latents.float()
        codes = []
        for book in self.codebooks:
            nearest = torch.cdist(left, book[None].expand(left.shape[0], -1, -1)).argmin(-1)
            left = left - book[nearest]
            codes.append(nearest)
        return torch.stack(codes, dim=-1)

    def commitment(self, latents: Tensor) -> Tensor:
        """(B, F', D) -> (L,) mean square of what each level leaves over."""
        left, found, codes = latents.float(), [], self.codes(latents)
        for level, book in enumerate(self.codebooks):
            left = left - book[codes[..., level]]
            found.append(left.square().mean())
        return torch.stack(found)

    def vectors(self, codes: Tensor) -> Tensor:
        """(B, F', l) codes of the first l levels -> (B, F', D), the sum of their vectors."""
        total = self.codebooks[0][codes[..., 0]]
        for level in range(1, codes.shape[-1]):
            total = total + self.codebooks[level][codes[..., level]]
        return total

    def decode(self, vectors: Tensor) -> Tensor:
        """(B, F', D) -> (B, F' * S, M) log mel."""
        return self.unstacked(vectors @ self.decoder_linear + self.decoder_net(vectors))

    @torch.no_grad()
    def encode(self, log_mel: Tensor) -> Tensor:
        """(B, F, M) -> (B, ceil(F / S), L) int64 codes."""
        return self.codes(self.latents(log_mel))

    @torch.no_grad()
    def reconstruct(self, log_mel: Tensor) -> Tensor:
        """(B, F, M) -> (B, F, M): what is left of a mel after the codes."""
        return self.decode(self.vectors(self.encode(log_mel)))[:, : log_mel.shape[1]]


class ContinuousVae(LinearFrames):
    """The yardstick: the same nets around a few continuous latents, scored at their mean."""

    encoder_linear: Tensor

    def __init__(self, start: LinearStart, mel: MelConfig, config: RvqvaeConfig):
        super().__init__(start, mel, config)
        frame, width = config.stack_frames * mel.mel_bands, config.vae_dim
        shape = net_shape(config)
        components = start.components[:, :width].contiguous()
        self.register_buffer("encoder_linear", components)
        self.encoder_net = FrameNet(frame, 2 * width, *shape)
        self.decoder_linear = nn.Parameter(components.T.clone())
        self.decoder_net = FrameNet(width, frame, *shape)

    def posterior(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """(B, F, M) -> mean and log variance, each (B, F', vae_dim)."""
        frames = self.stacked(log_mel)
        mean, log_variance = self.encoder_net(frames).float().chunk(2, dim=-1)
        return mean + frames @ self.encoder_linear, log_variance - 4.0  # starts nearly certain

    def decode(self, latents: Tensor) -> Tensor:
        """(B, F', vae_dim) -> (B, F' * S, M) log mel."""
        return self.unstacked(latents @ self.decoder_linear + self.decoder_net(latents))

    @torch.no_grad()
    def reconstruct(self, log_mel: Tensor) -> Tensor:
        """(B, F, M) -> (B, F, M) through the posterior mean."""
        return self.decode(self.posterior(log_mel)[0])[:, : log_mel.shape[1]]
