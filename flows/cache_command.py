"""`distill cache`: what the store holds, whether it is whole, and what can go."""

import dataclasses
import math
import sys

from artifacts.library import Library
from artifacts.store import Store
from artifacts.upkeep import problems, remove, sizes, total_size, unneeded
from core.errors import ConfigError
from flows.answers import Arguments, show


def cache(asked: Arguments) -> None:
    store = Library.at(asked.store).store
    match asked.action:
        case "info":
            by_folder = {name: dataclasses.asdict(one) for name, one in sizes(store).items()}
            total = sum(one["bytes"] for one in by_folder.values())
            names = Library(store).names()
            data = {
                "store": str(store.folder),
                "bytes": total,
                "folders": by_folder,
                "models": names,
            }
            lines = [
                f"{store.folder}: {megabytes(total)}, models: {', '.join(names) or 'none yet'}",
                *[
                    f"  {name:12} {one['files']:7} files {megabytes(one['bytes']):>12}"
                    for name, one in by_folder.items()
                ],
            ]
            show(asked, data, lines)
        case "verify":
            found = problems(store)
            show(asked, {"ok": not found, "problems": found}, found or ["the store is whole"])
            if found:
                sys.exit(2)
        case "prune":
            prune(asked, store)


def prune(asked: Arguments, store: Store) -> None:
    if not 0 <= asked.days < math.inf:
        raise ConfigError(f"--days cannot be {asked.days:g}; give 0 or more")
    paths = unneeded(store, asked.days)
    size = remove(store, paths) if asked.yes else total_size(paths)
    data = {
        "deleted": asked.yes,
        "files": [str(path.relative_to(store.folder)) for path in paths],
        "bytes": size.bytes,
    }
    what = f"{size.files} files, {megabytes(size.bytes)}, that no model in the library needs"
    hint = f"would delete {what}; with --yes it does"
    show(asked, data, [f"deleted {what}" if asked.yes else hint])


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
