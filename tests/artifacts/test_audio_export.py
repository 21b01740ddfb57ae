import resource
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from broken_sounds import tone

from artifacts.audio_export import BitDepth, Container, free_path, placed, write_audio, write_blocks
from artifacts.store import sha256_of
from core.errors import AudioError, ConfigError

WAVE = tone(1.5, 48_000, 220)[:, 0]


@pytest.mark.parametrize(
    ("container", "bit_depth", "subtype", "step"),
    [
        ("wav", 24, "PCM_24", 2**-23),
        ("wav", 16, "PCM_16", 2**-15),
        ("wav", 32, "FLOAT", 0.0),
        ("flac", 24, "PCM_24", 2**-23),
        ("flac", 16, "PCM_16", 2**-15),
    ],
)
def test_lossless_containers_keep_a_wave_to_one_step(
    tmp_path: Path, container: Container, bit_depth: BitDepth, subtype: str, step: float
) -> None:
    write_audio(tmp_path / "a", WAVE, 48_000, container, bit_depth)
    info = soundfile.info(tmp_path / "a")
    assert (info.format, info.subtype, info.samplerate) == (container.upper(), subtype, 48_000)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a")[0], WAVE, rtol=0, atol=step)


@pytest.mark.parametrize("container", ["ogg", "mp3"])
def test_lossy_containers_keep_a_wave_nearly(tmp_path: Path, container: Container) -> None:
    write_audio(tmp_path / "a", WAVE, 48_000, container)
    wave, rate = soundfile.read(tmp_path / "a")
    assert (wave.shape, rate) == (WAVE.shape, 48_000)
    assert np.square(wave - WAVE).mean() < 0.01 * np.square(WAVE).mean()  # 20 dB apart


@pytest.mark.parametrize(
    ("container", "bit_depth"), [("wav", 24), ("wav", 32), ("flac", 24), ("ogg", 24), ("mp3", 24)]
)
def test_equal_samples_give_equal_bytes(
    tmp_path: Path, container: Container, bit_depth: BitDepth
) -> None:
    write_audio(tmp_path / "a", WAVE, 48_000, container, bit_depth)
    time.sleep(1.1 if bit_depth == 32 or container == "ogg" else 0)  # their clocks tick in seconds
    write_audio(tmp_path / "b", WAVE, 48_000, container, bit_depth)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_channels_are_kept(tmp_path: Path) -> None:
    stereo = tone(0.3, 44_100, 220, channels=2)
    write_audio(tmp_path / "a.wav", stereo, 44_100)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], stereo, atol=2**-23)


@pytest.mark.parametrize("container", ["wav", "flac", "ogg", "mp3"])
def test_a_wave_in_blocks_is_written_as_it_were_whole(tmp_path: Path, container: Container) -> None:
    write_audio(tmp_path / "a", WAVE, 48_000, container)
    write_blocks(tmp_path / "b", np.split(WAVE, [0, 1, 70_000]), 48_000, container)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_fault_in_a_later_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="contains NaN"):
        write_blocks(tmp_path / "a.wav", [WAVE, np.full(9, np.nan, np.float32)], 48_000)
    assert list(tmp_path.iterdir()) == []


def test_samples_above_1_are_clipped_and_never_wrap(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", np.full(4800, 1.5, np.float32), 48_000)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], 1.0, atol=2**-22)


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.full(9, np.nan, np.float32)])
def test_what_is_no_sound_is_not_written(tmp_path: Path, wave: np.ndarray) -> None:
    with pytest.raises(AudioError, match=r"^the sound for a\.wav .*; it cannot be written$"):
        write_audio(tmp_path / "a.wav", wave, 48_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("container", "rate", "bit_depth"),
    [("mp3", 96_000, 24), ("ogg", 384_000, 24), ("flac", 44_100, 32)],  # Ogg's would crash
)
def test_what_a_container_cannot_hold_is_refused(
    tmp_path: Path, container: Container, rate: int, bit_depth: BitDepth
) -> None:
    with pytest.raises(ConfigError, match=r"; choose "):
        write_audio(tmp_path / "a", WAVE, rate, container, bit_depth)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_audio(tmp_path / "a.wav", WAVE, 48_000)
    before = (tmp_path / "a.wav").read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("artifacts.store.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_audio(tmp_path / "a.wav", WAVE / 2, 48_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == before


@pytest.mark.parametrize(
    ("container", "bit_depth"), [("wav", 24), ("wav", 32), ("flac", 16), ("ogg", 24), ("mp3", 24)]
)
@pytest.mark.parametrize("taken", [0.0, 0.5, 1.0])
def test_a_disk_that_does_not_take_every_byte_is_an_error(
    tmp_path: Path, container: Container, bit_depth: BitDepth, taken: float
) -> None:
    write_audio(tmp_path / "a", WAVE, 48_000, container, bit_depth)
    size = max(2, round(taken * (tmp_path / "a").stat().st_size))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_audio(tmp_path / "b", WAVE, 48_000, container, bit_depth)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_free_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert free_path(tmp_path / "a.wav", "any") == tmp_path / "a.wav"


def test_a_path_with_the_same_bytes_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"same")
    assert free_path(path, sha256_of(path)) == path


def test_other_content_is_left_alone_and_the_new_gets_a_number(tmp_path: Path) -> None:
    for name in ("a.wav", "a-2.wav"):
        (tmp_path / name).write_bytes(b"other")
    assert free_path(tmp_path / "a.wav", "new") == tmp_path / "a-3.wav"
    (tmp_path / "a-3.wav").write_bytes(b"new")
    digest = sha256_of(tmp_path / "a-3.wav")
    assert free_path(tmp_path / "a.wav", digest) == tmp_path / "a-3.wav"


def test_a_sound_is_placed_whole_beside_what_is_there(tmp_path: Path) -> None:
    first, digest = placed(tmp_path / "a.wav", [WAVE], 48_000)
    assert (first, digest) == (tmp_path / "a.wav", sha256_of(tmp_path / "a.wav"))
    assert placed(tmp_path / "a.wav", [WAVE], 48_000) == (first, digest)
    other, its = placed(tmp_path / "a.wav", [WAVE / 2], 48_000, bit_depth=16)
    assert (other, its) == (tmp_path / "a-2.wav", sha256_of(tmp_path / "a-2.wav"))
    assert sha256_of(first) == digest
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "a-2.wav"}
