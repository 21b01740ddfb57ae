"""Training of the texture: flow matching on what the frozen RVQ-VAE leaves out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.augment import equalised, equaliser_curves
from core.config import AugmentConfig
from core.device import mixed_precision
from core.rvqvae import RvqVae
from core.rvqvae_training import MelWindows
from core.texture import LAGS, Texture
from core.training import Trainer, step_generator, warm_cosine

JUDGED_WINDOWS = 64
LEAST_SCALE = 0.02  # nats; a band that is always silent has no residual


def residual_statistics(codec: RvqVae, mels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """How large residuals are, and how alike from frame to frame.

    Args:
        mels: (F, M) each.
    Returns:
        (M,) root mean square of each band's residual, and (LAGS + 1,) autocorrelation over all
        bands, as if silence surrounded every sound.
    """
    products, frames = torch.zeros(LAGS + 1, codec.mel.mel_bands, dtype=torch.float64), 0
    for one in mels:
        residual = (one - codec.reconstruct(one[None])[0]).cpu().double()
        for lag in range(min(LAGS + 1, len(one))):
            products[lag] += (residual[lag:] * residual[: len(one) - lag]).sum(0)
        frames += len(one)
    scale = (products[0] / frames).sqrt().clamp_min(LEAST_SCALE)
    alike = (products / scale.square()).sum(1)
    alike[0] += 1e-9  # where nothing is left out
    return scale.float(), (alike / alike[0]).float()


class TextureTrainer(Trainer):
    """Trains on windows of the training mels, half of them equalised."""

    packaged = "texture"

    def __init__(
        self,
        texture: Texture,
        codec: RvqVae,
        steps: int,
        mels: Sequence[Tensor],
        held_out: Sequence[Tensor],
        augment: AugmentConfig,
        seed: int,
        device: torch.device,
    ):
        config = texture.config
        self.texture, self.codec = texture.to(device), codec.to(device).eval()
        self.config, self.steps, self.seed, self.device = config, steps, seed, device
        self.augment = augment
        frames = config.window_frames * texture.stack_frames
        self.windows = MelWindows(mels, frames, texture.mel)
        self.modules: dict[str, nn.Module] = {"texture": texture}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW(
                texture.nets.parameters(), lr=config.learning_rate, weight_decay=0.01
            )
        }
        # Judged on the same windows, times and noise every time.
        generator = step_generator(seed, 0, "texture judged")
        self.judged = MelWindows(held_out, frames, texture.mel).draw(JUDGED_WINDOWS, generator)
        self.judged_time = (torch.arange(JUDGED_WINDOWS) + 0.5) / JUDGED_WINDOWS
        self.judged_noise = self._white(JUDGED_WINDOWS, generator)

    def step(self, number: int) -> dict[str, Tensor]:
        config, generator = self.config, step_generator(self.seed, number, "texture")
        windows, real = self.windows.draw(config.batch_windows, generator)
        half = config.batch_windows // 2
        curves = equaliser_curves(half, windows.shape[-1], self.augment, generator)
        windows[:half] = equalised(windows[:half], curves, self.texture.mel)
        time = torch.rand(config.batch_windows, generator=generator)
        noise = self._white(config.batch_windows, generator)
        optimizer = self.optimizers["adamw"]
        for group in optimizer.param_groups:
            group["lr"] = warm_cosine(number, self.steps, config.learning_rate)
        self.texture.train()
        error, doubt = self._losses(windows, real, time, noise)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(error + doubt)
        norm = nn.utils.clip_grad_norm_(self.texture.parameters(), 1.0)
        optimizer.step()
        losses = {"velocity_error": error.detach(), "doubt": doubt.detach()}
        return {**losses, "gradient_norm": norm}

    def drawn(self, number: int) -> list[int]:
        generator = step_generator(self.seed, number, "texture")
        return self.windows.chosen(self.config.batch_windows, generator).tolist()

    def _white(self, windows: int, generator: torch.Generator) -> Tensor:
        """(B, F' + white_code_frames, S * M) white noise."""
        frames = self.config.window_frames + self.texture.white_code_frames
        return torch.randn(windows, frames, self.texture.width, generator=generator)

    def _losses(
        self, windows: Tensor, real: Tensor, time: Tensor, white: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean square error of the velocity, and nats by which residuals surprise the deviation.

        Both are means over the frames that are sound, not padding.
        """
        windows, time, white = (one.to(self.device) for one in (windows, time, white))
        smooth = self.codec.reconstruct(windows)
        strayed = self.texture.stacked((windows - smooth) / self.texture.scale)
        noise = self.texture.coloured(white)
        t = time[:, None, None]
        with mixed_precision(self.device):
            nats = self.texture.log_deviation(smooth).float()
            goal = strayed * (-nats.detach()).exp()
            moved = self.texture.velocity((1 - t) * noise + t * goal, time, smooth).float()
        error = (moved - (goal - noise)).square().mean(-1)
        doubt = (nats + strayed.square() * (-2 * nats).exp() / 2).mean(-1)
        of_sound = real.view(len(real), -1, self.texture.stack_frames)[..., 0].to(self.device)
        return error[of_sound].mean(), doubt[of_sound].mean()

    @torch.no_grad()
    def held_out_loss(self) -> float:
        self.texture.eval()
        error, doubt = self._losses(*self.judged, self.judged_time, self.judged_noise)
        return float(error + doubt)
