"""Damage to small sound files of every format; which damage follows from a seed."""

import io
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

import soundfile
from broken_sounds import tone
from fuzzed_headers import (
    CHUNKS,
    CODES,
    COUNTS,
    RATES,
    SIZES,
    extended,
    length_fields,
    repaged,
    written_file,
)
from fuzzing import drawn

from artifacts.stable_bytes import clear_peak_time, set_ogg_serial

WAVS = (
    "PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM",
    "MS_ADPCM", "GSM610", "G721_32", "NMS_ADPCM_16",
)  # fmt: skip
AIFFS = ("PCM_16", "PCM_24", "PCM_S8", "FLOAT", "ULAW", "IMA_ADPCM", "DWVW_16", "GSM610")
MONO = ("GSM610", "G721_32", "NMS_ADPCM_16", "DWVW_16")
SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff")


@dataclass(frozen=True)
class Sound:
    """A whole sound file."""

    suffix: str
    content: bytes


def whole_sounds() -> list[Sound]:
    """Each container and encoding that libsndfile can write, 0.1 to 0.3 s long."""
    kinds = [
        *[("wav", "WAV", kind, "FILE") for kind in WAVS],
        *[("wav", "WAV", "PCM_16", "BIG"), ("wav", "WAVEX", "PCM_24", "FILE")],
        ("wav", "RF64", "PCM_16", "FILE"),
        *[("flac", "FLAC", kind, "FILE") for kind in ("PCM_S8", "PCM_16", "PCM_24")],
        *[("ogg", "OGG", "VORBIS", "FILE"), ("ogg", "OGG", "OPUS", "FILE")],
        ("mp3", "MP3", "MPEG_LAYER_III", "FILE"),
        *[("aiff", "AIFF", kind, "FILE") for kind in AIFFS],
    ]
    sounds = []
    for number, (suffix, container, subtype, endian) in enumerate(kinds):
        channels = 2 if number % 3 == 0 and subtype not in MONO else 1
        rate = 48_000 if subtype == "OPUS" else (44_100, 8_000, 48_000, 22_050)[number % 4]
        wave, buffer = tone(0.1 + 0.05 * (number % 5), rate, 200, channels), io.BytesIO()
        soundfile.write(buffer, wave, rate, subtype, endian, container)
        clear_peak_time(buffer)  # a seed's file must be the same every day
        if container == "OGG":
            set_ogg_serial(buffer, number)
        sounds.append(Sound(suffix, buffer.getvalue()))
    return sounds


