"""Damage to a package's bytes and to the ZIP that it is; which damage follows from a seed."""

import io
import json
import random
import re
import struct
import warnings
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from artifacts.package_rules import sha256
from artifacts.stored_zip import zip_bytes

MANIFEST = "manifest.json"
LARGE = "vocoder-hifigan.safetensors"
CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
# (offset, bytes) of the numbers in each kind of ZIP record
RECORDS = {
    CENTRAL: ((4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 2), (16, 4), (20, 4), (24, 4), (28, 2),
              (30, 2), (32, 2), (34, 2), (36, 2), (38, 4), (42, 4)),
    LOCAL: ((4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    END: ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}  # fmt: skip
SIZES = {CENTRAL: 20, LOCAL: 18}  # where the packed size stands, the unpacked one behind it
ABSURD = (0, 1, 2, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass(frozen=True)
class Kit:
    """The whole package that is damaged, and a folder it must never reach."""

    whole: bytes
    outside: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        with zipfile.ZipFile(io.BytesIO(self.whole)) as archive:
            manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))
        return manifest

    @cached_property
    def entries(self) -> dict[str, bytes]:
        """Every entry but the manifest, in the file's order."""
        with zipfile.ZipFile(io.BytesIO(self.whole)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}


def rebuilt(manifest: dict[str, Any], entries: dict[str, bytes]) -> bytes:
    """A package whose sums are right, whatever is in it; its JSON may hold NaN."""
    listing = {name: {"sha256": sha256(raw), "bytes": len(raw)} for name, raw in entries.items()}
    raw = json.dumps({**manifest, "entries": listing}, sort_keys=True, indent=1).encode()
    return zip_bytes([(MANIFEST, raw), *entries.items()])


def flipped(kit: Kit, dice: random.Random) -> bytes:
    damaged = bytearray(kit.whole)
    first = dice.choice((0, kit.whole.index(CENTRAL)))
    last = dice.choice((min(first + 400, len(damaged)), len(damaged)))
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        damaged[dice.randrange(first, last)] ^= dice.randrange(1, 256)
    return bytes(damaged)


def cut(kit: Kit, dice: random.Random) -> bytes:
    size = len(kit.whole)
    kept = dice.choice((dice.randrange(64), dice.randrange(size), size - dice.randrange(1, 600)))
    return kit.whole[:kept]


def spliced(kit: Kit, dice: random.Random) -> bytes:
    """A piece taken out, put elsewhere, put in twice, or replaced by noise."""
    whole = kit.whole
    first = dice.randrange(len(whole) - 1)
    last = min(len(whole), first + dice.choice((1, 4, 46, 1000, 100_000)))
    piece, rest = whole[first:last], whole[:first] + whole[last:]
    at = dice.randrange(len(rest) + 1)
    match dice.randrange(5):
        case 0:
            return rest
        case 1:
            return rest[:at] + piece + rest[at:]
        case 2:
            return whole[:at] + piece + whole[at:]
        case 3:
            return whole[:first] + dice.randbytes(len(piece)) + whole[last:]
        case _:
            return dice.choice((piece + whole, whole + piece, whole + whole))


def lying_directory(kit: Kit, dice: random.Random) -> bytes:
    """One to three numbers of the ZIP's records replaced."""
    whole = kit.whole
    damaged = bytearray(whole)
    for _ in range(dice.choice((1, 1, 2, 3))):
        signature = dice.choice(list(RECORDS))
        places = [found.start() for found in re.finditer(re.escape(signature), whole)]
        offset, width = dice.choice(RECORDS[signature])
        at, other = dice.choice(places) + offset, dice.choice(places) + offset
        was = int.from_bytes(whole[at : at + width], "little")
        another = int.from_bytes(whole[other : other + width], "little")
        lies = (*ABSURD, was + 1, was - 1, another, was + len(whole), 8, 12, 14)
        lie = (dice.choice(lies) % 256**width).to_bytes(width, "little")
        damaged[at : at + width] = lie
        if signature in SIZES and width == 4 and dice.random() < 0.5:  # the same for both sizes
            pair = at - offset + SIZES[signature]
            damaged[pair : pair + 8] = 2 * lie
    return bytes(damaged)


def other_entries(kit: Kit, dice: random.Random) -> bytes:
    """Entries doubled, left out, renamed, swapped, reordered or added without end."""
    items = [(MANIFEST, json.dumps(kit.manifest).encode()), *kit.entries.items()]
    place = dice.randrange(len(items))
    name, raw = items[place]
    match dice.randrange(6):
        case 0:
            double = dice.choice((raw, b"", raw[:-1], dice.randbytes(100)))
            items.insert(dice.randrange(len(items)), (name, double))
        case 1:
            del items[place]
        case 2:
            odd = (name.upper(), name + "/", "./" + name, name + " ", "ﬁle.md", "", "a" * 9999)
            items[place] = (dice.choice(odd), raw)
        case 3:
            items[place] = (name, dice.choice(items)[1])
        case 4:
            dice.shuffle(items)
        case _:
            more = range(dice.choice((3, 900, 1100, 66_000)))
            items += [(f"previews/{number}.flac", b"") for number in more]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of doubles
        known = {one: content for one, content in items if one != MANIFEST}
        return zip_bytes(items) if dice.random() < 0.5 else rebuilt(kit.manifest, known)


def bomb(kit: Kit, dice: random.Random) -> bytes:
    """An entry of packed zeros, its sums right: small in the file, large once read."""
    name = dice.choice([MANIFEST, *kit.entries])
    zeros = bytes(dice.choice((10**6, 10**7)))
    method = dice.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    listing = {**kit.manifest["entries"], name: {"sha256": sha256(zeros), "bytes": len(zeros)}}
    manifest = json.dumps({**kit.manifest, "entries": listing}).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for one, raw in {MANIFEST: manifest, **kit.entries}.items():
            info = zipfile.ZipInfo(one)  # dated 1980, as a seed's file must be the same every day
            if one == name:
                archive.writestr(info, zeros, method)
            else:
                archive.writestr(info, raw)
    content = bytearray(buffer.getvalue())
    if dice.random() < 0.3:  # the directory calls it stored
        at = content.rindex(CENTRAL, 0, content.rindex(name.encode()))
        struct.pack_into("<H", content, at + 10, 0)
    return bytes(content)


def overlapping(kit: Kit, dice: random.Random) -> bytes:
    """Up to nine hundred more entries that lie on the bytes of one, under its name or others."""
    raw = kit.entries[LARGE] + bytes(dice.choice((0, 10**6, 5 * 10**6)))
    doubles = dice.choice((2, 50, 900))
    names = dice.choice(([LARGE] * doubles, [f"previews/{n}.flac" for n in range(doubles)]))
    sums = {"sha256": sha256(raw), "bytes": len(raw)}
    listing = {**kit.manifest["entries"], LARGE: sums, **dict.fromkeys(names, sums)}
    manifest = json.dumps({**kit.manifest, "entries": listing}).encode()
    items = {MANIFEST: manifest, **kit.entries, LARGE: raw}
    content = zip_bytes(list(items.items()))
    at = content.rindex(CENTRAL, 0, content.rindex(LARGE.encode()))
    record, first, end = content[at : at + 46], content.index(CENTRAL), len(content) - 22
    more = b"".join(
        record[:28] + struct.pack("<H", len(name)) + record[30:] + name.encode() for name in names
    )
    count, size = len(items) + len(names), end - first + len(more)
    closing = struct.pack("<4s4H2LH", END, 0, 0, count, count, size, first, 0)
    return content[:end] + more + closing
