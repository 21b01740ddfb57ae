"""What a sound is like, in a few numbers that a person can ask for.

Measured on the log mel, so that real and new sounds are measured alike. A value means
little by itself; its rank among the training sounds (0 the least, 1 the most) is what
the prior is told and what a user gives.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from core.config import MelConfig
from core.mel import band_centres_hz

Descriptor = Literal["brightness", "loudness", "noisiness", "attack"]
DESCRIPTORS: tuple[Descriptor, ...] = get_args(Descriptor)
QUANTILES = 33  # of the training sounds' values, kept to rank others by

LOUDEST_FRAMES = 9  # 0.1 s
LOWEST_HZ = 40.0  # bands below say nothing about colour
REACHED = 0.8  # of the greatest magnitude: where an attack ends
ATTACK_FRAMES = 86  # it is looked for in the first second


def descriptors(log_mel: Tensor, mel: MelConfig) -> Tensor:
    """(F, M) -> (4,) in the order of DESCRIPTORS; greater is more of it.

    brightness  centroid of the mean spectrum, in octaves above 1 Hz
    loudness    level of the loudest 0.1 s, in nats of magnitude
    noisiness   spectral flatness of each frame in nats (0 is flat), weighed by its magnitude
    attack      how soon 80 % of the greatest magnitude is reached, in octaves of 1 / frames
    """
    magnitude = log_mel.double().exp()  # (F, M)
    envelope = magnitude.square().mean(1).sqrt()  # (F,)
    hz = band_centres_hz(mel).double()
    coloured = hz >= LOWEST_HZ
    spectrum = magnitude.mean(0)[coloured]
    brightness = (spectrum * hz[coloured].log2()).sum() / spectrum.sum()
    window = min(LOUDEST_FRAMES, len(envelope))
    loudest = envelope.square().unfold(0, window, 1).mean(1).max()
    flatness = log_mel[:, coloured].double().mean(1) - magnitude[:, coloured].mean(1).log()
    noisiness = (flatness * envelope).sum() / envelope.sum()
    return torch.stack(
        [brightness, 0.5 * loudest.log(), noisiness, -(0.25 + attack_frames(envelope)).log2()]
    ).float()


def attack_frames(envelope: Tensor) -> Tensor:
    """Frames, and parts of one, until the first second's envelope is near its greatest value."""
    rising = torch.cat([envelope.new_zeros(1), envelope[:ATTACK_FRAMES]])
    goal = REACHED * rising.max()
    place = int((rising >= goal).double().argmax())
    if place == 0:
        return rising.new_zeros(())
    below, above = rising[place - 1], rising[place]
    return place - 1 + (goal - below) / (above - below)


def scales(values: Sequence[Tensor]) -> Tensor:
    """(4, QUANTILES) ascending: what ranks 0 to 1 mean for sounds with these descriptors."""
    marks = torch.linspace(0, 1, QUANTILES, dtype=torch.float64)
    return torch.stack(list(values)).double().quantile(marks, dim=0).T.float().contiguous()


def ranks(values: Tensor, scale: Tensor) -> Tensor:
    """(..., 4) descriptors -> their ranks in 0 to 1 on (4, QUANTILES) scales.

    A value that several quantiles share has the middle one's rank.
    """
    steps = scale.shape[1] - 1
    found = []
    for value, marks in zip(values.unbind(-1), scale, strict=True):
        low = torch.searchsorted(marks, value.contiguous())
        high = torch.searchsorted(marks, value.contiguous(), right=True)
        before = (low - 1).clamp(0, steps)
        after = low.clamp(0, steps)
        width = (marks[after] - marks[before]).clamp_min(1e-9)
        between = before + ((value - marks[before]) / width).clamp(0, 1)
        shared = (low + high - 1) / 2.0
        found.append(torch.where(high > low, shared, between).clamp(0, steps) / steps)
    return torch.stack(found, -1)
