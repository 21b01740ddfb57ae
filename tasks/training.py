"""Running core's training loop with checkpoints and progress."""

import contextlib
from collections.abc import Iterator, Sequence

import torch

from artifacts.checkpoint import Checkpoints
from core.errors import TrainingError
from core.training import Fit, Trainer
from tasks.dashboard import DashboardProgress
from tasks.interrupt import Interrupted
from tasks.progress import bar, say
from tasks.step import Run


def train(
    run: Run,
    title: str,
    trainer: Trainer,
    steps: int,
    evaluate_every: int,
    sounds: Sequence[str],
    patience: int = 0,
) -> Fit:
    """Train to the end, from the newest checkpoint if there is one.

    A checkpoint is written at every evaluation and at the end; they stay until the
    step's result is stored. When the user asks to stop, one is written after the step
    under way. The trainer's first remark is said.

    Args:
        sounds: digests of the training sounds, by the places that the trainer knows.
    """
    checkpoints = Checkpoints(run.checkpoints / title)
    fit = Fit(trainer, steps, evaluate_every, patience)
    state = checkpoints.newest()
    if state is not None:
        fit.restore(state)
        say(f"{title}: continuing from step {state.step} of {steps}")
    dashboard, remarked = DashboardProgress(title), False
    with (
        _named(title, sounds),
        _kept(fit, checkpoints),
        bar(title, steps, fit.step) as progress,
        reproducible(),
    ):
        for update in fit:
            note = ""
            if update.held_out is not None:
                note = f"held-out {update.held_out:.4f}"
                checkpoints.save(fit.state())
                dashboard.update(update.step, steps, note)
                remark = None if remarked else trainer.remark(fit.history)
                if remark is not None:
                    remarked = True
                    say(f"{title}: step {update.step}: {remark}")
            elif progress.due():
                name, loss = next(iter(update.losses.items()))
                note = f"{name} {float(loss):.4f}"
            progress.update(update.step, note)
    best = f"best {fit.best_loss:.4f} at step {fit.best_step}"
    if steps:
        say(f"{title}: {fit.step} steps, loss {fit.history[0]['held_out']:.4f} at first, {best}")
    return fit


NAMED_DIGITS = 12  # of a sound's digest


@contextlib.contextmanager
def _named(title: str, sounds: Sequence[str]) -> Iterator[None]:
    """An error says which training it comes from, and which sounds the step had drawn."""
    try:
        yield
    except TrainingError as error:
        drawn = ", ".join(sounds[place][:NAMED_DIGITS] for place in error.batch)
        batch = f" (the step had drawn {drawn})" if drawn else ""
        raise TrainingError(f"{title}: {error}{batch}", error.batch) from error


@contextlib.contextmanager
def _kept(fit: Fit, checkpoints: Checkpoints) -> Iterator[None]:
    """An asked-for stop loses no step; what has gone wrong is not kept."""
    try:
        yield
    except Interrupted:
        fit.check()
        checkpoints.save(fit.state())
        raise


@contextlib.contextmanager
def reproducible() -> Iterator[None]:
    """Torch picks algorithms that give the same bits every time, where it has them."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums are added up in one order: a fit that no checkpoint holds comes out the same again.

    Setting the number of threads also stops MKL from choosing its own by the machine's load.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
