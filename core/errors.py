"""Every error that Distill raises on purpose.

    DistillError            the user can do something about it: one line, exit code 2
    ├── AudioError          a sound cannot be used
    ├── ConfigError         a setting is out of range or unknown
    ├── StoreError          the store cannot be read or written
    ├── PackageError        a .distill file is damaged, foreign or from the future
    ├── HubError            a pretrained model cannot be had, or is not the one it should be
    ├── TrainingError       a loss or a weight stopped being a number
    └── VocoderError        a vocoder's weights or settings cannot be used

A message says what is wrong with the value, what was expected, and after a
semicolon what to do. Anything else that escapes is our own bug and keeps its
traceback.
"""

from collections.abc import Sequence


class DistillError(Exception):
    """Something the user can mend; the message is one line."""


class AudioError(DistillError):
    """A sound cannot be used."""


class ConfigError(DistillError):
    """A setting is unknown or out of range."""


class StoreError(DistillError):
    """The store cannot be read or written."""


class PackageError(DistillError):
    """A .distill file is damaged, foreign or from the future."""


class HubError(DistillError):
    """A pretrained model cannot be had, or is not the one it should be."""


class TrainingError(DistillError):
    """A loss or a weight is no longer a finite number.

    Attributes:
        batch: places, among the training sounds, of those that the step had drawn.
    """

    def __init__(self, message: str, batch: Sequence[int] = ()):
        super().__init__(message)
        self.batch = tuple(batch)


class VocoderError(DistillError):
    """A vocoder's weights or settings cannot be used, or not with this model."""
