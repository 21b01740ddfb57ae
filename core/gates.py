"""The checks a model must pass, in plain words with what to do when it doesn't."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.comparison import Distance
from core.config import VocoderName

Figures = Mapping[str, Any]  # a training's record
GateName = Literal[
    "utilisation", "reconstruction", "prior", "counting", "labels", "copying", "nearness",
    "grain", "likeness", "variety", "vocoder", "forgetting",
    "mels", "duration", "pitch", "clipping", "images", "buzz",
]  # fmt: skip

ON_LITTLE = " Few files, so judged on little: the ends of the sounds, or one of them."
ON_HEARD = " They are trained on by now, so this is kinder than it should be."
BOTH = ("density", "coverage")
ON_TRAINING_SOUNDS: set[GateName] = {"utilisation", "grain"}
LABELS_HELP = 0.99  # of the nats with wrong labels: less is chance
MORE = "Add sounds, or train longer (--preset standard)."
FORGOTTEN = 0.05  # more lost of the old sounds than the model before lost


@dataclass(frozen=True)
class Gate:
    value: float
    limit: float
    passed: bool
    text: str

    def of_few_files(self) -> "Gate":
        """The same, saying that only the sounds' ends were held out."""
        return dataclasses.replace(self, text=self.text + ON_LITTLE)

    def of_heard_sounds(self) -> "Gate":
        """The same, saying that they are held out no more."""
        return dataclasses.replace(self, text=self.text + ON_HEARD)


def worst(values: Iterable[float], of: Callable[[Iterable[float]], float]) -> float:
    """The least or the greatest; NaN if one is no number, which `min` and `max` may skip."""
    every = list(values)
    return of(every) if all(math.isfinite(one) for one in every) else math.nan


def at_most(value: float, limit: float, good: str, bad: str) -> Gate:
    return Gate(value, limit, value <= limit, good if value <= limit else bad)


def at_least(value: float, limit: float, good: str, bad: str) -> Gate:
    return Gate(value, limit, value >= limit, good if value >= limit else bad)


def codec_gates(rvqvae: Figures) -> dict[GateName, Gate]:
    """Of the RVQ-VAE's record."""
    return {
        "utilisation": at_least(
            worst(rvqvae["health"]["utilisation"], min),
            0.8,
            "Every level uses its codes.",
            "Codes lie idle: the set is small or uniform. Add sounds, or build with "
            "--set rvqvae.codebook_size= half as many.",
        ),
        "reconstruction": at_most(
            rvqvae["log_mel_l1"],
            1.05 * rvqvae["vae_log_mel_l1"],
            "Codes keep as much of a sound as a continuous model does.",
            "Codes lose more than a continuous model would. Add sounds, or allow more levels "
            "(--set rvqvae.most_levels=24).",
        ),
    }


def prior_gates(prior: Figures, judged: Figures, seconds: float) -> dict[GateName, Gate]:
    """Of the prior's record and of what its new sounds were found to be.

    Args:
        seconds: of sound that the prior was trained on.
    """
    levels = prior["per_level"]
    pairs = zip(levels["nats"], levels["bigram_nats"], strict=True)
    beside_pairs = worst((ours / counted for ours, counted in pairs), max)
    real, new = judged["overlap_8gram_real"], judged["overlap_8gram"]
    likeness = judged["realism"]
    gates: dict[GateName, Gate] = {
        "prior": at_most(
            prior["nats_per_frame"],
            0.7 * prior["unigram_nats_per_frame"],
            "The model has learnt how these sounds unfold.",
            f"The model hardly knows what follows what: new sounds will wander. {MORE}",
        ),
        "counting": at_most(
            beside_pairs,
            1.0,
            "On every level the model knows more than a count of which code follows which.",
            f"On one level at least, counting pairs of codes does better than the model. {MORE}",
        ),
        "copying": at_most(
            new,
            min(max(0.05, 2 * real), (1 + real) / 2),
            "New sounds are new: they repeat the training sounds no more than real ones do.",
            f"The model copies: it has learnt its {seconds:.0f} s of sound by heart. Add sounds, "
            "or raise creativity when generating.",
        ),
        "nearness": at_least(
            likeness["nearest"],
            # Held-out tails are far from every training sound, and so would all but copies be.
            min(0.5 * likeness["nearest_real"], 2 * likeness["nearest_copy"]),
            "New sounds are no copies: they keep well away from the nearest training sound.",
            f"New sounds stay very close to one of the training sounds ({seconds:.0f} s in all). "
            "Add sounds, or raise creativity when generating.",
        ),
        "grain": at_most(
            abs(likeness["frame_delta_ratio"] - 1),
            0.15,
            "New sounds are as restless as real ones.",
            "New sounds are smoother than real ones. Train the texture longer "
            "(--set texture.steps=)."
            if likeness["frame_delta_ratio"] < 1
            else f"New sounds flicker more than real ones. {MORE}",
        ),
        "likeness": at_most(
            likeness["frechet"],
            likeness["frechet_real"],
            "New sounds are spread like the training sounds, as near as real ones are.",
            f"New sounds are spread otherwise than the training sounds. {MORE}",
        ),
        "variety": at_least(
            worst((likeness[one] / max(likeness[f"{one}_real"], 1e-9) for one in BOTH), min),
            0.8,
            "New sounds are both typical and varied.",
            "New sounds miss parts of what the training sounds are, or stray from them. "
            "Add sounds like the rare ones, or raise creativity when generating.",
        ),
    }
    told = prior["label_nats"]
    if told:
        gates["labels"] = at_most(
            told["right"],
            LABELS_HELP * told["wrong"],
            "The folders' names mean something: --like gives sounds of that folder's kind.",
            "The folders' names say nothing about the sounds in them: --like will not work. Sort "
            "the sounds into folders by kind.",
        )
    return gates


def vocoder_gate(from_model: Mapping[VocoderName, Distance], best: VocoderName) -> Gate:
    """Of the held-out comparison."""
    griffin_lim = from_model["griffinlim"].mr_stft
    trained = [one for name, one in from_model.items() if name != "griffinlim"]
    return at_most(
        min((one.mr_stft for one in trained), default=griffin_lim),
        griffin_lim,
        f"The sound is made by {best}, which won this model's own comparison.",
        "No trained vocoder does better than Griffin-Lim, which is used instead. Train "
        "longer (--preset standard).",
    )


def memory_gates(old: Figures, heard_now: bool) -> dict[GateName, Gate]:
    """Of a model that goes on from another; none where nothing is left that one held out.

    Args:
        old: L1 of both on the sounds that the one before held out.
        heard_now: the new model has been trained on those.
    """
    if not old["sounds"]:
        return {}
    gate = at_most(
        old["log_mel_l1"] / old["log_mel_l1_before"] - 1,
        FORGOTTEN,
        "The old sounds are not forgotten: of held-out ones as much is kept as before.",
        "The old sounds are partly forgotten: more is lost of held-out ones than before. Add more "
        "of their kind, train longer (--preset standard), or build without --from.",
    )
    return {"forgetting": gate.of_heard_sounds() if heard_now else gate}
