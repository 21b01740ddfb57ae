import io

import pytest
from rich.console import Console

from tasks import progress
from tasks.progress import bar, fetching, say


class Clock:
    """time.monotonic, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


@pytest.mark.parametrize(
    "line", ["left out: [red]a[/red].wav", "left out: :bell:.wav is silent", "x" * 300]
)
def test_a_line_is_said_as_it_is_on_stderr(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(line)
    assert capsys.readouterr() == ("", f"{line}\n")


def test_without_a_terminal_there_is_a_line_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with bar("prior", 100) as shown:
        for step in range(1, 51):  # half a second each
            clock.now += 0.5
            shown.update(step, f"loss {step}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "prior: 20 of 100  loss 20  40 s left",
        "prior: 40 of 100  loss 40  30 s left",
    ]


def test_work_done_before_does_not_count_as_speed(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with bar("freev", 1000, first=900) as shown:
        clock.now += 20
        shown.update(910)
    assert capsys.readouterr().err == "freev: 910 of 1000    3.0 min left\n"


def test_a_note_is_due_when_it_would_be_drawn(clock: Clock) -> None:
    with bar("prior", 10) as shown:
        assert not shown.due()
        clock.now += 10
        assert shown.due()
        shown.update(1)
        assert not shown.due()


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(progress.sys, "stderr", out)
    monkeypatch.setattr(progress, "console", Console(file=out, force_terminal=True, width=100))
    with bar("prior", 100) as shown:
        shown.update(30, "held-out 1.5")
    assert "30/100" in out.getvalue()
    assert "held-out 1.5" in out.getvalue()


def test_a_fetch_is_told_in_megabytes_once_there_is_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with fetching("BigVGAN"):
        pass
    assert capsys.readouterr().err == ""
    with fetching("BigVGAN") as tell:
        for here in (100_000_000, 150_000_000, 489_041_291):
            tell(here, 489_041_291)
            clock.now += 6
    assert capsys.readouterr().err.splitlines() == [
        "BigVGAN is fetched: 489 MB, this once",
        "fetch: 489 of 489  MB  0 s left",
    ]
