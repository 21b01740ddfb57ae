"""The `distill` command: parses, runs one command, and turns errors into one line.

stdout carries results only (one JSON object with --json); progress and messages
go to stderr. Exit codes: 0 done, 2 the input was wrong, 130 interrupted.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

# Nothing phones home, and what Prefect logs is shown with --verbose only.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

DONE, WRONG_INPUT, INTERRUPTED = 0, 2, 130


class Parser(argparse.ArgumentParser):
    """Says what is wrong in the same one line as every other error."""

    def error(self, message: str) -> NoReturn:
        print(f"distill: error: {message}; see distill --help", file=sys.stderr)
        raise SystemExit(WRONG_INPUT)


def parser() -> Parser:
    """All commands and their options."""
    top = Parser(prog="distill", description=__doc__.splitlines()[0] if __doc__ else None)
    top.description = "From a small folder of sounds to a model that makes new sounds of that kind."
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _plan(commands.add_parser("plan", help="what a build would make, and how long it takes"))
    _build(commands.add_parser("build", help="make a model from a folder of sounds"))
    _generate(commands.add_parser("generate", help="make new sounds with a model"))
    _vocode(commands.add_parser("vocode", help="play mels that another program made"))
    for name, text in {
        "inspect": "show a model's card",
        "verify": "check a model file, every byte of it",
        "compare": "write the page that compares the vocoders on held-out sounds",
    }.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("model", metavar="MODEL", help="a .distill file or a library name")
        if name == "compare":
            command.add_argument("--out", metavar="DIR", help="where to (default: MODEL-compare)")
        _common(command)
    cache = commands.add_parser("cache", help="look after the store: info, verify, prune")
    cache.add_argument("action", choices=["info", "verify", "prune"])
    cache.add_argument("--yes", action="store_true", help="prune: really delete, not only list")
    cache.add_argument(
        "--days", type=float, default=7.0, help="prune: keep what is younger (default 7)"
    )
    _common(cache)
    demo = commands.add_parser("demo-sounds", help="write 45 sounds to try Distill with")
    demo.add_argument("folder", metavar="DIR")
    demo.add_argument("--json", action="store_true", help="print one JSON object")
    return top


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--store", metavar="DIR", help="where Distill keeps its work and models")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.add_argument("--verbose", action="store_true", help="say more on stderr")


def _recipe(command: argparse.ArgumentParser) -> None:
    command.add_argument("sounds", metavar="SOUNDS", help="a folder of sound files")
    command.add_argument("--preset", default="quick", help="tiny, quick (default), standard, high")
    command.add_argument("--seed", type=int, default=0, help="another seed, another model")
    command.add_argument(
        "--set",
        dest="settings",
        metavar="SECTION.FIELD=VALUE",
        action="append",
        default=[],
        help="change one setting of the preset, say freev.steps=2000; may be repeated",
    )
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")
    _common(command)


def _plan(command: argparse.ArgumentParser) -> None:
    _recipe(command)


def _build(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", required=True, help="what to call the model in the library")
    command.add_argument(
        "--from",
        dest="parent",
        metavar="MODEL",
        help="go on from this model, a .distill file or a library name: its sounds and new ones "
        "are in SOUNDS, its weights are the start, and the report says what it forgot",
    )
    command.add_argument("--out", metavar="FILE.distill", help="also put the model here")
    _recipe(command)


def _generate(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="a .distill file or a library name")
    command.add_argument("-n", dest="count", type=int, default=8, help="how many (default 8)")
    command.add_argument("--seconds", default="auto", help="auto (default): each ends by itself")
    command.add_argument("--seed", type=int, help="of the first sound (default: a new one)")
    command.add_argument("--like", metavar="LABEL", help="of this kind: a folder of the sounds")
    for name, most in {
        "bright": "brightest", "loud": "loudest", "noisy": "noisiest", "attack": "hardest hit",
    }.items():  # fmt: skip
        command.add_argument(
            f"--{name}", type=float, metavar="0..1", help=f"1 is the {most} of the sounds"
        )
    command.add_argument("--prompt", metavar="FILE", help="a sound to go on from")
    command.add_argument(
        "--creativity", default="1", metavar="X", help="temperature (default 1); 1,0.9: by level"
    )
    command.add_argument("--focus", default="0", metavar="K", help="only the K likeliest codes")
    command.add_argument(
        "--diversity", default="1", metavar="P", help="only the likeliest codes up to this share"
    )
    _sound_files(command)


def _vocode(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="a .distill file or a library name")
    command.add_argument("mels", metavar="MEL.npy", nargs="+", help="bands by frames, natural log")
    command.add_argument(
        "--mel-type",
        default="slaney_logclamp",
        choices=["slaney_logclamp", "htk_log1p"],
        help="BigVGAN's mel (default), or log1p of HTK mel power at 48 kHz",
    )
    _sound_files(command)


def _sound_files(command: argparse.ArgumentParser) -> None:
    """Who plays, and what is written."""
    command.add_argument(
        "--vocoder",
        default="auto",
        help="auto (default: the winner), hifigan, freev, griffinlim, bigvgan (fetched once)",
    )
    command.add_argument(
        "--bigvgan-dir", metavar="DIR", help="BigVGAN's files, where they need not be fetched"
    )
    command.add_argument("--rate", type=int, default=48_000, help="sample rate (default 48000)")
    command.add_argument("--format", default="wav", choices=["wav", "flac", "ogg", "mp3"])
    command.add_argument("--out", metavar="DIR", help="where to (default: MODEL-sounds)")
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")
    _common(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    asked = parser().parse_args(arguments)
    if not getattr(asked, "verbose", False):
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
        # The embedded server logs an error when it is stopped while writing its last events.
        os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    signal.signal(signal.SIGTERM, _terminated)
    # Imported late: --help and a wrong option answer at once.
    from artifacts.store import disk_fails, disk_is_full
    from core.errors import DistillError
    from tasks.interrupt import stop_if_asked, stoppable

    try:
        with stoppable():  # a library that is interrupted while it loads raises anything
            from flows.commands import COMMANDS

            stop_if_asked()
        COMMANDS[asked.command](asked)
    except DistillError as error:
        print(f"distill: error: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        further = ", the same command goes on from there" if asked.command == "build" else ""
        print(f"distill: interrupted; what was done is kept{further}", file=sys.stderr)
        return INTERRUPTED
    except (MemoryError, RuntimeError) as error:
        from core.memory import out_of_memory

        if not out_of_memory(error):
            raise
        print(
            "distill: error: there is too little memory for this; close other programs, or ask "
            "for less at once (fewer --seconds, another --vocoder); what was done is kept",
            file=sys.stderr,
        )
        return WRONG_INPUT
    except OSError as error:  # BrokenPipeError is one too
        if disk_is_full(error) or disk_fails(error):
            what = "is full; make room" if disk_is_full(error) else "fails; check it"
            print(
                f"distill: error: the disk {what} and run the same command again, "
                f"what was done is kept ({error.strerror})",
                file=sys.stderr,
            )
            return WRONG_INPUT
        if not isinstance(error, BrokenPipeError):
            raise
        # the reader of our stdout went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return DONE


def _terminated(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
