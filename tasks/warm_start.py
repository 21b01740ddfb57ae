"""Beginning a training with the weights of the model that the build goes on from."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from artifacts.parent import Parent
from core.warm_start import FITS, taken_over
from tasks.progress import say


def told(title: str, parent: Parent, misfit: str) -> dict[str, Any]:
    """Say how a training begins; what its record says of that."""
    if misfit == FITS:
        say(f"{title}: goes on from {parent.name}")
    else:
        say(f"{title}: begins anew, not from {parent.name}: {misfit}")
    return {"begins_anew": misfit}


def begun(
    title: str, parent: Parent, net: nn.Module, weights: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Load the weights, if there are any, into the net where they fit; what the record says."""
    return told(title, parent, taken_over(net, weights) if weights else "it has none")
