"""What Prefect keeps of a step's result, altered byte by byte.

    python tests/altered_results.py STORE COUNT

runs a step in a flow once, and again after each damage. Prints one JSON object: how
often, and every damage after which the step did not give what it had given. A process of
its own, because Prefect reads its settings when it is first imported.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from artifacts.refs import Ref
from flows.prefect_api import prefect_session
from tasks.step import Run, step


@step("double", version=1)
def double(run: Run, number: int) -> Ref:
    """Twice a number."""
    return Ref("mels", run.store.put_bytes(b"%d" % (2 * number)))


def damaged(whole: bytes, most: int) -> Iterator[tuple[str, bytes | None]]:
    """What is wrong, and the content; None for a file that is gone."""
    yield from (("deleted", None), ("emptied", b""), ("cut", whole[: len(whole) // 2]))
    dice = random.Random(0)
    for at in dice.sample(range(len(whole)), min(most, len(whole))):
        changed = bytes([whole[at] ^ dice.randrange(1, 256)])
        yield f"byte {at}", whole[:at] + changed + whole[at + 1 :]


def main(folder: str, most: int) -> None:
    from prefect import flow

    run = Run(folder, "cpu")

    @flow
    def doubled() -> dict[str, object]:
        made = double(run, 21)
        return {"ref": made.ref.to_json(), "cached": made.cached}

    first = doubled()
    (result,) = (Path(folder) / "results").rglob("*.json")
    whole, tried, faults = result.read_bytes(), 0, []
    for what, content in damaged(whole, most):
        if content is None:
            result.unlink()
        else:
            result.write_bytes(content)
        try:
            right = doubled() == {**first, "cached": True}
        except Exception as error:  # noqa: BLE001  # no build may fail for it
            right, what = False, f"{what}: {error!r}"
        tried += 1
        faults += [] if right else [what]
        result.write_bytes(whole)
    print(json.dumps({"tried": tried, "faults": faults}))


if __name__ == "__main__":
    with prefect_session(verbose=False):
        main(sys.argv[1], int(sys.argv[2]))
