"""Folders of the user's, outside the store, that results are written to."""

import tempfile
from pathlib import Path

from core.errors import ConfigError


def ready_folder(folder: Path) -> Path:
    """The folder, made if it is not there.

    Raises:
        ConfigError: it cannot be made, or nothing can be written in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written ({error.strerror}); choose another folder"
        ) from error