def flipped(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """Bits flipped and bytes replaced, mostly in the header."""
    damaged = bytearray(sound.content)
    header = min(len(damaged), dice.choice((16, 64, 200, 1000, len(damaged))))
    for _ in range(dice.choice((1, 1, 2, 4, 16, 100))):
        position = dice.randrange(header)
        bit = 1 << dice.randrange(8)
        damaged[position] = dice.choice((damaged[position] ^ bit, dice.randrange(256), 0, 255))
    return bytes(damaged)


def cut(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    whole = sound.content
    size = len(whole)
    last = dice.choice((dice.randrange(64), dice.randrange(size), size - dice.randrange(40)))
    return whole[dice.choice((0, 0, 0, dice.randrange(60))) : last]


def spliced(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """A piece of it, of another sound or of noise, put in, put in place, or taken out."""
    whole, other = sound.content, dice.choice(sounds).content
    length = dice.choice((1, 2, 8, 100, 2000, 20_000))
    source = dice.choice((whole, other, dice.randbytes(length), bytes(length)))
    start = dice.randrange(len(source))
    piece = source[start : start + length] * dice.choice((1, 1, 1, 20))
    at = dice.choice((0, dice.randrange(200), dice.randrange(len(whole)), len(whole)))
    replaced = dice.choice((0, len(piece), length))  # bytes of the whole
    return whole[:at] + dice.choice((piece, piece, b"")) + whole[at + replaced :]


def resized(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """Sizes and counts in the header that promise gigabytes, nothing, or less than is there."""
    damaged = bytearray(sound.content)
    places = length_fields(sound.content) or [4, 16, 18, 20, 21, 22, 26, 27, 40]
    for _ in range(dice.choice((1, 1, 2, 3))):
        at = dice.choice((*places, dice.randrange(min(120, len(damaged) - 4))))
        width = dice.choice((1, 2, 3, 4, 4, 4, 8))
        was = int.from_bytes(damaged[at : at + width], "little")
        size = dice.choice((*SIZES, was + 1, was - 1, was * 2, len(damaged))) % 256**width
        damaged[at : at + width] = size.to_bytes(width, dice.choice(("little", "big")))
    return bytes(damaged)


def reclaimed(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """Another encoding, rate, channel count or bit depth than what the bytes are."""
    damaged = bytearray(sound.content)
    match sound.suffix:
        case "wav":
            _reclaim_wav(damaged, dice)
        case "aiff":
            _reclaim_aiff(damaged, dice)
        case "flac":  # STREAMINFO: 20 bits of rate, 3 of channels, 5 of depth, 36 of samples
            claim = dice.choice(RATES) % 2**20 << 44 | dice.randrange(256) << 36
            damaged[18:26] = (claim | dice.choice(SIZES)).to_bytes(8, "big")
            if dice.random() < 0.5:  # the smallest and largest block
                damaged[8:12] = struct.pack(">HH", dice.choice(COUNTS), dice.choice(COUNTS))
        case "ogg":
            start = max(damaged.find(b"\x01vorbis") + 11, damaged.find(b"OpusHead") + 9)
            claim = struct.pack("<BI", dice.choice(COUNTS) % 256, dice.choice(RATES))
            damaged[start : start + 5] = claim
            damaged = bytearray(repaged(bytes(damaged)))
        case _:
            frames = [at for at in range(len(damaged) - 4) if damaged[at] == 0xFF]
            for at in dice.sample(frames, min(len(frames), dice.choice((1, 3, 30)))):
                damaged[at + dice.randrange(1, 4)] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def _reclaim_wav(damaged: bytearray, dice: random.Random) -> None:
    at, order = damaged.find(b"fmt "), ">" if damaged[:4] == b"RIFX" else "<"
    for _ in range(dice.choice((1, 2, 5))):
        offset, kind, claims = dice.choice((
            (8, "H", CODES), (10, "H", COUNTS), (12, "I", RATES), (16, "I", SIZES),
            (20, "H", COUNTS), (22, "H", COUNTS), (24, "H", COUNTS), (26, "H", COUNTS),
            (32, "H", CODES),
        ))  # fmt: skip
        struct.pack_into(f"{order}{kind}", damaged, at + offset, dice.choice(claims))


def _reclaim_aiff(damaged: bytearray, dice: random.Random) -> None:
    at = damaged.find(b"COMM")
    match dice.randrange(4):
        case 0:
            struct.pack_into(">H", damaged, at + 8, dice.choice(COUNTS))
        case 1:
            struct.pack_into(">I", damaged, at + 10, dice.choice(SIZES))
        case 2:
            struct.pack_into(">H", damaged, at + 14, dice.choice(COUNTS))
        case _:
            rate = dice.choice((extended(dice.choice(RATES)), dice.randbytes(10)))
            damaged[at + 16 : at + 26] = rate


def chunked(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """More chunks and tags before, in and behind the sound."""
    whole = sound.content
    order = ">" if whole[:4] in (b"FORM", b"RIFX") else "<"
    for _ in range(dice.choice((1, 2, 5))):
        payload = dice.randbytes(dice.choice((0, 1, 4, 16, 24, 28, 300)))
        length = dice.choice((len(payload), len(payload), *SIZES))
        chunk = dice.choice(CHUNKS) + struct.pack(f"{order}I", length) + payload
        id3 = b"ID3" + bytes(dice.choices((0, 2, 3, 4, 16, 127, 255), k=7)) + payload
        piece = dice.choice((chunk, chunk, chunk, id3, bytes(70_000), b"TAG" + bytes(125)))
        at = dice.choice((0, 12, len(whole), *[place - 4 for place in length_fields(whole)]))
        whole = whole[:at] + piece + whole[at:]
    return whole


def mended(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """Damage behind an Ogg's right checksums; in other formats, to the samples alone."""
    if sound.suffix == "ogg":
        return repaged(dice.choice((flipped, spliced, resized, cut))(sounds, sound, dice))
    damaged = bytearray(sound.content)
    for _ in range(dice.choice((1, 5, 200))):
        damaged[dice.randrange(60, len(damaged))] = dice.randrange(256)
    return bytes(damaged)


def written(sounds: list[Sound], sound: Sound, dice: random.Random) -> bytes:
    """A file that hypothesis writes."""
    return drawn(written_file(sound.suffix, sound.content), dice)


Damage = Callable[[list[Sound], Sound, random.Random], bytes]
KINDS: tuple[Damage, ...] = (
    *2 * (flipped, resized, reclaimed, written), cut, spliced, chunked, mended,
)  # fmt: skip


def fuzzed(sounds: list[Sound], seed: int) -> tuple[str, str, bytes]:
    """The kind of damage, the file's suffix, and the file; every suffix gets as many."""
    dice = random.Random(seed)
    suffix = SUFFIXES[seed % len(SUFFIXES)]
    kind = KINDS[seed // len(SUFFIXES) % len(KINDS)]
    sound = dice.choice([one for one in sounds if one.suffix == suffix])
    return kind.__name__, suffix, kind(sounds, sound, dice)
