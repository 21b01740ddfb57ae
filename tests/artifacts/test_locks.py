import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from artifacts import locks
from artifacts.locks import locked

# Holds the lock until its input ends (at most 5 s); leaves a mark before it lets go.
HOLDER = """
import select, sys, time
from pathlib import Path
from artifacts.locks import locked
with locked(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    select.select([sys.stdin], [], [], 5)
    time.sleep(0.1)
    Path(sys.argv[1] + ".let-go").touch()
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lock already."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def not_waiting() -> None:
    pytest.fail("the lock was not free")


def test_a_free_lock_is_taken_at_once_and_again(tmp_path: Path) -> None:
    path, held = tmp_path / "new folder" / "a.lock", 0
    for _ in range(2):
        with locked(path, not_waiting):
            held += path.is_file()
    assert held == 2


def test_a_second_process_waits_until_the_first_lets_go(tmp_path: Path) -> None:
    path, told = tmp_path / "a.lock", []
    with holder(path) as other:

        def waiting() -> None:
            told.append(other.poll())
            assert other.stdin is not None
            other.stdin.close()

        with locked(path, waiting):
            assert Path(f"{path}.let-go").exists()
    assert told[0] is None  # it was alive


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    def waiting() -> None:
        raise KeyboardInterrupt

    with holder(tmp_path / "a.lock") as other:
        with pytest.raises(KeyboardInterrupt), locked(tmp_path / "a.lock", waiting):
            pytest.fail("the lock was not free")
        assert other.stdin is not None
        other.stdin.close()


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with holder(tmp_path / "a.lock") as other:
        other.kill()
        other.wait()
        with locked(tmp_path / "a.lock", not_waiting):
            pass
    assert not (tmp_path / "a.lock.let-go").exists()


def test_an_error_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "a.lock", not_waiting):
        raise ZeroDivisionError
    with locked(tmp_path / "a.lock", not_waiting):
        pass


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with locked(tmp_path / "a.lock", lambda: None):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_two_locks_do_not_meet(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock", not_waiting), locked(tmp_path / "b.lock", not_waiting):
        assert {path.name for path in tmp_path.glob("*.lock")} == {"a.lock", "b.lock"}


# --- claims, which machines that share a folder see of each other


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(locks, "DEAD_AFTER_SECONDS", 0.5)


def elsewhere(path: Path) -> Path:
    """Another machine's claim on the lock."""
    claim = path.with_name(f"{path.name}.claim")
    claim.write_text("other-0123 abcd")
    return claim


def waits_until_it_goes(path: Path) -> bool:
    """Whether the lock is had just when the claim that is there goes, at the third look."""
    claim, looks = path.with_name(f"{path.name}.claim"), 0

    def waiting() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            claim.unlink()

    with locked(path, waiting):
        return looks == 3


def test_a_claim_stands_while_the_lock_is_held(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock", not_waiting):
        assert (tmp_path / "a.lock.claim").read_text().startswith(f"{locks.this_machine()} ")
    assert not (tmp_path / "a.lock.claim").exists()


def test_a_held_claim_is_renewed(tmp_path: Path, soon: None) -> None:
    with locked(tmp_path / "a.lock", not_waiting):
        first = (tmp_path / "a.lock.claim").stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while (tmp_path / "a.lock.claim").stat().st_mtime_ns == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_living_claim_of_another_machine_is_waited_for(tmp_path: Path, soon: None) -> None:
    claim, waited = elsewhere(tmp_path / "a.lock"), 0

    def waiting() -> None:
        nonlocal waited
        waited += 1
        os.utime(claim)
        if waited == 100:  # 1 s at least: twice what a dead one is given
            claim.unlink()

    with locked(tmp_path / "a.lock", waiting):
        assert waited == 100


def test_a_dead_claim_of_another_machine_is_taken_over(tmp_path: Path, soon: None) -> None:
    claim = elsewhere(tmp_path / "a.lock")
    with locked(tmp_path / "a.lock", lambda: None):
        assert claim.read_text().startswith(locks.this_machine())


def test_a_dead_claim_of_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    dead = f"{locks.this_machine()} abcd"
    (tmp_path / "a.lock.claim").write_text(dead)
    with locked(tmp_path / "a.lock", not_waiting):
        assert (tmp_path / "a.lock.claim").read_text() != dead  # it is ours


def test_a_claim_that_was_taken_over_is_left_alone(tmp_path: Path) -> None:
    with locked(tmp_path / "a.lock", not_waiting):
        claim = elsewhere(tmp_path / "a.lock")
    assert claim.read_text() == "other-0123 abcd"


def test_a_claim_that_is_just_being_written_is_not_taken(tmp_path: Path, soon: None) -> None:
    (tmp_path / "a.lock.claim").touch()
    assert waits_until_it_goes(tmp_path / "a.lock")


def test_where_the_file_system_has_no_locks_the_claim_decides(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_locks(_handle: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", without_locks)
    # It may be a living process's.
    (tmp_path / "a.lock.claim").write_text(f"{locks.this_machine()} abcd")
    assert waits_until_it_goes(tmp_path / "a.lock")
