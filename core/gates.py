"""The checks a model must pass, in plain words with what to do when it doesn't."""

from dataclasses import dataclass
from typing import Literal

from core.comparison import Distance
from core.config import VocoderName


@dataclass(frozen=True)
class Gate:
    value: float
    limit: float
    passed: bool
    text: str


GateName = Literal["utilisation", "reconstruction", "prior", "copying", "vocoder"]


def gates(
    utilisation: list[float],
    log_mel_l1: float,
    vae_log_mel_l1: float,
    nats: float,
    unigram_nats: float,
    overlap: float,
    overlap_real: float,
    from_model: dict[VocoderName, Distance],
    best: VocoderName,
    few_files: bool,
) -> dict[GateName, Gate]:
    """Every gate of a finished model.

    Args:
        few_files: only tails of the sounds were held out, which texts of held-out figures say.
    """
    judged = " Few files, so judged on little: the ends of the sounds, or one of them."
    judged = judged if few_files else ""

    def at_most(value: float, limit: float, good: str, bad: str) -> Gate:
        return Gate(value, limit, value <= limit, (good if value <= limit else bad) + judged)

    griffin_lim = from_model["griffinlim"].mr_stft
    trained = [one for name, one in from_model.items() if name != "griffinlim"]
    least = min(utilisation)
    enough = least >= 0.8
    return {
        "utilisation": Gate(
            least,
            0.8,
            enough,
            "Every level uses its codes."
            if enough
            else "Codes lie idle: the set is small or uniform. Add sounds, or build with "
            "--set rvqvae.codebook_size= half as many.",
        ),
        "reconstruction": at_most(
            log_mel_l1,
            1.05 * vae_log_mel_l1,
            "Codes keep as much of a sound as a continuous model does.",
            "Codes lose more than a continuous model would. Add sounds, or allow more levels "
            "(--set rvqvae.most_levels=12).",
        ),
        "prior": at_most(
            nats,
            0.7 * unigram_nats,
            "The model has learnt how these sounds unfold.",
            "The model hardly knows what follows what: new sounds will wander. Add sounds, or "
            "train longer (--preset standard).",
        ),
        "copying": at_most(
            overlap,
            min(max(0.05, 2 * overlap_real), (1 + overlap_real) / 2),
            "New sounds are new: they repeat the training sounds no more than real ones do.",
            "New sounds copy the training sounds. Add sounds, or raise creativity when generating.",
        ),
        "vocoder": at_most(
            min((one.mr_stft for one in trained), default=griffin_lim),
            griffin_lim,
            f"The sound is made by {best}, the best of this model's own comparison.",
            "No trained vocoder does better than Griffin-Lim, which is used instead. Train "
            "longer (--preset standard).",
        ),
    }
