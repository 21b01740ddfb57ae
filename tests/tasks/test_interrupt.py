import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from artifacts.checkpoint import Checkpoints
from core.training import Trainer, step_generator
from tasks.interrupt import Interrupted, asked_to_stop, stop_if_asked, stoppable
from tasks.progress import bar
from tasks.step import Run
from tasks.training import train


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A test that fails leaves the signals as it found them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_only_asks(number: int) -> None:
    with stoppable():
        press(number)
        assert asked_to_stop()
        with pytest.raises(Interrupted):
            stop_if_asked()


def test_a_second_signal_stops_at_once() -> None:
    with stoppable():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()


def test_what_was_asked_ends_with_the_outermost_block() -> None:
    with stoppable():
        with stoppable():
            press()
        assert asked_to_stop()
    assert not asked_to_stop()
    stop_if_asked()


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bar_is_where_work_stops() -> None:
    done = []

    def work() -> None:
        with stoppable(), bar("work", 9) as progress:
            for number in range(9):
                if number == 4:
                    press(signal.SIGTERM)
                done.append(number)
                progress.update(number + 1)

    with pytest.raises(Interrupted):
        work()
    assert done == [0, 1, 2, 3, 4]


class Walk(Trainer):
    """A weight that takes random steps; asks to stop in the middle of step `stop_at`."""

    packaged = "walker"

    def __init__(self, stop_at: int = -1):
        self.walker, self.stop_at = nn.Linear(2, 1), stop_at
        nn.init.zeros_(self.walker.weight)
        nn.init.zeros_(self.walker.bias)
        self.modules: dict[str, nn.Module] = {"walker": self.walker}
        self.optimizers = {"adam": torch.optim.Adam(self.walker.parameters(), lr=0.1)}

    def step(self, number: int) -> dict[str, Tensor]:
        if number == self.stop_at:
            press()
        target = torch.randn(2, generator=step_generator(0, number))
        loss = (self.walker.weight - target).square().mean()
        self.optimizers["adam"].zero_grad()
        loss.backward()
        self.optimizers["adam"].step()
        return {"loss": loss.detach()}

    def held_out_loss(self) -> float:
        return float((self.walker.weight.detach() - 1).square().mean())


def test_a_stopped_training_loses_no_step_and_ends_the_same(tmp_path: Path) -> None:
    whole = Run(str(tmp_path / "whole"), key="k")
    stopped = Run(str(tmp_path / "stopped"), key="k")
    expected = train(whole, "walk", Walk(), 23, evaluate_every=5, sounds=())
    with pytest.raises(Interrupted), stoppable():
        train(stopped, "walk", Walk(stop_at=12), 23, evaluate_every=5, sounds=())
    kept = Checkpoints(stopped.checkpoints / "walk").newest()
    assert kept is not None
    assert kept.step == 13  # between two evaluations
    resumed = train(stopped, "walk", Walk(), 23, evaluate_every=5, sounds=())
    assert resumed.history == expected.history
    assert all(torch.equal(resumed.best[name], expected.best[name]) for name in expected.best)
