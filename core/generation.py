"""From seeds to finished waves: prior, RVQ-VAE, texture and vocoder in a row."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.audio import Wave, joined, resampled, rms_dbfs, take_offset_away, turn_down
from core.config import MelConfig
from core.continuous import wave_pieces
from core.controls import Controls, distances, drawn_conditions
from core.prior import Prior
from core.rvqvae import RvqVae
from core.sampling import Sampling, sample_codes
from core.texture import Texture, seeded_noise
from core.training import step_seed
from core.vocoder import Vocoder

SILENT_DBFS = -50.0  # a drawn sound quieter than this is drawn again
MOST_DRAWS = 8
CANDIDATES = 8  # for each sound where a kind or a control is asked; the nearest to it is kept
STRETCH_CODE_FRAMES = 256  # decoded at once, 5.9 s
CHOSEN_SECONDS = 30.0  # a longer sound is drawn once: it has the time to become what it was told
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
    temperature: float = 1.0  # at which new sounds are as restless as real ones

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
    """(F', L) codes -> (F' * S, M) log mel with its grain.

    Long sounds are decoded in stretches with as much around each as the nets hear.
    """
    codes = codes.to(rvqvae.codebooks.device)
    noise = seeded_noise(seed, len(codes), texture.width)
    reach = rvqvae.decoder_net.reach + texture.reach_code_frames
    stack = rvqvae.config.stack_frames
    pieces = []
    for first in range(0, len(codes), STRETCH_CODE_FRAMES):
        last = min(len(codes), first + STRETCH_CODE_FRAMES)
        low, high = max(0, first - reach), min(len(codes), last + reach)
        smooth = rvqvae.decode(rvqvae.vectors(codes[None, low:high]))[0]
        grained = texture.textured(smooth, noise[low:high])
        pieces.append(grained[(first - low) * stack : (last - low) * stack])
    return torch.cat(pieces)


@dataclass(frozen=True)
class Drawn:
    """A new sound before its vocoder."""

    seed: int
    codes: Tensor  # (F', L)
    log_mel: Tensor  # (F, M)


def drawn_sounds(instrument: Instrument, seeds: Sequence[int], request: Request) -> list[Drawn]:
    """One for each seed; what was asked and a training sound's length decide how long.

    Where a label or a control is asked, several are drawn and the nearest to it is kept,
    unless they are longer than CHOSEN_SECONDS by the length or the prompt that was given.
    """
    prior, prompt = instrument.prior, None
    given = request.seconds or 0.0  # the same for all: no sound hangs on its batch
    if request.prompt is not None:
        device = instrument.rvqvae.codebooks.device
        prompt = instrument.rvqvae.encode(request.prompt[None].to(device))[0].cpu()
        given = max(given, len(prompt) * instrument.code_samples / instrument.mel.sample_rate)
    asked = (request.controls, request.label)
    told, lengths = drawn_conditions(prior, *asked, seeds, prompt)
    exact = request.seconds is not None
    if request.seconds is not None:
        samples = request.seconds * instrument.mel.sample_rate
        lengths = [max(1, math.ceil(samples / instrument.code_samples))] * len(seeds)
    if prompt is not None:
        known = len(prompt)
        lengths = [max(length, known) if exact else known + length for length in lengths]

    chosen = asked != (Controls(), None) and given <= CHOSEN_SECONDS
    each = CANDIDATES if chosen else 1
    own = [
        step_seed(seed, attempt, "candidate") if attempt else seed
        for seed in seeds
        for attempt in range(each)
    ]
    told = told.repeated(each)
    lengths = [length for length in lengths for _ in range(each)]
    drawn = sample_codes(
        prior,
        own,
        request.sampling,
        lengths,
        told,
        exact,
        instrument.longest_frames,
        prompt,
        instrument.temperature,
    )
    sounds = [
        Drawn(seed, codes, mel_from_codes(instrument.rvqvae, instrument.texture, codes, seed))
        for codes, seed in zip(drawn, own, strict=True)
    ]
    if not chosen:
        return sounds
    log_mels = [one.log_mel for one in sounds]
    apart = distances(prior, *asked, told, drawn, log_mels, instrument.mel)
    nearest = apart.view(-1, each).argmin(1).tolist()
    return [sounds[each * place + best] for place, best in enumerate(nearest)]


def drawn_waves(
    instrument: Instrument, seeds: Sequence[int], request: Request, rate: int
) -> Iterator[Wave]:
    """(T,) float32 at the rate for each seed, in order, finished.

    A sound quieter than -50 dBFS is drawn again, up to 8 times, from seeds that follow
    from its own; if all are, the last one is returned.
    """
    mel = instrument.mel

    def played(sound: Drawn) -> Wave:
        pieces = wave_pieces(instrument.vocoder, sound.log_mel, mel, sound.seed)
        return finished(pieces, mel.sample_rate, rate, request.seconds)

    drawn = drawn_sounds(instrument, seeds, request)
    for seed, sound in zip(seeds, drawn, strict=True):
        wave = played(sound)
        for attempt in range(1, MOST_DRAWS):
            if rms_dbfs(wave) > SILENT_DBFS:
                break
            other = step_seed(seed, attempt, "redraw")
            wave = played(*drawn_sounds(instrument, [other], request))
        yield wave


def finished(pieces: Iterable[Wave], rate_in: int, rate_out: int, seconds: float | None) -> Wave:
    """Resampled once, no DC, of exact length, faded out, true peak at most -1 dBFS by gain.

    Args:
        pieces: of one wave, in order; one at a time is in memory, beside what is made of them.
    Returns:
        (T,) float32, a new array.
    """
    out = joined(resampled(pieces, rate_in, rate_out))
    take_offset_away(out, rate_out)
    if seconds is not None:
        out = out[: max(1, round(seconds * rate_out))]
    fade_out(out, rate_out)
    turn_down(out)
    return out


def fade_out(wave: Wave, rate: int) -> None:
    """Change a wave's last 5 ms to fall to silence."""
    fade = min(len(wave), round(FADE_SECONDS * rate))
    wave[len(wave) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
