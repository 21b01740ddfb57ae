"""What the public commands make of one `.distill` file; runs in fuzzing's own process.

An AssertionError is what no file may bring about; any other exception that gets
through is a fault of the product's.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import torch
from fuzzing import Check

from artifacts.model import Model
from artifacts.package import Package, read_manifest, verify_package
from core.errors import DistillError, PackageError
from flows.cli import main

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# audit events of what changes a file system, and how many of their arguments are paths
CHANGES = {
    "os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2,
    "os.truncate": 1, "os.chmod": 1, "os.chown": 1, "os.mkfifo": 1,
}  # fmt: skip
FORBIDDEN = (
    "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "shutil.unpack_archive",
)  # fmt: skip
VOCODERS = ("auto", "griffinlim", "freev", "hifigan")
MUST_BE_NOTICED = ".noticed"  # the suffix of a file whose own sums are wrong


def start(folder: Path) -> Check:
    """Try the intact `folder/kit.distill`, and return the check."""
    torch.set_num_threads(1)
    os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"  # no Prefect answers there
    commands = Commands(folder)
    assert commands.check(folder / "kit.distill") == "whole, plays"
    commands.listen()  # only now: libraries imported late keep caches
    return commands.check


class Commands:
    """`distill verify`, `inspect` and `generate` in this process, and an ear on what they write."""

    def __init__(self, folder: Path):
        self.store, self.out, self.here = (folder / name for name in ("store", "out", "here"))
        for path in (self.store, self.out, self.here):
            path.mkdir(exist_ok=True)
        os.chdir(self.here)
        self.allowed = [os.path.realpath(path) for path in (self.store, self.out)]
        self.strayed: list[str] = []

    def check(self, path: Path) -> str:
        """What came of it: whole or damaged; plays, opens or refused."""
        self.strayed.clear()
        problems = self._verified(path)
        if path.suffix == MUST_BE_NOTICED:
            assert problems, "damage went unnoticed"
        opens = self._inspected(path)
        assert opens or problems, "what cannot be opened is called whole"
        with contextlib.suppress(DistillError):
            Model(path)
        plays = sum(self._generated(path, vocoder) for vocoder in VOCODERS)
        assert self.strayed == [], self.strayed[:5]
        assert list(self.here.iterdir()) == []
        whole = "damaged" if problems else "whole"
        return f"{whole}, {'plays' if plays else 'opens' if opens else 'refused'}"

    def _verified(self, path: Path) -> list[str]:
        problems = verify_package(path)
        code, said, told = self._command("verify", str(path), "--json")
        assert json.loads(said) == {"ok": not problems, "problems": problems}
        assert (code, told) == (2 if problems else 0, "")
        return problems

    def _inspected(self, path: Path) -> bool:
        """Whether it opens; all ways of opening it agree."""
        manifest = None
        with contextlib.suppress(PackageError):
            manifest = read_manifest(path)
            Package(path)
        shown = self._answer("inspect", str(path))
        assert json.dumps(shown) == json.dumps(manifest)
        code, said, told = self._command("inspect", str(path))
        assert (code, told.count("\n")) == ((2, 1) if manifest is None else (0, 0)), told
        assert all(line.isprintable() for line in said.splitlines()), ascii(said)
        return manifest is not None

    def _generated(self, path: Path, vocoder: str) -> bool:
        """Whether a twentieth of a second of sound came out."""
        wish = ("-n", "1", "--seconds", "0.05", "--seed", "1", "--device", "cpu")
        where = ("--out", str(self.out), "--vocoder", vocoder)
        made = self._answer("generate", str(path), *wish, *where)
        for left in self.out.iterdir():
            left.unlink()
        return made is not None

    def _answer(self, *arguments: str) -> dict[str, object] | None:
        """The JSON object, or None after exactly one line of error."""
        code, said, told = self._command(*arguments, "--json")
        if code == 0:
            assert (told, said.count("\n")) == ("", 1), (told, said)
            answer = json.loads(said)
            assert isinstance(answer, dict)
            return answer
        assert (code, said) == (2, ""), (arguments, code, said)
        assert told.startswith("distill: error: "), told
        assert told.endswith("\n"), told
        assert told[:-1].isprintable(), f"not one printable line: {told!a}"
        assert "; " in told, f"it does not say what to do: {told}"
        return None

    def _command(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        said, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
            try:
                code = main([*arguments, "--store", str(self.store)])
            except SystemExit as end:  # verify leaves so
                code = -1 if end.code is None else int(end.code)
        return code, said.getvalue(), told.getvalue()

    def listen(self) -> None:
        """From now on note what no file may cause; there is no end to it."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        paths = arguments[: CHANGES.get(event, 0)]
        if event in FORBIDDEN:
            self.strayed.append(f"{event} {arguments!r:.200}")
        elif event == "open":
            path, mode, flags = arguments
            opened_to_write = isinstance(mode, str) and set(mode) & set("wax+")
            if opened_to_write or (isinstance(flags, int) and flags & WRITING):
                paths = (path,)
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and not self._may_write(path):
                self.strayed.append(f"{event} {path!r:.200}")

    def _may_write(self, path: str | bytes | os.PathLike[str]) -> bool:
        real = os.path.realpath(os.fsdecode(path))
        return any(real == one or real.startswith(one + os.sep) for one in self.allowed)
