"""The fuzz harness can fail: misbehaviour of every kind is seen, counted and outlived."""

from pathlib import Path

import pytest
from fault_table import Tally
from fuzzing import Case, Watched, bear
from misbehaving import start

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("crash", "died with exit code -11: Fatal Python error: Segmentation fault"),
        ("hang", "stopped after 5.0 s"),
        ("hoard", "MiB"),
        ("leave", "died with exit code 0"),
        ("raise", "ValueError: a fault of ours"),
        ("stop", "KeyboardInterrupt"),
    ],
)
def test_misbehaviour_is_one_files_fault(tmp_path: Path, how: str, said: str) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_text(how)
    good.write_text("")
    with Watched(start, tmp_path) as watched:
        assert watched.judge(good).fault == ""
        assert said in watched.judge(bad).fault
        assert watched.judge(good).fault == ""


def test_what_is_not_borne_is_counted_kept_and_fails_the_test(tmp_path: Path) -> None:
    tally = Tally("three files")
    cases = [Case(seed, "text", ".txt", how) for seed, how in enumerate((b"", b"raise", b""))]
    with (
        Watched(start, tmp_path) as watched,
        pytest.raises(AssertionError, match=r"1 not borne\n\nseed 1, text, .*/1\.txt:\nTraceback"),
    ):
        bear(tally, watched, cases)
    assert (tally.tried, tally.borne) == (3, 2)
    assert [path.name for path in tmp_path.glob("*.txt")] == ["1.txt"]
