"""What a person sees while a build runs: bars on a terminal, plain lines elsewhere, on stderr.

Inside a Prefect run the same numbers also become a progress artifact on the
dashboard.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.interrupt import stop_if_asked

PLAIN_EVERY_SECONDS = 10.0

console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def say(line: str) -> None:
    """One line to stderr, above a running bar if there is one."""
    console.print(line, markup=False)


class Bar:
    """Progress of one stage. `update` may be called at every step; it draws when it is time."""

    def __init__(self, title: str, total: int, first: int, rich_bar: Progress | None):
        self.title, self.total, self.first = title, total, first
        self.rich_bar = rich_bar
        self.task = (
            rich_bar.add_task(title, total=total, completed=first, note="") if rich_bar else None
        )
        self.began = self.drawn = time.monotonic()
        self.note = ""

    def due(self) -> bool:
        """Whether a note would be drawn now; saves computing it."""
        wait = 0.5 if self.rich_bar else PLAIN_EVERY_SECONDS
        return time.monotonic() - self.drawn >= wait

    def update(self, done: int, note: str = "") -> None:
        """Show how far it is.

        Raises:
            Interrupted: the user asked to stop; between two updates it is safe to.
        """
        self.note = note or self.note
        if self.rich_bar is not None and self.task is not None:
            self.rich_bar.update(self.task, completed=done, note=self.note)
        elif self.due():
            say(f"{self.title}: {done} of {self.total}  {self.note}  {self._left(done)}")
        if self.due():
            self.drawn = time.monotonic()
        stop_if_asked()

    def _left(self, done: int) -> str:
        if done <= self.first:
            return ""
        spent = time.monotonic() - self.began
        left = spent * (self.total - done) / (done - self.first)
        return f"{left / 60:.1f} min left" if left > 90 else f"{left:.0f} s left"


@contextlib.contextmanager
def bar(title: str, total: int, first: int = 0) -> Iterator[Bar]:
    """A progress bar for `total` units of work, of which `first` are done already."""
    if not sys.stderr.isatty():
        yield Bar(title, total, first, None)
        return
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as rich_bar:
        yield Bar(title, total, first, rich_bar)


@contextlib.contextmanager
def fetching(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how many bytes are here and in all; it shows a bar once it is told."""
    with contextlib.ExitStack() as stack:
        shown: list[Bar] = []

        def tell(here: int, in_all: int) -> None:
            done = here // 1_000_000
            if not shown:
                megabytes = round(in_all / 1e6)
                say(f"{what} is fetched: {megabytes} MB, this once")
                shown.append(stack.enter_context(bar("fetch", megabytes, done)))
            shown[0].update(done, "MB")

        yield tell
