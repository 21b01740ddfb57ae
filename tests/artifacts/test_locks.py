import subprocess
import sys
import threading
from pathlib import Path

import pytest

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


def test_a_second_process_waits_and_says_so_once(tmp_path: Path) -> None:
    path, told = tmp_path / "a.lock", []
    with holder(path) as other:

        def waiting() -> None:
            told.append(other.poll())
            assert other.stdin is not None
            other.stdin.close()

        with locked(path, waiting):
            assert Path(f"{path}.let-go").exists()
    assert told == [None]  # it was alive


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
        assert {path.name for path in tmp_path.iterdir()} == {"a.lock", "b.lock"}
