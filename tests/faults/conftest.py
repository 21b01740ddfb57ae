"""A short run of everything here is among the slow checks; `make faults` runs the full counts.

It sets DISTILL_FAULTS=full, and a table closes either run.
"""

import pytest
from fault_table import HEAD, Tally

TABLE: list[Tally] = []


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """The row of this test, named by the first line of its docstring."""
    row = Tally((request.function.__doc__ or request.node.name).splitlines()[0].rstrip("."))
    TABLE.append(row)
    return row


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE:
        terminalreporter.section("faults")
        terminalreporter.write_line(HEAD)
        for row in TABLE:
            terminalreporter.write_line(str(row))
