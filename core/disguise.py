"""What the critics hear in place of a wave: the real and the made one changed alike.

It keeps them from learning a small set by heart. They never hear anything undisguised,
so the generator has nothing to gain from imitating the disguise.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

GAIN_DB = 6.0  # up or down
TILT = 0.25  # 1 - TILT to 1 + TILT: the lowest pitch up by 2 dB and the highest down by as much
NOISE_DB = -50.0  # the loudest noise, against the real segment's own level


@dataclass(frozen=True)
class Disguise:
    """One random gain, polarity, circular shift, tilt and noise for each segment of a batch."""

    gain: Tensor  # (B, 1) signed amplitude factor
    shift_samples: Tensor  # (B, 1) integers in [0, T)
    tilt: Tensor  # (B, 1) share of the sample before that is added
    noise: Tensor  # (B, T) added at last, the same samples to real and made

    @classmethod
    def drawn(cls, real: Tensor, generator: torch.Generator) -> "Disguise":
        """One for each segment of a (B, T) batch; the generator is on the CPU.

        Silence gets no noise.
        """
        segments, samples = real.shape

        def evenly(most: float) -> Tensor:
            """(B, 1) in -most..most."""
            drawn = most * (2 * torch.rand(segments, 1, generator=generator) - 1)
            return drawn.to(real.device)

        polarity = 1 - 2 * torch.randint(2, (segments, 1), generator=generator)
        gain = polarity.to(real.device) * 10 ** (evenly(GAIN_DB) / 20)
        shift = torch.randint(samples, (segments, 1), generator=generator)
        level = real.square().mean(1, keepdim=True).sqrt() * gain * 10 ** (NOISE_DB / 20)
        noise = torch.randn(segments, samples, generator=generator).to(real.device)
        return cls(gain, shift.to(real.device), evenly(TILT), evenly(1.0) * level * noise)

    def __call__(self, wave: Tensor) -> Tensor:
        """(B, T) -> (B, T), differentiable."""
        samples = wave.shape[-1]
        places = torch.arange(samples, device=wave.device)[None] - self.shift_samples  # (B, T)
        moved = wave.gather(1, places % samples)
        return self.gain * (moved + self.tilt * moved.roll(1, 1)) + self.noise
