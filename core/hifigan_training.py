"""Training HiFi-GAN on the mels it will meet: reconstruction first, then the critics join in.

Every loss weight of the configuration is applied here, and nowhere else.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.config import HifiganConfig, MelConfig
from core.device import mixed_precision
from core.discriminators import Discriminators
from core.disguise import Disguise
from core.hifigan import HifiganGenerator, check_shape
from core.losses import (
    MrStft,
    adversarial_loss,
    discriminator_accuracy,
    discriminator_loss,
    feature_matching,
    mel_l1,
)
from core.mel import silence
from core.training import Trainer, step_generator, step_seed
from core.vocoder_data import WavePair, draw_segments, drawn_pairs, segment, spread

HELD_OUT_SOUNDS = 8
HELD_OUT_SECONDS = 1.0
BETAS = (0.8, 0.99)  # the paper's
AVERAGE_DECAY = 0.998  # of the moving average of the weights, from step 4,490 on
ACCURACY = "discriminator accuracy"  # what a step's losses call it
ACCURACY_EVALUATIONS = 5  # that it is averaged over: one is of a single batch
TOO_ACCURATE = 0.95


def accuracy_of_critics(history: Sequence[Mapping[str, float]]) -> float | None:
    """Share of what the critics judged rightly, over the latest evaluations; None before any."""
    known = [row[ACCURACY] for row in history if ACCURACY in row][-ACCURACY_EVALUATIONS:]
    return sum(known) / len(known) if len(known) == ACCURACY_EVALUATIONS else None


class HifiganTrainer(Trainer):
    """HiFi-GAN and its critics on pairs of VAE mels and real waves.

    Before `warm_up_steps` the generator learns alone, from mel and MR-STFT. After,
    each step updates the critics, then the generator against them. Judged and kept is
    the exponential moving average (EMA) of its weights, which jumps about less.

    Args:
        pairs: training sounds; at least one.
        held_out: sounds to judge by; up to 8 of them, spread over the sequence, are used.
        seed: of the initial weights and of every step.
    Raises:
        ConfigError: the generator's shape does not fit the mel.
    """

    packaged = "averaged"

    def __init__(
        self,
        config: HifiganConfig,
        mel: MelConfig,
        pairs: Sequence[WavePair],
        held_out: Sequence[WavePair],
        seed: int,
        device: torch.device,
    ) -> None:
        assert pairs
        assert held_out
        check_shape(config, mel)
        self.config, self.mel, self.pairs = config, mel, pairs
        self.seed, self.device = seed, device
        self.patience_begins = config.warm_up_steps  # the critics may yet bring what is missing
        with torch.random.fork_rng(devices=[]):  # initialisation draws from the global generator
            torch.manual_seed(step_seed(seed, 0, "hifigan weights"))
            self.generator = HifiganGenerator(config).to(device)
            self.discriminators = Discriminators(config).to(device)
        trained: dict[str, nn.Module] = {
            "generator": self.generator,
            "discriminators": self.discriminators,
        }
        self.optimizers = {
            name: torch.optim.AdamW(module.parameters(), lr=config.learning_rate, betas=BETAS)
            for name, module in trained.items()
        }
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.modules = {**trained, "averaged": self.averaged}
        self.mr_stft = MrStft().to(device)
        self.held_out = [self._beginning(pair) for pair in spread(held_out, HELD_OUT_SOUNDS)]

    def begin_with(self, folded: HifiganGenerator) -> None:
        """Start from a trained generator of the same shape, without weight norm."""
        self.generator.unfold(folded)
        self.averaged.unfold(folded)

    def _beginning(self, pair: WavePair) -> tuple[Tensor, Tensor]:
        """The first second (shorter sounds whole) as a batch of one: (1, M, F), (1, F * hop)."""
        most = round(HELD_OUT_SECONDS * self.mel.sample_rate / self.mel.hop_samples)
        frames = max(min(len(pair.log_mel), most), self.config.segment_frames)
        mel, wave = segment(pair, 0, frames, self.mel.hop_samples, silence(self.mel))
        return mel[None].to(self.device), wave[None].to(self.device)

    def step(self, number: int) -> dict[str, Tensor]:
        """One update of the generator, after one of the critics once the warm-up is over."""
        self._set_learning_rates(number)
        generator = step_generator(self.seed, number, "hifigan")
        log_mel, real = draw_segments(
            self.pairs,
            self.config.batch_segments,
            self.config.segment_frames,
            self.mel.hop_samples,
            silence(self.mel),
            generator,
        )
        log_mel, real = log_mel.to(self.device), real.to(self.device)
        with mixed_precision(self.device):
            fake = self.generator(log_mel)  # (B, T)
        loss, losses = self._reconstruction(fake, real)
        if number >= self.config.warm_up_steps:
            disguise = Disguise.drawn(real, generator)
            losses |= self._update_discriminators(disguise(fake.detach()), disguise(real))
            adversarial, adversarial_losses = self._adversarial(disguise(fake), disguise(real))
            loss = loss + adversarial
            losses |= adversarial_losses
        self._update("generator", loss)
        self._average(number)
        return losses

    @torch.no_grad()
    def _average(self, number: int) -> None:
        """Move the EMA towards the generator; its decay grows with the number of steps.

        It helps most while the learning rate is high: of 195 sounds, warm-up 2,000 steps, all in
        float32, held-out MR-STFT was 2.46 after 90 s of one core where the latest weights had
        2.89. After 35 minutes it was 1.809 and 1.821.
        Source of the growing decay: TensorFlow's ExponentialMovingAverage, num_updates.
        """
        decay = min(AVERAGE_DECAY, (1 + number) / (10 + number))
        for average, latest in zip(
            self.averaged.parameters(), self.generator.parameters(), strict=True
        ):
            average.lerp_(latest, 1 - decay)

    def _set_learning_rates(self, number: int) -> None:
        """Rates fall geometrically: with the warm-up, then to each network's last share.

        On so few steps the net bears more than the paper's 2e-4. On 195 sounds, 8,000 steps,
        warm-up 2,000, one core, float32: 1e-3 falling to 5e-4 with the warm-up and to 5e-5 at
        the end had MR-STFT 1.782 and L1 .615 after 36 minutes; 1e-3 to 2e-4 to 1e-5 had 1.811
        and .627, and 1.780 after 90.
        """
        config = self.config
        to_come = 1 - number / max(1, config.warm_up_steps)
        done = (number - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
        for name, last in (
            ("generator", config.last_rate_share),
            ("discriminators", config.last_critic_rate_share),
        ):
            factor = config.warm_up_rate_factor**to_come if to_come > 0 else last**done
            for group in self.optimizers[name].param_groups:
                group["lr"] = config.learning_rate * factor

    def _reconstruction(self, fake: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted mel and MR-STFT loss, and both unweighted for the log."""
        mel, stft = mel_l1(fake, real, self.mel), self.mr_stft(fake, real)
        loss = self.config.mel_weight * mel + self.config.stft_weight * stft
        return loss, {"mel": mel.detach(), "stft": stft.detach()}

    def _update_discriminators(self, fake: Tensor, real: Tensor) -> dict[str, Tensor]:
        """One update of the critics on (B, T) disguised waves."""
        self.discriminators.requires_grad_(True)
        judgements = self.discriminators(torch.cat([real, fake]))
        both = [score.chunk(2) for score, _ in judgements]  # (2B, N) each
        real_scores, fake_scores = [pair[0] for pair in both], [pair[1] for pair in both]
        loss = discriminator_loss(real_scores, fake_scores)
        self._update("discriminators", loss)
        accuracy = discriminator_accuracy(real_scores, fake_scores)
        return {"discriminator": loss.detach(), ACCURACY: accuracy.detach()}

    def _adversarial(self, fake: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted loss of the generator against the critics, and its parts unweighted."""
        self.discriminators.requires_grad_(False)  # no gradients for weights that stand still
        with torch.no_grad():
            real_features = [features for _, features in self.discriminators(real)]
        judgements = self.discriminators(fake)
        adversarial = adversarial_loss([score for score, _ in judgements])
        features = feature_matching(real_features, [maps for _, maps in judgements])
        loss = adversarial + self.config.feature_weight * features
        return loss, {"adversarial": adversarial.detach(), "features": features.detach()}

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[name].step()

    def drawn(self, number: int) -> list[int]:
        config, generator = self.config, step_generator(self.seed, number, "hifigan")
        return drawn_pairs(self.pairs, config.batch_segments, config.segment_frames, generator)

    def remark(self, history: Sequence[Mapping[str, float]]) -> str | None:
        accuracy = accuracy_of_critics(history)
        if accuracy is None or accuracy <= TOO_ACCURATE:
            return None
        return (
            f"the discriminators judge {accuracy:.1%} rightly, above {TOO_ACCURATE:.0%} the "
            "generator learns little from them; more sounds, or a larger "
            "hifigan.discriminator_divisor, make it harder for them"
        )

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """The EMA's mean mel L1 over the beginnings of the held-out sounds."""
        losses = [mel_l1(self.averaged(mel), wave, self.mel) for mel, wave in self.held_out]
        return float(torch.stack(losses).mean())
