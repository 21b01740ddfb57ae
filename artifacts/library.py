"""The library: finished models by name, each a `.distill` file in the store."""

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from artifacts.refs import Ref
from artifacts.store import Store, default_folder, json_bytes, write_atomically
from core.errors import ConfigError, PackageError, StoreError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Library:
    """The models of one store."""

    def __init__(self, store: Store):
        self.store = store

    @classmethod
    def at(cls, folder: str | None) -> "Library":
        """The library of the store in this folder, or of the default one."""
        return cls(Store(Path(folder) if folder else default_folder()))

    def check_name(self, name: str) -> None:
        """Raises ConfigError unless the name can be a file's."""
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} cannot name a model; use letters, digits, '.', '_' and '-', at most 64"
            )

    def path(self, name: str) -> Path:
        return self.store.folder / "models" / f"{name}.distill"

    def report_path(self, name: str) -> Path:
        return self.store.folder / "reports" / f"{name}.html"

    def names(self) -> list[str]:
        return sorted(path.stem for path in (self.store.folder / "models").glob("*.distill"))

    def add(
        self, name: str, package: Ref, record: dict[str, object], made: Sequence[Ref] = ()
    ) -> Path:
        """Put a stored package under a name, replacing an older one at once.

        Args:
            record: what the report needs beside the package, kept in this store only.
            made: all that the build made; pruning the store keeps it.
        """
        path = self.path(name)
        refs = [ref.to_json() for ref in (*made, package)]
        write_atomically(self._record_path(name), json_bytes({**record, "refs": refs}))
        write_atomically(path, self.store.read_bytes(package.digest))
        return path

    def record(self, name: str) -> dict[str, Any]:
        """What `add` was given.

        Raises:
            PackageError: the model was not built in this store.
        """
        try:
            self.check_name(name)
            data: dict[str, Any] = json.loads(self._record_path(name).read_text())
        except (OSError, ValueError, ConfigError):
            raise PackageError(
                f"{name} was not built in this store, so its held-out sounds are not here; "
                "compare it where it was built"
            ) from None
        return data

    def refs(self, name: str) -> list[Ref]:
        """All that the model's build made; empty for a model that was not built here.

        Raises:
            StoreError: it was built here, and what it made cannot be told.
        """
        path = self._record_path(name)
        if not path.exists():
            return []
        try:
            return [Ref.from_json(one) for one in json.loads(path.read_bytes())["refs"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{path} does not say what {name} was made from; build it again, or remove it "
                "from there"
            ) from error

    def _record_path(self, name: str) -> Path:
        return self.store.folder / "models" / f"{name}.json"

    def find(self, model: str) -> Path:
        """The file that a command's MODEL means: a path, or a name in the library.

        Raises:
            PackageError: neither is there.
        """
        path = Path(model)
        with contextlib.suppress(OSError):  # a name too long, a closed folder
            if path.is_file():
                return path
        if NAME.fullmatch(model) and self.path(model).is_file():
            return self.path(model)
        known = ", ".join(self.names()) or "none yet"
        raise PackageError(
            f"there is no model file or library name {model!r}; names in the library: {known}"
        )

    def find_parent(self, model: str, name: str) -> Path:
        """The file that a new model of this name shall go on from.

        Raises:
            ConfigError: it is the very one that the new model would replace, and the same
                build again would be another.
            PackageError: it is not there.
        """
        path = self.find(model)
        if path.resolve() == self.path(name).resolve():
            raise ConfigError(
                f"--from {model} is the model that --name {name} would replace; "
                "give the new one another name"
            )
        return path
