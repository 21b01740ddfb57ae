"""Fuzzed `.distill` files through every command that reads one."""

from collections.abc import Iterator

import pytest
from broken_sounds import write_tones
from fault_table import Tally, count
from fuzzed_packages import BYTES, fuzzed
from fuzzed_zips import Kit
from fuzzing import Case, Watched, bear
from package_check import MUST_BE_NOTICED, start
from small_line import built


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A whole small model in a folder of its own."""
    folder, sounds = tmp_path_factory.mktemp("fuzzed"), tmp_path_factory.mktemp("tones")
    write_tones(sounds, 6)
    line = built(sounds, tmp_path_factory.mktemp("store"), "cpu")
    whole = line.store.read_bytes(line.package.digest)
    (folder / "kit.distill").write_bytes(whole)
    (folder / "outside").mkdir()
    return Kit(whole, folder / "outside")


def cases(kit: Kit, most: int) -> Iterator[Case]:
    for seed in range(most):
        damage, content = fuzzed(kit, seed)
        noticed = damage in BYTES and content != kit.whole
        suffix = MUST_BE_NOTICED if noticed else ".distill"
        yield Case(seed, damage.__name__, suffix, content)


@pytest.mark.slow
def test_fuzzed_packages(kit: Kit, tally: Tally) -> None:
    """Fuzzed .distill files."""
    with Watched(start, kit.outside.parent) as watched:
        bear(tally, watched, cases(kit, count(150, 5000)))
    assert tally.borne == count(150, 5000)
    assert list(kit.outside.iterdir()) == []
