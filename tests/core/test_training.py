"""The loop: which weights are kept, when it stops, and that a restored one is the same loop."""

import copy
import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from core.errors import TrainingError
from core.training import Fit, Trainer, step_generator, step_seed, warm_cosine


class Scripted(Trainer):
    """Its one weight counts the steps; its held-out losses are read from a list."""

    packaged = "net"

    def __init__(self, held_out: Sequence[float], loss: float = 1.0):
        self.net = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.net.weight)
        self.modules: dict[str, nn.Module] = {"net": self.net}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.script, self.loss = iter(held_out), loss

    def step(self, number: int) -> dict[str, Tensor]:
        assert number == int(self.net.weight)  # each step once, in order
        with torch.no_grad():
            self.net.weight += 1
        return {"loss": torch.tensor(self.loss)}

    def held_out_loss(self) -> float:
        return next(self.script)


class Quadratic(Trainer):
    """AdamW on a random quadratic: its moments matter."""

    packaged = "net"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net, self.other = nn.Linear(4, 4), nn.Linear(4, 1)
        self.modules: dict[str, nn.Module] = {"net": self.net, "other": self.other}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.AdamW(part.parameters(), lr=0.1)
            for name, part in self.modules.items()
        }

    def step(self, number: int) -> dict[str, Tensor]:
        x = torch.randn(8, 4, generator=step_generator(0, number))
        loss = self.other(self.net(x)).square().mean()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"loss": loss.detach()}

    def held_out_loss(self) -> float:
        return float(self.net.weight.detach().square().sum())


def run(fit: Fit) -> list[tuple[int, float | None]]:
    return [(progress.step, progress.held_out) for progress in fit]


def test_weights_of_the_lowest_held_out_loss_are_kept() -> None:
    fit = Fit(Scripted([5, 3, 4, 2, 6]), steps=8, evaluate_every=2)
    run(fit)
    assert (fit.best_loss, fit.best_step) == (2, 6)
    assert float(fit.best_weights()["weight"]) == 6


def test_start_is_kept_if_no_step_improves_on_it() -> None:
    fit = Fit(Scripted([1, 3, 1]), steps=4, evaluate_every=2)
    run(fit)
    assert (fit.best_loss, fit.best_step) == (1, 0)
    assert float(fit.best_weights()["weight"]) == 0


def test_held_out_loss_is_measured_on_time_and_always_after_the_last_step() -> None:
    fit = Fit(Scripted([5, 4, 3, 2]), steps=5, evaluate_every=2)
    assert run(fit) == [(1, None), (2, 4), (3, None), (4, 3), (5, 2)]
    assert [(row["step"], row["held_out"]) for row in fit.history] == [
        (0, 5),
        (2, 4),
        (4, 3),
        (5, 2),
    ]


def test_patience_stops_after_so_many_evaluations_without_improvement() -> None:
    fit = Fit(Scripted([5, 4, 6, 6, 6, 6]), steps=50, evaluate_every=2, patience=2)
    assert run(fit)[-1] == (6, 6)
    assert fit.finished


def test_patience_begins_where_the_trainer_says() -> None:
    trainer = Scripted([5, 4, 6, 6, 6, 6])
    trainer.patience_begins = 4
    assert run(Fit(trainer, steps=50, evaluate_every=2, patience=2))[-1] == (8, 6)


def test_without_patience_every_step_is_done() -> None:
    fit = Fit(Scripted([5.0] * 6), steps=10, evaluate_every=2)
    assert len(run(fit)) == 10


def test_finished_training_has_no_more_steps() -> None:
    fit = Fit(Scripted([5, 4]), steps=2, evaluate_every=2)
    run(fit)
    assert run(fit) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_no_number_stops_training_and_says_where(value: float) -> None:
    with pytest.raises(TrainingError, match=rf"held-out loss is {value} at step 2;"):
        run(Fit(Scripted([5, value]), steps=4, evaluate_every=2))
    with pytest.raises(TrainingError, match=rf"^loss is {value} at step 1;"):
        run(Fit(Scripted([5, 4], loss=value), steps=4, evaluate_every=2))


def test_restored_loop_equals_an_uninterrupted_one() -> None:
    whole = Fit(Quadratic(), steps=9, evaluate_every=2)
    saved = None
    for progress in whole:
        if progress.step == 5:
            saved = copy.deepcopy(whole.state())
    assert saved is not None
    resumed = Fit(Quadratic(), steps=9, evaluate_every=2)
    resumed.restore(saved)
    assert [step for step, _ in run(resumed)] == [6, 7, 8, 9]
    expected, found = whole.state(), resumed.state()
    assert expected.tensors.keys() == found.tensors.keys()
    assert all(torch.equal(found.tensors[n], value) for n, value in expected.tensors.items())
    for part in ("step", "best_loss", "best_step", "history"):
        assert getattr(found, part) == getattr(expected, part)


def test_state_holds_weights_moments_and_the_best_weights() -> None:
    fit = Fit(Quadratic(), steps=1, evaluate_every=1)
    run(fit)
    names = set(fit.state().tensors)
    assert {"module/net/weight", "module/other/bias", "best/weight"} <= names
    assert {"optimizer/net/0/exp_avg_sq", "optimizer/other/1/step"} <= names
    assert not any(name.startswith("best/other") for name in names)


def test_step_seeds_differ_by_seed_step_and_purpose() -> None:
    seeds = {step_seed(s, n, p) for s in range(10) for n in range(50) for p in ("", "a", "b")}
    assert len(seeds) == 1500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert step_seed(1, 11) != step_seed(11, 1)


def test_step_generator_is_a_function_of_its_arguments_alone() -> None:
    first, again = (torch.rand(5, generator=step_generator(3, 7, "x")) for _ in range(2))
    assert torch.equal(first, again)


def test_rate_rises_in_a_line_then_falls_on_a_cosine() -> None:
    rates = [warm_cosine(n, 1050, 2.0) for n in range(1051)]
    assert rates[:50] == pytest.approx([2 * (n + 1) / 50 for n in range(50)])
    assert rates[550] == pytest.approx(1.0)  # half way down
    assert rates[300] == pytest.approx(1 + math.cos(math.pi / 4))
    assert rates[50:] == sorted(rates[50:], reverse=True)


def test_short_training_warms_up_for_a_tenth_of_it() -> None:
    rates = [warm_cosine(n, 30, 1.0) for n in range(30)]
    assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert warm_cosine(0, 1, 1.0) == 1


def test_a_loss_that_is_no_number_names_what_its_step_had_drawn() -> None:
    class Drawing(Scripted):
        def drawn(self, number: int) -> list[int]:
            return [number + 5, 2, 2]

    with pytest.raises(TrainingError, match="loss is nan at step 1") as raised:
        list(Fit(Drawing([1.0, 1.0], loss=math.nan), 1, 1))
    assert raised.value.batch == (2, 5)  # step 1 is the first, number 0
