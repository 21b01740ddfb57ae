"""The one training loop that every model uses, resumable at any step.

A step's batch, dropout and augmentation are pure functions of (seed, step), and
learning rates pure functions of the step. So the whole state of a training is
its weights, its optimisers' moments, the best weights so far and a number: a
run resumed from a checkpoint equals an uninterrupted one bit for bit.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from core.errors import TrainingError


def step_seed(seed: int, step: int, purpose: str = "") -> int:
    """A 63-bit seed for one step, independent of its neighbours' seeds."""
    text = f"{seed}/{step}/{purpose}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def step_generator(seed: int, step: int, purpose: str = "") -> torch.Generator:
    """A CPU random generator that depends on (seed, step, purpose) alone."""
    return torch.Generator().manual_seed(step_seed(seed, step, purpose))


def warm_cosine(step: int, steps: int, peak: float, warm_up: int = 50) -> float:
    """Learning rate at `step`: a linear rise over `warm_up` steps, then a cosine fall to zero.

    >>> warm_cosine(0, 1000, 1.0), warm_cosine(49, 1000, 1.0), warm_cosine(1000, 1000, 1.0)
    (0.02, 1.0, 0.0)
    """
    warm_up = min(warm_up, max(1, steps // 10))
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


class Trainer(ABC):
    """What the loop needs to know about a model in training."""

    modules: dict[str, nn.Module]  # everything with weights, by name
    optimizers: dict[str, torch.optim.Optimizer]
    packaged: str  # the module whose best weights are the result
    patience_begins = 0  # updates done before evaluations without improvement count

    @abstractmethod
    def step(self, number: int) -> dict[str, Tensor]:
        """One update. Returns its scalar losses, detached; the first is the one to watch."""

    def drawn(self, number: int) -> list[int]:  # noqa: ARG002  # for those that draw
        """Places, among the training sounds it was given, of those in a step's batch."""
        return []

    def remark(self, history: Sequence[Mapping[str, float]]) -> str | None:  # noqa: ARG002
        """What is worth saying of the evaluations so far, one row each; None for nothing."""
        return None

    @abstractmethod
    def held_out_loss(self) -> float:
        """Loss on held-out data, lower is better; the same weights give the same number."""


@dataclass
class TrainingState:
    """All that a checkpoint holds."""

    step: int  # updates done
    tensors: dict[str, Tensor]
    best_loss: float
    best_step: int
    history: list[dict[str, float]] = field(default_factory=list)  # one row an evaluation


@dataclass(frozen=True)
class Progress:
    """One update, as the loop yields it."""

    step: int  # updates done, 1 after the first
    steps: int
    losses: Mapping[str, Tensor]
    held_out: float | None  # only when this step was evaluated


class Fit:
    """The loop: iterate over it to train; `state()` at any moment is a checkpoint.

    Args:
        steps: updates in all; the last one is always evaluated.
        evaluate_every: held-out evaluations, on which the best weights are kept.
        patience: evaluations without improvement after which training stops; 0 never stops.
    """

    def __init__(self, trainer: Trainer, steps: int, evaluate_every: int, patience: int = 0):
        self.trainer = trainer
        self.steps = steps
        self.evaluate_every = evaluate_every
        self.patience = patience
        self.step = 0
        self.best_loss = finite("held-out loss", trainer.held_out_loss(), 0)  # may stay the best
        self.best_step = 0
        self.best = copied(trainer.modules[trainer.packaged].state_dict())
        self.history: list[dict[str, float]] = [{"step": 0, "held_out": self.best_loss}]
        self._unchecked: list[Mapping[str, Tensor]] = []  # losses of the latest steps, in order

    @property
    def finished(self) -> bool:
        """Whether every step is done, or held-out loss has stopped falling."""
        if self.step >= self.steps:
            return True
        since = max(self.best_step, self.trainer.patience_begins)
        waited = (self.step - since) // self.evaluate_every
        return self.patience > 0 and waited >= self.patience

    def __iter__(self) -> Iterator[Progress]:
        """Train to the end, yielding after every update.

        Raises:
            TrainingError: a loss is not finite; says which and at which step.
        """
        while not self.finished:
            losses = self.trainer.step(self.step)
            self.step += 1
            self._unchecked.append(losses)
            held_out = None
            if self.step % self.evaluate_every == 0 or self.step == self.steps:
                held_out = self._evaluate(losses)
            yield Progress(self.step, self.steps, losses, held_out)

    def _evaluate(self, losses: Mapping[str, Tensor]) -> float:
        self.check()
        held_out = finite("held-out loss", self.trainer.held_out_loss(), self.step)
        row = {name: float(value) for name, value in losses.items()}
        self.history.append({"step": self.step, "held_out": held_out, **row})
        if held_out < self.best_loss:
            self.best_loss, self.best_step = held_out, self.step
            self.best = copied(self.trainer.modules[self.trainer.packaged].state_dict())
        return held_out

    def check(self) -> None:
        """Look at the losses of all steps since the last look: only now are they waited for.

        Raises:
            TrainingError: one is not finite; names the first step where it is so.
        """
        first = self.step - len(self._unchecked)
        for number, losses in enumerate(self._unchecked, first + 1):
            for name, value in losses.items():
                try:
                    finite(name, float(value), number)
                except TrainingError as error:
                    batch = sorted(set(self.trainer.drawn(number - 1)))
                    raise TrainingError(str(error), batch) from None
        self._unchecked.clear()

    def state(self) -> TrainingState:
        """Everything that `restore` needs, as flat named tensors and numbers.

        The tensors are the living ones: write or copy them before the next step.
        """
        tensors = {f"best/{name}": value for name, value in self.best.items()}
        for module_name, module in self.trainer.modules.items():
            for name, value in module.state_dict().items():
                tensors[f"module/{module_name}/{name}"] = value.detach()
        for optimizer_name, optimizer in self.trainer.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                for name, value in moments.items():
                    tensors[f"optimizer/{optimizer_name}/{index}/{name}"] = value
        return TrainingState(self.step, tensors, self.best_loss, self.best_step, self.history)

    def restore(self, state: TrainingState) -> None:
        """Continue from a checkpoint of the same trainer."""
        self.step, self.history = state.step, list(state.history)
        self.best_loss, self.best_step = state.best_loss, state.best_step
        self.best = below("best/", state.tensors)
        for name, module in self.trainer.modules.items():
            module.load_state_dict(below(f"module/{name}/", state.tensors))
        for name, optimizer in self.trainer.optimizers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in below(f"optimizer/{name}/", state.tensors).items():
                index, _, moment = key.partition("/")
                moments.setdefault(int(index), {})[moment] = value
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def best_weights(self) -> dict[str, Tensor]:
        """The packaged module's weights at its lowest held-out loss, on the CPU."""
        return {name: value.cpu() for name, value in self.best.items()}


def finite(name: str, value: float, step: int) -> float:
    """The value itself.

    Raises:
        TrainingError: it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise TrainingError(
            f"{name} is {value} at step {step}; the last good checkpoint is kept, "
            "try another --seed or a lower learning rate"
        )
    return value


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A detached copy that further training does not change."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries under a prefix, with the prefix taken off."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
