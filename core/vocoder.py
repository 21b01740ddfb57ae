"""What every vocoder is: a log mel in, a wave of exactly F * hop samples out."""

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor

from core.config import AnyVocoderName

# What neighbouring stretches of a sound have in common where they overlap: every sample, the
# phases, or neither.
Seam = Literal["same", "alike", "unlike"]


class Vocoder(ABC):
    """Turns log mels of the mel contract into sound.

    Whatever is slow to make (weights, filterbanks) is made in the constructor;
    `wave` may be called again and again and gives the same samples for the same arguments.
    """

    name: AnyVocoderName
    reach_frames: int  # on each side of a stretch: what more it has to hear
    seam: Seam = "same"

    @abstractmethod
    def wave(
        self, log_mel: Tensor, first_frame: int = 0, seed: int = 0, before: Tensor | None = None, /
    ) -> Tensor:
        """(F, M) natural-log mel -> (F * hop_samples,) float32 on the CPU.

        The level is the mel's own; a sample may exceed 1 and is scaled by the caller,
        never clipped.

        Args:
            first_frame: where in the whole sound the mel begins; what a vocoder draws hangs
                on the place, so that stretches of a sound fit together,
            seed: and on this, so that two sounds have not the same hiss.
            before: (F' * hop_samples,) what has been played of the first F' frames, at least 2,
                for phases to go on from.
        """
