"""Sound files that hypothesis writes: likely headers with an absurd field here and there."""

import struct

from broken_sounds import wav_header
from hypothesis import strategies as st

from artifacts.stable_bytes import ogg_checksum

SIZES = (
    0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0xFFFFFF, 10**9, 2 * 10**9, 0x7FFFFFFF,
    0x80000000, 0xFFFFFFDB, 0xFFFFFFFE, 0xFFFFFFFF,
)  # fmt: skip
RATES = (0, 1, 7, 1999, 2000, 2001, 11_025, 44_101, 767_999, 768_000, 10**6, 2**31 - 1, 2**32 - 1)
COUNTS = (0, 1, 2, 3, 6, 8, 9, 64, 65, 255, 256, 1024, 1025, 0x7FFF, 0xFFFF)  # channels, bits
CODES = (0, 1, 2, 3, 6, 7, 0x11, 0x31, 0x40, 0x50, 0x55, 0x92, 0xFFFE, 0xFFFF)  # WAV encodings
CHUNKS = (b"LIST", b"fact", b"bext", b"cue ", b"smpl", b"inst", b"PEAK", b"id3 ", b"ds64", b"fmt ",
          b"data", b"COMM", b"SSND", b"MARK", b"INST", b"FVER", b"COMT", b"cart", b"RIFF", b"FORM",
          b"JUNK", b"\0\0\0\0", b"axml")  # fmt: skip


def repaged(content: bytes) -> bytes:
    """An Ogg file with every page's checksum made right."""
    mended = bytearray(content)
    at = content.find(b"OggS")
    while at >= 0:
        segments = content[at + 26] if len(content) > at + 26 else 0
        lacing = content[at + 27 : at + 27 + segments]
        last = at + 27 + segments + sum(lacing)
        page = content[at : at + 22] + bytes(4) + content[at + 26 : last]
        mended[at + 22 : at + 26] = ogg_checksum(page).to_bytes(4, "little")
        at = content.find(b"OggS", at + 4)
    return bytes(mended)


def length_fields(content: bytes) -> list[int]:
    """Where the length of each chunk of a RIFF or AIFF stands."""
    places: list[int] = []
    if content[:4] not in (b"RIFF", b"RIFX", b"RF64", b"FORM"):
        return places
    order = ">" if content[:4] in (b"RIFX", b"FORM") else "<"
    at = 4
    while at + 4 <= len(content):
        places.append(at)
        (length,) = struct.unpack_from(f"{order}I", content, at)
        at += 12 if at == 4 else 8 + length + length % 2
    return places


def extended(rate: int) -> bytes:
    """An AIFF sample rate: an 80-bit float."""
    if rate == 0:
        return bytes(10)
    exponent = rate.bit_length() - 1
    return struct.pack(">HQ", 16383 + exponent, rate << (63 - exponent))


def mostly(usual: st.SearchStrategy, odd: st.SearchStrategy) -> st.SearchStrategy:
    """The usual in eleven of twelve draws."""
    return st.integers(0, 11).flatmap(lambda number: usual if number else odd)


odd_words = st.sampled_from(SIZES) | st.integers(0, 2**32 - 1)
odd_halves = st.sampled_from(COUNTS) | st.sampled_from(CODES) | st.integers(0, 2**16 - 1)
codes = mostly(st.sampled_from((1, 1, 3, 6, 7, 2, 0x11)), odd_halves)
channels = mostly(st.integers(1, 3), odd_halves)
bits = mostly(st.sampled_from((8, 16, 24, 32, 4)), odd_halves)
rates = mostly(st.sampled_from((8000, 44_100, 96_000)), st.sampled_from(RATES) | odd_words)
noise = st.builds(
    lambda piece, times: piece * times,
    st.binary(min_size=16, max_size=64),
    st.sampled_from((0, 1, 1000, 1000, 1000)),
)
more_chunks = st.lists(st.tuples(st.sampled_from(CHUNKS), st.binary(max_size=60)), max_size=3)


def length_of(raw: bytes) -> st.SearchStrategy[int]:
    return mostly(st.just(len(raw)), odd_words)


