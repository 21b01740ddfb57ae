import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from artifacts.refs import Ref
from artifacts.store import json_bytes
from core.config import BuildConfig, PriorConfig
from tasks.step import Run, Step, identity, step

SOUNDS = Ref("sounds", "d1", {"a": "d2"})
CONFIG = PriorConfig()


def doubling(calls: list[int], version: int = 1) -> Step[[int]]:
    """A step that keeps twice its number, with half of it as a part."""

    @step("double", version)
    def double(run: Run, number: int) -> Ref:
        calls.append(number)
        store = run.store
        return Ref("mels", store.put_bytes(b"%d" % (2 * number)), {"half": store.put_bytes(b"1")})

    return double


def body(run: Run, *_args: object, **_kwargs: object) -> Ref:
    raise AssertionError(f"a key needs no body, in {run}")


def key(*args: object, name: str = "prior", version: int = 1, **kwargs: object) -> str:
    return Step(name, version, body).key(*args, **kwargs)


def test_a_key_changes_with_every_argument_name_and_version() -> None:
    base = (SOUNDS, CONFIG, 0, [SOUNDS], {"freev": SOUNDS}, (1, 2))
    other = Ref("sounds", "d1", {"a": "d3"})
    keys = {
        key(*base),
        key(*base, name="codes"),
        key(*base, version=2),
        key(other, *base[1:]),
        key(Ref("sounds", "d9", {"a": "d2"}), *base[1:]),
        key(Ref("mels", "d1", {"a": "d2"}), *base[1:]),
        key(Ref("sounds", "d1"), *base[1:]),
        key(SOUNDS, dataclasses.replace(CONFIG, steps=351), *base[2:]),
        key(SOUNDS, dataclasses.replace(CONFIG, speeds=(0.9,)), *base[2:]),
        key(*base[:2], 1, *base[3:]),
        key(*base[:2], None, *base[3:]),
        key(*base[:3], [other], *base[4:]),
        key(*base[:3], [SOUNDS, SOUNDS], *base[4:]),
        key(*base[:4], {"freev": other}, *base[5:]),
        key(*base[:4], {"hifigan": SOUNDS}, *base[5:]),
        key(*base[:4], {}, *base[5:]),
        key(*base[:5], (2, 1)),
        key(*base, "one more"),
        key(*base, seed=0),
        key(*base, seed=1),
    }
    assert len(keys) == 20


def test_every_field_of_a_nested_config_enters_the_key() -> None:
    changed = dataclasses.replace(CONFIG, augmented_share=0.25)
    assert key(BuildConfig()) == key(BuildConfig(prior=PriorConfig()))
    assert key(BuildConfig()) != key(BuildConfig(prior=changed))


def test_a_key_does_not_hang_on_the_order_of_a_mapping() -> None:
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})


def test_a_key_is_the_same_in_every_version_of_python() -> None:
    # printf '["s",1,[3,{"digests":["d"],"kind":"mels"}],{"x":null}]' | sha256sum
    assert key(3, Ref("mels", "d"), name="s", x=None) == (
        "1452199206b1b432f6ec2c5c92e5a3202008a012cb7157a8f6d0dd50a0b133b2"
    )


def test_where_a_step_runs_does_not_change_what_it_made(run: Run, tmp_path: Path) -> None:
    calls: list[int] = []
    double = doubling(calls)
    made = double.direct(run, 21)
    (tmp_path / "store").rename(tmp_path / "moved")
    again = double.direct(Run(str(tmp_path / "moved"), "auto"), 21)
    assert again.ref == made.ref
    assert (made.cached, again.cached) == (False, True)
    assert calls == [21]


def test_each_input_and_version_is_made_once(run: Run) -> None:
    calls: list[int] = []
    for _ in range(2):
        for number in (1, 2):
            ref = doubling(calls).direct(run, number).ref
            assert run.store.read_bytes(ref.digest) == b"%d" % (2 * number)
    assert calls == [1, 2]
    assert not doubling(calls, version=2).direct(run, 1).cached
    assert calls == [1, 2, 1]


def unlink(path: Path) -> None:
    path.unlink()


def alter(path: Path) -> None:
    path.write_bytes(b"x")


@pytest.mark.parametrize("damage", [unlink, alter])
@pytest.mark.parametrize("content", [b"42", b"1"])
def test_a_ref_whose_blob_or_part_is_damaged_is_made_again(
    run: Run, damage: Callable[[Path], None], content: bytes
) -> None:
    calls: list[int] = []
    ref = doubling(calls).direct(run, 21).ref
    damage(run.store.path(run.store.put_bytes(content)))
    again = doubling(calls).direct(run, 21)
    assert (again.ref, again.cached) == (ref, False)
    assert calls == [21, 21]
    assert run.store.holds_all(ref)


def test_concurrent_makers_make_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    calls: list[int] = []

    @step("slow", version=1)
    def slow(run: Run, number: int) -> Ref:
        calls.append(number)
        time.sleep(0.3)
        return run.store.put_json("mels", number)

    refs: list[Ref] = []
    makers = [threading.Thread(target=lambda: refs.append(slow.direct(run, 1).ref)) for _ in "abc"]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert calls == [1]
    assert refs == [refs[0]] * 3
    assert capsys.readouterr().err.count("slow: another process is making this; waiting") == 2


def test_a_step_that_failed_is_made_at_the_next_try(run: Run) -> None:
    calls: list[int] = []

    @step("fragile", version=1)
    def fragile(run: Run, number: int) -> Ref:
        calls.append(number)
        run.checkpoints.mkdir(parents=True, exist_ok=True)
        (run.checkpoints / "step-1").touch()
        if len(calls) == 1:
            raise KeyboardInterrupt
        return run.store.put_json("mels", number)

    checkpoints = Path(run.folder) / "checkpoints" / fragile.key(1)
    with pytest.raises(KeyboardInterrupt):
        fragile.direct(run, 1)
    assert (checkpoints / "step-1").exists()  # a training goes on from here
    assert not fragile.direct(run, 1).cached
    assert not checkpoints.exists()  # the result is stored


@pytest.mark.parametrize(
    "value",
    [Path("/sounds"), torch.device("cpu"), torch.zeros(1), np.float32(1), b"", {1}, object, Run],
)
def test_identity_refuses_what_it_does_not_know(value: object) -> None:
    for nested in (value, [value], {"a": value}):
        with pytest.raises(TypeError, match="cannot be part of a cache key"):
            identity(nested)


def test_a_value_that_is_no_number_has_no_key() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_bytes(identity({"rate": float("nan")}))
