"""Folders of sounds to ingest: ten good ones, twenty that cannot be used."""

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


def tone(seconds: float, rate: int, hz: float, channels: int = 1) -> NDArray[np.float32]:
    """(T, C) decaying tone with a little noise; every channel has its own harmonic."""
    time = np.arange(round(seconds * rate))[:, None] / rate
    noise = np.random.default_rng(round(hz)).standard_normal((time.shape[0], channels))
    harmonics = np.sin(2 * np.pi * hz * time * np.arange(1, channels + 1))
    return ((0.5 * harmonics + 0.02 * noise) * np.exp(-3 * time)).astype(np.float32)


def write_tones(folder: Path, count: int) -> None:
    """Tones of 0.3 s and more, each 0.1 s longer and 90 Hz higher than the one before."""
    for number in range(count):
        wave = tone(0.3 + 0.1 * number, 44_100, 150 + 90 * number)
        soundfile.write(folder / f"{number}.wav", wave, 44_100)


def write_few_sounds(folder: Path) -> Path:
    """Five tones, a copy of one, and a file that cannot be used."""
    write_tones(folder, 5)
    shutil.copy(folder / "3.wav", folder / "copy.wav")
    soundfile.write(folder / "short.wav", tone(0.01, 44_100, 300), 44_100)
    return folder


def write_good_sounds(folder: Path) -> list[str]:
    """Write ten different usable sounds of 0.3 to 1 s in every format; their names, sorted."""
    inner = folder / "nested" / "deeper"
    inner.mkdir(parents=True)

    def write(name: str, wave: NDArray[np.float32], rate: int, subtype: str | None = None) -> None:
        soundfile.write(folder / name, wave, rate, subtype)

    write("8-bit.wav", tone(0.5, 8_000, 110), 8_000, "PCM_U8")
    write("16-bit.WAV", tone(0.7, 44_100, 150), 44_100, "PCM_16")
    write("24-bit-192k.wav", tone(0.3, 192_000, 200), 192_000, "PCM_24")
    write("loud-float.wav", 5 * tone(0.4, 48_000, 260), 48_000, "FLOAT")
    write("six-channels.wav", tone(0.6, 48_000, 90, channels=6), 48_000, "PCM_16")
    write("odd-rate.wav", tone(0.8, 44_101, 330), 44_101, "PCM_16")
    write("nested/vorbis.ogg", tone(1.0, 44_100, 400, channels=2), 44_100)
    write("nested/layer-3.mp3", tone(0.9, 44_100, 480), 44_100)
    write("nested/deeper/apple.aiff", tone(0.5, 22_050, 560), 22_050)
    write("nested/deeper/lossless.flac", tone(0.6, 96_000, 640, channels=2), 96_000)
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def write_broken_sounds(folder: Path) -> dict[str, str]:
    """Write twenty that cannot be used (POSIX only); name -> a word of the reason expected."""
    folder.mkdir(parents=True, exist_ok=True)
    good = tone(0.5, 44_100, 220)
    expected: dict[str, str] = {}

    def add(name: str, word: str, content: bytes | None = None) -> Path:
        expected[name] = word
        if content is not None:
            (folder / name).write_bytes(content)
        return folder / name

    def cut(name: str, word: str) -> None:
        path = add(name, word)
        soundfile.write(path, good, 44_100)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    def sound(name: str, word: str, wave: NDArray[np.float32], rate: int = 44_100) -> Path:
        path = add(name, word)
        soundfile.write(path, wave, rate, "FLOAT" if path.suffix == ".wav" else None)
        return path

    add("empty.wav", "empty", b"")
    add("text.wav", "not a WAV", b"This is a letter, not a sound.\n" * 40)
    add("noise.mp3", "not a WAV", b"\x00\x17" + np.random.default_rng(1).bytes(5000))
    add("picture.ogg", "not a WAV", b"\x89PNG\r\n\x1a\n" + np.random.default_rng(2).bytes(900))
    add("header-only.wav", "no samples", wav_header(data_bytes=0))
    add("gigabytes.wav", "promises 2000000000", wav_header(data_bytes=2_000_000_000))
    cut("cut.wav", "cut off")
    cut("cut.aiff", "cut off")
    cut("cut.flac", "cut off")
    sound("nan.wav", "NaN", _with(good, np.nan))
    sound("infinite.wav", "infinity", _with(good, np.inf))
    sound("short.wav", "0.010 s", good[:441])
    sound("silent.flac", "silent", np.zeros_like(good))
    sound("offset.wav", "constant", np.full_like(good, 0.5))
    sound("opposite.wav", "cancel", np.hstack([good, -good]))
    slow = sound("seven-hertz.wav", "7 Hz", good)
    slow.write_bytes(slow.read_bytes().replace(struct.pack("<I", 44_100), struct.pack("<I", 7), 1))
    add("folder.wav", "folder").mkdir()
    add("nowhere.wav", "does not exist").symlink_to("gone.wav")
    add("loop.wav", "itself").symlink_to("loop.wav")
    os.mkfifo(add("pipe.wav", "pipe"))
    return expected


def wav_header(data_bytes: int, rate: int = 44_100) -> bytes:
    """The 44 bytes of a 16-bit mono WAV that claims so many bytes of sound."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", (36 + data_bytes) & 0xFFFFFFFF, b"WAVE")
    return riff + fmt + struct.pack("<4sI", b"data", data_bytes)


def _with(wave: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    changed = wave.copy()
    changed[1000] = value
    return changed