@st.composite
def wav_files(draw: st.DrawFn) -> bytes:
    """A WAV: 44 bytes that claim anything, or chunks in any order."""
    if draw(st.booleans()):
        sound = draw(noise)
        claimed = draw(length_of(sound))
        return wav_header(claimed, draw(rates) % 2**31) + sound
    order = draw(st.sampled_from("<<<>"))
    count, rate, depth = draw(channels), draw(rates), draw(bits)
    block = draw(mostly(st.just(count * depth // 8 % 2**16), odd_halves))
    speed = draw(mostly(st.just(rate * block % 2**32), odd_words))
    fmt = struct.pack(f"{order}HHIIHH", draw(codes), count, rate, speed, block, depth)
    fmt += draw(mostly(st.just(b""), st.binary(max_size=40)))
    chunks = [(b"fmt ", fmt), *draw(more_chunks), (b"data", draw(noise))]
    chunks = draw(mostly(st.just(chunks), st.permutations(chunks)))
    body = b"".join(
        name + struct.pack(f"{order}I", draw(length_of(raw))) + raw + b"\0" * (len(raw) % 2)
        for name, raw in chunks
    )
    magic = b"RIFX" if order == ">" else draw(st.sampled_from((b"RIFF", b"RIFF", b"RF64")))
    return magic + struct.pack(f"{order}I", draw(length_of(body))) + b"WAVE" + body


@st.composite
def aiff_files(draw: st.DrawFn) -> bytes:
    """An AIFF or AIFF-C, its chunks in any order."""
    kinds = (b"NONE", b"sowt", b"fl32", b"FL64", b"ulaw", b"ima4", b"GSM ", b"DWVW", b"MAC3")
    count, depth, sound = draw(channels), draw(bits), draw(noise)
    frames = draw(mostly(st.just(len(sound) // max(1, count * depth // 8)), odd_words))
    rate = draw(mostly(st.builds(extended, rates), st.binary(min_size=10, max_size=10)))
    comm = struct.pack(">HIH", count, frames, depth) + rate
    compressed = draw(st.booleans())
    if compressed:
        comm += draw(st.sampled_from(kinds)) + draw(st.sampled_from((b"\0\0", b"", b"\xffname")))
    offset = draw(mostly(st.just(bytes(8)), st.binary(min_size=8, max_size=8)))
    chunks = [(b"COMM", comm), *draw(more_chunks), (b"SSND", offset + sound)]
    chunks = draw(mostly(st.just(chunks), st.permutations(chunks)))
    body = b"".join(
        name + struct.pack(">I", draw(length_of(raw))) + raw + b"\0" * (len(raw) % 2)
        for name, raw in chunks
    )
    kind = b"AIFC" if compressed else b"AIFF"
    return b"FORM" + struct.pack(">I", draw(length_of(body))) + kind + body


@st.composite
def flac_files(draw: st.DrawFn, whole: bytes) -> bytes:
    """The frames of a whole FLAC behind a drawn STREAMINFO and drawn metadata blocks."""
    info, frames = whole[8:42], whole[whole.index(b"\xff\xf8", 42) :]
    for at, width, odd in ((0, 2, odd_halves), (2, 2, odd_halves), (10, 3, odd_words),
                           (13, 5, odd_words), (18, 16, odd_words)):  # fmt: skip
        was = int.from_bytes(info[at : at + width], "big")
        new = draw(mostly(st.just(was), odd)) % 256**width
        info = info[:at] + new.to_bytes(width, "big") + info[at + width :]
    blocks = draw(st.lists(st.tuples(st.integers(0, 127), st.binary(max_size=80)), max_size=3))
    out = b"fLaC" + (b"\x00" if blocks else b"\x80") + b"\0\0\x22" + info
    for number, (kind, raw) in enumerate(blocks, 1):
        last = 0x80 if number == len(blocks) else 0
        out += bytes([last | kind]) + (draw(length_of(raw)) % 2**24).to_bytes(3, "big") + raw
    return out + draw(mostly(st.just(frames), noise))


@st.composite
def ogg_files(draw: st.DrawFn, whole: bytes) -> bytes:
    """Ogg pages of drawn fields, their checksums right, between those of a whole file."""
    starts = (
        b"\x01vorbis" + bytes(4),
        b"OpusHead\x01",
        b"\x7fFLAC\x01\0",
        b"Speex   ",
        b"\3vorbis",
    )
    pages = [b"OggS" + page for page in whole.split(b"OggS")[1:]]
    for number in range(draw(st.integers(1, 3))):
        body = draw(st.sampled_from(starts)) + struct.pack("<BI", draw(channels) % 256, draw(rates))
        body += draw(noise)
        likely = st.just(b"\xff" * (len(body) // 255 % 200))
        lacing = draw(mostly(likely, st.binary(max_size=12)))
        serial = draw(st.just(whole[14:18]) | st.binary(min_size=4, max_size=4))
        head = struct.pack("<4sBBq4sII", b"OggS", 0, draw(st.integers(0, 7)),
                           draw(st.integers(-1, 2**40)), serial, number, 0)  # fmt: skip
        page = head + bytes([len(lacing)]) + lacing + body[: sum(lacing)]
        pages.insert(draw(st.integers(0, len(pages))), page)
    position = draw(mostly(st.just(None), st.integers(-(2**63), 2**63 - 1)))
    if position is not None:  # of the last page: how long the sound is
        pages[-1] = pages[-1][:6] + struct.pack("<q", position) + pages[-1][14:]
    return repaged(b"".join(pages))


@st.composite
def mp3_files(draw: st.DrawFn, whole: bytes) -> bytes:
    """Tags of drawn sizes, then frames of drawn headers among those of a whole file."""
    out = b""
    for _ in range(draw(st.integers(0, 2))):
        raw = draw(st.binary(max_size=100))
        size = draw(st.just(bytes([0, 0, 0, len(raw)])) | st.binary(min_size=4, max_size=4))
        out += b"ID3" + draw(st.binary(min_size=3, max_size=3)) + size + raw
    usual = st.sampled_from((b"\xff\xfb\x90\0", b"\xff\xf3\x40\xc4", b"\xff\xfd\x80\0"))
    odd = st.builds(lambda rest: b"\xff" + rest, st.binary(min_size=3, max_size=3))
    names = st.sampled_from((b"", b"Xing\0\0\0\x0f", b"VBRI\0\x01", b"Info\0\0\0\x03"))
    for _ in range(draw(st.integers(0, 4))):
        out += draw(mostly(usual, odd)) + bytes(draw(st.sampled_from((0, 9, 17, 32))))
        out += draw(names) + draw(odd_words).to_bytes(4, "big") + draw(noise)
    return out + draw(mostly(st.just(whole), noise))


def written_file(suffix: str, whole: bytes) -> st.SearchStrategy[bytes]:
    """Files of this format; what cannot be written from scratch comes from a whole one."""
    match suffix:
        case "wav":
            return wav_files()
        case "aiff":
            return aiff_files()
        case "flac":
            return flac_files(whole)
        case "ogg":
            return ogg_files(whole)
        case _:
            return mp3_files(whole)
