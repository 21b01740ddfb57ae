"""A training that begins with an earlier model's weights: whether they fit, and how.

What does not fit is said in a few words that go on after "begins anew: ". The old
model's sounds may have been louder or softer in their set; in log mels that is one number
added to every band, so its mean moves by that and its codes stay what they were.
"""

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from core.config import MelConfig, RvqvaeConfig
from core.prior import Prior
from core.rvqvae import LinearStart, RvqVae
from core.rvqvae_fit import first_levels

FITS = ""
OF_THE_SET = {"codebooks", "scales", "examples"}  # in a prior: not learnt


def codec_misfit(
    weights: Mapping[str, Tensor], old: RvqvaeConfig, config: RvqvaeConfig, codebook_size: int
) -> str:
    """Why an RVQ-VAE of the new settings cannot begin with these weights, or FITS.

    Args:
        weights: of one that the old settings made.
        codebook_size: that the new one shall have.
    """
    for name in ("stack_frames", "latent_dim", "hidden", "blocks"):
        before, now = getattr(old, name), getattr(config, name)
        if before != now:
            return f"rvqvae.{name} was {before}, is {now}"
    levels, codes = weights["codebooks"].shape[:2]
    if codes != codebook_size:
        return (
            f"codebooks had {codes} codes, the sounds now ask for {codebook_size} "
            f"(--set rvqvae.codebook_size={codes} keeps them)"
        )
    if levels > config.most_levels:
        return f"there were {levels} levels, rvqvae.most_levels is {config.most_levels}"
    return FITS


def at_gain(weights: Mapping[str, Tensor], old: float, gain: float) -> dict[str, Tensor]:
    """An RVQ-VAE's weights for the same sounds at another gain than the old one."""
    return {**weights, "mean": weights["mean"] + math.log(gain / old)}


def known_start(weights: Mapping[str, Tensor]) -> LinearStart:
    """The statistics, directions and codebooks of a trained RVQ-VAE."""
    return LinearStart(
        weights["mean"], weights["scale"], weights["encoder_linear"], weights["codebooks"]
    )


def continued_codec(
    start: LinearStart,
    levels: int,
    weights: Mapping[str, Tensor],
    mel: MelConfig,
    config: RvqvaeConfig,
) -> RvqVae:
    """An RVQ-VAE with this start's first levels and with what these weights' nets learnt."""
    model = RvqVae(first_levels(start, levels), mel, config)
    nets = {name: weights[name] for name, _ in model.named_parameters()}
    learnt = weights["decoder_linear"] - weights["encoder_linear"].T
    nets["decoder_linear"] = start.components.T + learnt
    model.load_state_dict({**model.state_dict(), **nets})
    return model


def taken_over(net: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """Load the weights if all of them fit: FITS, or the first that does not."""
    own = net.state_dict()
    for name in sorted({*own, *weights}):
        shapes = [tuple(one[name].shape) if name in one else None for one in (weights, own)]
        if shapes[0] != shapes[1]:
            return f"{name} was {_size(shapes[0])}, is {_size(shapes[1])}"
    net.load_state_dict(weights)
    return FITS


def _size(shape: tuple[int, ...] | None) -> str:
    return "not there" if shape is None else " x ".join(map(str, shape)) or "one number"


def prior_taken_over(
    prior: Prior,
    weights: Mapping[str, Tensor],
    old_labels: Sequence[str],
    labels: Sequence[str],
) -> str:
    """Load an old prior's weights into one for the same codes and perhaps more levels.

    What each level and each label had is kept; levels and labels that are new stay as they
    are. What belongs to the set (codebooks, examples, scales) is left alone.
    """
    levels, codes, dim = weights["codebooks"].shape
    if (codes, dim) != tuple(prior.codebooks.shape[1:]) or levels > prior.levels:
        now = _size(tuple(prior.codebooks.shape))
        return f"codebooks were {_size((levels, codes, dim))}, are {now}"
    merged = {name: value.clone() for name, value in prior.state_dict().items()}
    for name in sorted(merged.keys() - OF_THE_SET - {"label.weight"}):
        old, own = weights[name], merged[name]
        if old.shape[1:] != own.shape[1:] or len(old) > len(own):
            return f"{name} was {_size(tuple(old.shape))}, is {_size(tuple(own.shape))}"
        own[: len(old)] = old
    for place, label in enumerate(labels):
        if label in old_labels:
            merged["label.weight"][place] = weights["label.weight"][old_labels.index(label)]
    prior.load_state_dict(merged)
    return FITS
