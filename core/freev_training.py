"""Training FreeV on the frozen RVQ-VAE's mels: mel L1 and MR-STFT, no adversary.

How loud MR-STFT speaks, measured when the network had phases to learn too: of 26 tablas, held-out
MR-STFT and L1 as multiples of Griffin-Lim's were .85 and 1.12 with weight 2, .84 and 1.01 with 1,
.83 and 1.08 with 1/2, of 195 sounds .90 and .99 with 2 and with 1.

Tried on 195 sounds and left out: HiFi-GAN's cut critics (as near, in three times the time); the
energy distance of two draws (Gritsenko et al. 2020, arXiv:2008.01160), which a network that had
to learn what is noise could not do without, and which roughened tones.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.config import FreevConfig, MelConfig
from core.device import mixed_precision
from core.freev import FreevNet, carrier, log_linear_magnitude, white_spectrum, white_wave
from core.losses import MrStft, mel_l1
from core.mel import silence
from core.spectral import wave_from_spectrum
from core.training import Trainer, step_generator, step_seed, warm_cosine
from core.vocoder_data import WavePair, draw_segments, drawn_pairs, segment, spread

HELD_OUT_SOUNDS = 12
HELD_OUT_SECONDS = 1.5


class FreevTrainer(Trainer):
    """FreeV on pairs of VAE mels and real waves.

    The held-out loss is the training loss on the beginnings of held-out sounds.

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
        self.judged_mels = torch.stack([m for m, _ in judged]).transpose(1, 2)
        self.judged_waves = torch.stack([w for _, w in judged])
        self.judged_noise = white_wave(0, frames, mel).expand(len(judged), -1)

    def step(self, number: int) -> dict[str, Tensor]:
        config = self.config
        generator, frames = step_generator(self.seed, number, "freev"), config.segment_frames
        log_mel, wave = draw_segments(
            self.pairs,
            config.batch_segments,
            frames,
            self.mel.hop_samples,
            silence(self.mel),
            generator,
        )
        samples = (frames - 1) * self.mel.hop_samples + self.mel.fft_samples
        noise = torch.randn(config.batch_segments, samples, generator=generator)
        optimizer = self.optimizers["adamw"]
        for group in optimizer.param_groups:
            group["lr"] = warm_cosine(number, self.steps, config.learning_rate)
        self.net.train()
        parts = self._losses(log_mel.transpose(1, 2), wave, noise)
        loss = self._weighted(parts)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        optimizer.step()
        losses = {"loss": loss} | parts
        return {name: part.detach() for name, part in losses.items()} | {"gradient_norm": norm}

    def _losses(self, log_mel: Tensor, wave: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The unweighted losses.

        Args:
            log_mel: (B, F, M) on the CPU, as the others.
            wave: (B, F * hop) the real one.
            noise: (B, (F - 1) * hop + fft) white.
        Returns:
            () each, by name.
        """
        mel, device = self.mel, self.device
        start = log_linear_magnitude(log_mel, mel, self.config.inversion_updates)
        whites = white_spectrum(noise, mel)
        carriers = [carrier(*one, mel) for one in zip(start, whites, strict=True)]
        with mixed_precision(device):
            magnitude = self.net(log_mel.to(device), start.to(device))
        spectrum, wave = magnitude * torch.stack(carriers).to(device), wave.to(device)
        played = wave_from_spectrum(spectrum, mel.fft_samples, mel.hop_samples)
        return {"mel_l1": mel_l1(played, wave, mel), "mr_stft": self.mr_stft(played, wave)}

    def _weighted(self, parts: dict[str, Tensor]) -> Tensor:
        """() the loss."""
        return parts["mel_l1"] + self.config.stft_weight * parts["mr_stft"]

    def drawn(self, number: int) -> list[int]:
        config, generator = self.config, step_generator(self.seed, number, "freev")
        return drawn_pairs(self.pairs, config.batch_segments, config.segment_frames, generator)

    @torch.no_grad()
    def held_out_loss(self) -> float:
        self.net.eval()
        parts = self._losses(self.judged_mels, self.judged_waves, self.judged_noise)
        return float(self._weighted(parts))
