import errno
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from broken_sounds import tone, wav_header, write_broken_sounds, write_good_sounds

from artifacts import audio_decode
from artifacts.audio_decode import BLOCK_SAMPLES, ReadError, decode
from core.audio import resample
from core.config import IngestConfig
from core.errors import AudioError

CONFIG = IngestConfig()


def decoded_wave(source: Path) -> np.ndarray:
    target = source.with_suffix(".f32")
    decode(source, target, CONFIG)
    return np.fromfile(target, "<f4")


def refusal(source: Path) -> str:
    target = source.parent / "target.f32"
    with pytest.raises(AudioError) as error:
        decode(source, target, CONFIG)
    assert not target.exists()
    return str(error.value)


def test_good_sounds_decode_to_the_resampled_mean_of_their_channels(tmp_path: Path) -> None:
    for name in write_good_sounds(tmp_path):
        wave, rate = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)  # at once
        expected = resample(wave.mean(1, dtype=np.float64).astype(np.float32), rate, 44_100)
        np.testing.assert_allclose(decoded_wave(tmp_path / name), expected, atol=1e-6, err_msg=name)


def test_summary_describes_what_was_written(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 3 * tone(0.5, 48_000, 300, 2), 48_000, "FLOAT")
    decoded = decode(tmp_path / "a.wav", tmp_path / "a.f32", CONFIG)
    data = (tmp_path / "a.f32").read_bytes()
    wave = np.frombuffer(data, "<f4").astype(np.float64)
    assert decoded.samples == len(wave) == 22_050
    assert decoded.peak == np.abs(wave).max() > 1
    assert decoded.rms == pytest.approx(np.sqrt(np.square(wave).mean()), rel=1e-9)
    assert (decoded.source_rate, decoded.channels) == (48_000, 2)
    assert decoded.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_sound_of_several_blocks_decodes_as_a_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"long.{suffix}"
    soundfile.write(path, tone(4 * BLOCK_SAMPLES / 48_000, 48_000, 0.3, 2), 48_000)
    whole = soundfile.read(path, dtype="float32")[0].mean(1, dtype=np.float64)
    expected = resample(whole.astype(np.float32), 48_000, 44_100)
    np.testing.assert_allclose(decoded_wave(path), expected, atol=1e-6)


def test_every_broken_sound_is_refused_with_its_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = write_broken_sounds(tmp_path)
    assert len(expected) == 20
    for name in sorted(expected.keys() - {"folder.wav", "nowhere.wav", "loop.wav", "pipe.wav"}):
        reason = refusal(tmp_path / name)
        assert expected[name] in reason, name
        assert ";" in reason, name
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["folder.wav", "nowhere.wav", "loop.wav", "pipe.wav"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, name: str) -> None:
    write_broken_sounds(tmp_path)
    assert refusal(tmp_path / name) == "is not a regular file; remove it"


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_a_cut_lossy_sound_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    soundfile.write(path, tone(3.0, 44_100, 200), 44_100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_a_wav_from_a_pipe_promises_nothing_and_is_used(tmp_path: Path, size: int) -> None:
    samples = (tone(0.5, 44_100, 200)[:, 0] * 32767).astype("<i2")
    (tmp_path / "pipe.wav").write_bytes(wav_header(size) + samples.tobytes())
    np.testing.assert_array_equal(
        decoded_wave(tmp_path / "pipe.wav"), samples.astype(np.float32) / 32768
    )


def test_a_flac_of_unknown_length_is_used(tmp_path: Path) -> None:
    wave = tone(4.0, 44_100, 200)
    soundfile.write(tmp_path / "a.flac", wave, 44_100)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] &= 0xF0  # STREAMINFO's 36 bits of total samples: 0 is unknown (FLAC format)
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert len(decoded_wave(tmp_path / "a.flac")) == len(wave)


def test_an_mp3_whose_length_is_guessed_too_short_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(44_100 * 4).astype(np.float32) / 5
    noise[44_100:] *= 1e-4  # a loud start: its bit rate, taken for all of it, is far too high
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise, 44_100, compression_level=0.3, bitrate_mode="VARIABLE")
    content = path.read_bytes()
    path.write_bytes(content[content.index(content[:2], 150) :])  # without the Xing frame
    assert "does not state its length" in refusal(path)


def test_sound_above_the_new_nyquist_frequency_is_refused(tmp_path: Path) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 40_000 * np.arange(96_000) / 192_000)
    wave *= np.hanning(96_000)  # without the clicks that a hard start and end would leave
    soundfile.write(tmp_path / "bat.wav", wave, 192_000, "FLOAT")
    assert "silent below 22050 Hz" in refusal(tmp_path / "bat.wav")


def test_integers_in_a_float_file_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 32_767 * tone(0.3, 44_100, 200), 44_100, "FLOAT")
    assert "at most +60 dBFS" in refusal(tmp_path / "a.wav")


def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.3, 8_000, 100, channels=65), 8_000)
    assert "65 channels" in refusal(tmp_path / "a.wav")


def test_the_shortest_length_is_measured_at_the_source_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1, 8_000, 300)[:399], 8_000)
    assert refusal(tmp_path / "a.wav").startswith("is 0.050 s long") is True
    soundfile.write(tmp_path / "b.wav", tone(1, 8_000, 300)[:400], 8_000)
    assert len(decoded_wave(tmp_path / "b.wav")) == 2205


def test_a_name_that_is_no_utf_8_decodes(tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.wav"
    soundfile.write(tmp_path / "a.wav", tone(0.3, 44_100, 200), 44_100)
    (tmp_path / "a.wav").rename(path)
    assert decode(path, tmp_path / "a.f32", CONFIG).samples == 13_230


def test_a_big_endian_wav_is_read(tmp_path: Path) -> None:
    wave = tone(0.3, 44_100, 200)
    soundfile.write(tmp_path / "a.wav", wave, 44_100, "PCM_16", endian="BIG")
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFX"
    assert len(decoded_wave(tmp_path / "a.wav")) == len(wave)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-100])
    assert "promises" in refusal(tmp_path / "cut.wav")


def test_a_wav_chunk_after_the_sound_may_be_cut(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.3, 44_100, 200), 44_100)
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(struct.pack("<4sI", b"LIST", 500) + b"INFO")
    assert len(decoded_wave(tmp_path / "a.wav")) == 13_230


def test_a_disk_that_does_not_give_the_sound_is_told_from_one_that_takes_no_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.3, 44_100, 200), 44_100)
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "a.wav", tmp_path / "missing" / "a.f32", CONFIG)

    def refuse(_file: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(audio_decode, "read_header", refuse)
    with pytest.raises(ReadError, match="Input/output error"):
        decode(tmp_path / "a.wav", tmp_path / "a.f32", CONFIG)
    assert not (tmp_path / "a.f32").exists()
