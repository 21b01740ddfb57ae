"""A ref names a stored thing by the digest of its bytes. Refs travel; data stays."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "sound",
    "sounds",
    "labels",
    "parent",
    "mels",
    "rvqvae",
    "texture",
    "codes",
    "prior",
    "judgement",
    "memory",
    "vocoder",
    "validation",
    "package",
]


@dataclass(frozen=True)
class Ref:
    """A blob in the store and those it cannot do without.

    Attributes:
        kind: what the blob is.
        digest: sha256 of its bytes, hex.
        parts: name -> digest of further blobs that belong to it (clips, say).
    """

    kind: Kind
    digest: str
    parts: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"kind": self.kind, "digest": self.digest, "parts": self.parts}

    @classmethod
    def from_json(cls, data: dict[str, object]) -> "Ref":
        """The ref that `to_json` wrote; KeyError or TypeError when it is none."""
        parts = data["parts"]
        if not isinstance(parts, dict):
            raise TypeError(f"parts of a ref must be a mapping, not {type(parts).__name__}")
        return cls(
            data["kind"],  # type: ignore[arg-type]
            str(data["digest"]),
            {str(name): str(digest) for name, digest in parts.items()},
        )

    def digests(self) -> list[str]:
        """Of the blob and all its parts."""
        return [self.digest, *self.parts.values()]
