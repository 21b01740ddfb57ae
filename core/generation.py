"""From seeds to finished waves: prior, RVQ-VAE, texture and vocoder in a row."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.audio import Wave, level_to_true_peak, resample, rms_dbfs, without_offset
from core.config import MelConfig
from core.continuous import long_wave
from core.controls import Controls, distances, drawn_conditions
from core.prior import Prior
from core.rvqvae import RvqVae
from core.sampling import Sampling, sample_codes
from core.texture import Texture
from core.training import step_seed
from core.vocoder import Vocoder

SILENT_DBFS = -50.0  # a drawn sound quieter than this is drawn again
MOST_DRAWS = 8
# How many are drawn where a kind or a control is asked, the nearest to it is kept. On mels one
# alone follows loudness with a rank correlation of .71, attack with .48; four with .91 and .84.
CANDIDATES = 4
FADE_SECONDS = 0.005  # at the end, so that nothing clicks


@dataclass(frozen=True)
class Instrument:
    """The trained models that make a sound together."""

    mel: MelConfig
    rvqvae: RvqVae
    texture: Texture
    prior: Prior
    vocoder: Vocoder
    longest_frames: int  # code frames of the longest sound that the prior knows

    @property
    def code_samples(self) -> int:
        """Samples in one code frame."""
        return self.mel.hop_samples * self.rvqvae.config.stack_frames


@dataclass(frozen=True)
class Request:
    """What new sounds shall be like."""

    sampling: Sampling = field(default_factory=Sampling)
    controls: Controls = field(default_factory=Controls)
    label: int | None = None
    seconds: float | None = None  # every sound's length; None lets each end by itself
    prompt: Tensor | None = None  # (F, M) log mel of a sound that each new one goes on from


@torch.no_grad()
def mel_from_codes(rvqvae: RvqVae, texture: Texture, codes: Tensor, seed: int) -> Tensor:
    """(F', L) codes -> (F' * S, M) log mel with its grain."""
    codes = codes.to(rvqvae.codebooks.device)
    return texture.textured(rvqvae.decode(rvqvae.vectors(codes[None]))[0], seed)


@dataclass(frozen=True)
class Drawn:
    """A new sound before its vocoder."""

    codes: Tensor  # (F', L)
    log_mel: Tensor  # (F, M)


def drawn_sounds(instrument: Instrument, seeds: Sequence[int], request: Request) -> list[Drawn]:
    """One for each seed; what was asked and a training sound's length decide how long.

    Where a label or a control is asked, several are drawn and the nearest to it is kept.
    """
    prior, prompt = instrument.prior, None
    if request.prompt is not None:
        device = instrument.rvqvae.codebooks.device
        prompt = instrument.rvqvae.encode(request.prompt[None].to(device))[0].cpu()
    asked = (request.controls, request.label)
    told, lengths = drawn_conditions(prior, *asked, seeds, prompt)
    exact = request.seconds is not None
    if request.seconds is not None:
        samples = request.seconds * instrument.mel.sample_rate
        lengths = [max(1, math.ceil(samples / instrument.code_samples))] * len(seeds)
    if prompt is not None:
        known = len(prompt)
        lengths = [max(length, known) if exact else known + length for length in lengths]

    def drawn(attempt: int) -> list[Drawn]:
        own = [step_seed(seed, attempt, "candidate") if attempt else seed for seed in seeds]
        codes = sample_codes(
            prior,
            own,
            request.sampling,
            lengths,
            told,
            exact,
            instrument.longest_frames,
            prompt,
        )
        return [
            Drawn(one, mel_from_codes(instrument.rvqvae, instrument.texture, one, seed))
            for one, seed in zip(codes, own, strict=True)
        ]

    if asked == (Controls(), None):
        return drawn(0)
    kept, nearest = list[Drawn](), torch.full((len(seeds),), torch.inf)
    for attempt in range(CANDIDATES):
        some = drawn(attempt)
        codes, log_mels = [one.codes for one in some], [one.log_mel for one in some]
        apart = distances(prior, *asked, told, codes, log_mels, instrument.mel)
        better = (apart < nearest).tolist()
        kept = [one if better[n] else kept[n] for n, one in enumerate(some)] if kept else some
        nearest = torch.minimum(apart, nearest)
    return kept


def drawn_waves(instrument: Instrument, seeds: Sequence[int], request: Request) -> Iterator[Wave]:
    """(T,) float32 at the mel's rate for each seed, in order.

    A sound quieter than -50 dBFS is drawn again, up to 8 times, from seeds that follow
    from its own; if all are, the last one is returned.
    """
    drawn = drawn_sounds(instrument, seeds, request)
    for seed, sound in zip(seeds, drawn, strict=True):
        wave = long_wave(instrument.vocoder, sound.log_mel, instrument.mel)
        for attempt in range(1, MOST_DRAWS):
            if rms_dbfs(wave) > SILENT_DBFS:
                break
            other = step_seed(seed, attempt, "redraw")
            (sound,) = drawn_sounds(instrument, [other], request)
            wave = long_wave(instrument.vocoder, sound.log_mel, instrument.mel)
        yield wave


def finished(wave: Wave, rate_in: int, rate_out: int, seconds: float | None) -> Wave:
    """No DC, resampled once, of exact length, faded out, true peak at most -1 dBFS by gain."""
    out = resample(without_offset(wave, rate_in), rate_in, rate_out)
    if seconds is not None:
        out = out[: max(1, round(seconds * rate_out))]
    return level_to_true_peak(faded(out, rate_out))


def faded(wave: Wave, rate: int) -> Wave:
    """The wave with its last 5 ms faded to silence; a new array."""
    fade = min(len(wave), round(FADE_SECONDS * rate))
    out = wave.copy()
    out[len(out) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return out
