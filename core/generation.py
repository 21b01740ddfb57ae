"""From seeds to finished waves: prior, RVQ-VAE, texture and vocoder in a row."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.config import MelConfig
from core.continuous import wave_pieces
from core.controls import Controls, distances, drawn_conditions
from core.finishing import ShortTape, Sound, Tape
from core.prior import Prior
from core.rvqvae import RvqVae
from core.sampling import Sampling, sample_codes
from core.texture import Texture
from core.training import step_seed
from core.vocoder import Vocoder

SILENT_DBFS = -50.0  # a drawn sound quieter than this is drawn again
MOST_DRAWS = 8
CANDIDATES = 8  # for each sound where a kind or a control is asked; the nearest to it is kept
DECODED_FRAMES = 512  # at once where all of a mel is wanted, 5.9 s
CHOSEN_SECONDS = 30.0  # a longer sound is drawn once: it has the time to become what it was told


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


@dataclass(frozen=True)
class DecodedMel:
    """The log mel of a new sound with its grain, decoded where it is looked at.

    Args:
        codes: (F', L), on any device.
        seed: of the grain.
    """

    rvqvae: RvqVae
    texture: Texture
    codes: Tensor
    seed: int

    def __len__(self) -> int:
        """Frames."""
        return len(self.codes) * self.rvqvae.config.stack_frames

    @torch.no_grad()
    def __getitem__(self, frames: slice, /) -> Tensor:
        """(F, M) of these frames, from as much around them as the nets hear."""
        start, stop, step = frames.indices(len(self))
        assert step == 1
        stack = self.rvqvae.config.stack_frames
        reach = self.rvqvae.decoder_net.reach + self.texture.reach_code_frames
        low = max(0, start // stack - reach)
        high = min(len(self.codes), -(-stop // stack) + reach)
        codes = self.codes[None, low:high].to(self.rvqvae.codebooks.device)
        smooth = self.rvqvae.decode(self.rvqvae.vectors(codes))[0]
        grained = self.texture.textured(smooth, self.texture.noise(self.seed, low, high))
        return grained[start - low * stack : stop - low * stack]

    def whole(self) -> Tensor:
        """(F, M)."""
        edges = range(0, len(self), DECODED_FRAMES)
        return torch.cat([self[first : first + DECODED_FRAMES] for first in edges])


def drawn_sounds(
    instrument: Instrument, seeds: Sequence[int], request: Request
) -> list[DecodedMel]:
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
        DecodedMel(instrument.rvqvae, instrument.texture, codes, seed)
        for codes, seed in zip(drawn, own, strict=True)
    ]
    if not chosen:
        return sounds
    log_mels = [one.whole() for one in sounds]
    apart = distances(prior, *asked, told, drawn, log_mels, instrument.mel)
    nearest = apart.view(-1, each).argmin(1).tolist()
    return [sounds[each * place + best] for place, best in enumerate(nearest)]


def played_sounds(
    instrument: Instrument,
    seeds: Sequence[int],
    request: Request,
    rate: int,
    tape: Callable[[], Tape] = ShortTape,
) -> Iterator[Sound]:
    """A finished sound at the rate for each seed, in order.

    One quieter than -50 dBFS is drawn again, up to 8 times, from seeds that follow
    from its own; if all are, the last one is returned.

    Args:
        tape: gives an empty one for a sound to wait on. It may be the same each time, if each
            sound is read before the next is asked for.
    """
    mel = instrument.mel

    def played(drawn: DecodedMel) -> Sound:
        pieces = wave_pieces(instrument.vocoder, drawn, mel, drawn.seed)
        return Sound(pieces, mel.sample_rate, rate, request.seconds, tape())

    for seed, drawn in zip(seeds, drawn_sounds(instrument, seeds, request), strict=True):
        sound = played(drawn)
        for attempt in range(1, MOST_DRAWS):
            if sound.rms_dbfs > SILENT_DBFS:
                break
            other = step_seed(seed, attempt, "redraw")
            sound = played(*drawn_sounds(instrument, [other], request))
        yield sound
