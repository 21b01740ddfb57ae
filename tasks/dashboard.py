"""A training's progress on the Prefect dashboard, when a Prefect task is under way."""

import sys
from uuid import UUID


class DashboardProgress:
    """One progress artifact, renewed at every evaluation; outside of Prefect it does nothing.

    `distill generate` never loads Prefect, so it is looked for, not imported.
    """

    def __init__(self, title: str):
        self.title = title
        self.artifact: UUID | None = None

    def update(self, done: int, total: int, note: str) -> None:
        if "prefect" not in sys.modules:
            return
        from prefect.artifacts import create_progress_artifact, update_progress_artifact
        from prefect.context import TaskRunContext

        if TaskRunContext.get() is None:
            return
        percent = 100.0 * done / max(1, total)
        text = f"{self.title}: step {done} of {total}, {note}"
        if self.artifact is None:
            made = create_progress_artifact(percent, key=f"training-{self.title}", description=text)
            assert isinstance(made, UUID)
            self.artifact = made
        else:
            update_progress_artifact(self.artifact, percent, description=text)
