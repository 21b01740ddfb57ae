"""Training FreeV on the frozen RVQ-VAE's mels: mel L1 and MR-STFT, no adversary.

How loud MR-STFT speaks: of 26 tablas, held-out MR-STFT and L1 as multiples of Griffin-Lim's
were .85 and 1.12 with weight 2, .84 and 1.01 with 1, .83 and 1.08 with 1/2, of 195 sounds .90 and
.99 with 2 and with 1. Another seed's L1 of the tablas was 1.10 with 1, and nearly
twice the steps gained nothing.

HiFi-GAN's cut critics were tried for 120 more steps on 195 sounds: MR-STFT 1.357 and L1 0.408
from the model's mels, as with as many steps without them, the spectrum as little contrasted,
in three times the time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.config import FreevConfig, MelConfig
from core.device import mixed_precision
from core.freev import FreevNet, log_linear_magnitude
from core.losses import MrStft, mel_l1
from core.mel import silence
from core.spectral import wave_from_spectrum
from core.training import Trainer, step_generator, step_seed, warm_cosine
from core.vocoder_data import WavePair, draw_segments, drawn_pairs, segment, spread

HELD_OUT_SOUNDS = 12
HELD_OUT_SECONDS = 1.5


class FreevTrainer(Trainer):
    """FreeV on pairs of VAE mels and real waves.

    The held-out loss is the training loss (mel L1 + stft_weight x MR-STFT) on the
    beginnings of held-out sounds.

    Args:
        steps: how many there will be, for the learning rate's fall.
        pairs: training sounds; at least one.
        held_out: up to 12 of them, spread over the sequence, are used.
    """

    packaged = "net"

    def __init__(
        self,
        config: FreevConfig,
        steps: int,
        mel: MelConfig,
        pairs: Sequence[WavePair],
        held_out: Sequence[WavePair],
        seed: int,
        device: torch.device,
    ):
        self.config, self.steps, self.mel = config, steps, mel
        self.seed, self.device, self.pairs = seed, device, pairs
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(seed, 0, "freev weights"))
            self.net = FreevNet(config, mel).to(device)
        self.modules: dict[str, nn.Module] = {"net": self.net}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW(
                self.net.parameters(), lr=config.learning_rate, betas=(0.8, 0.99)
            )
        }
        self.mr_stft = MrStft().to(device)
        frames = round(HELD_OUT_SECONDS * mel.sample_rate / mel.hop_samples)
        judged = [
            segment(pair, 0, frames, mel.hop_samples, silence(mel))
            for pair in spread(held_out, HELD_OUT_SOUNDS)
        ]
        self.judged_mels = torch.stack([m for m, _ in judged]).transpose(1, 2).to(device)
        self.judged_waves = torch.stack([w for _, w in judged]).to(device)

    def step(self, number: int) -> dict[str, Tensor]:
        config = self.config
        log_mel, wave = draw_segments(
            self.pairs,
            config.batch_segments,
            config.segment_frames,
            self.mel.hop_samples,
            silence(self.mel),
            step_generator(self.seed, number, "freev"),
        )
        optimizer = self.optimizers["adamw"]
        for group in optimizer.param_groups:
            group["lr"] = warm_cosine(number, self.steps, config.learning_rate)
        self.net.train()
        parts = self._losses(log_mel.transpose(1, 2).to(self.device), wave.to(self.device))
        loss = parts["mel_l1"] + config.stft_weight * parts["mr_stft"]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        optimizer.step()
        losses = {"loss": loss} | parts
        return {name: part.detach() for name, part in losses.items()} | {"gradient_norm": norm}

    def _losses(self, log_mel: Tensor, wave: Tensor) -> dict[str, Tensor]:
        """(B, F, M) and (B, F * hop) -> the unweighted losses."""
        with torch.no_grad():
            start = log_linear_magnitude(log_mel, self.mel, self.config.inversion_updates)
        with mixed_precision(self.device):
            log_magnitude, phases = self.net(log_mel, start)
        spectrum = log_magnitude.exp() * phases
        fake = wave_from_spectrum(spectrum, self.mel.fft_samples, self.mel.hop_samples)
        return {"mel_l1": mel_l1(fake, wave, self.mel), "mr_stft": self.mr_stft(fake, wave)}

    def drawn(self, number: int) -> list[int]:
        config, generator = self.config, step_generator(self.seed, number, "freev")
        return drawn_pairs(self.pairs, config.batch_segments, config.segment_frames, generator)

    @torch.no_grad()
    def held_out_loss(self) -> float:
        self.net.eval()
        parts = self._losses(self.judged_mels, self.judged_waves)
        return float(parts["mel_l1"] + self.config.stft_weight * parts["mr_stft"])
