import librosa
import numpy as np
from small_line import Line

from artifacts.mel_table import MelTable
from artifacts.sound_set import SoundSet


def test_every_sound_has_its_mel_in_the_order_of_the_set(line: Line) -> None:
    sounds = SoundSet.load(line.store, line.sounds).sounds
    table = MelTable(line.store.path(line.mels.digest))
    assert table.sounds == [one.digest for one in sounds]
    assert table.frames == [one.samples // 512 for one in sounds]
    assert table.mel == line.config.mel


def test_mels_are_those_of_the_sounds_with_the_sets_gain(line: Line) -> None:
    sounds = SoundSet.load(line.store, line.sounds)
    table = MelTable(line.store.path(line.mels.digest))
    # The contract by NumPy's FFT: librosa's Slaney bands, periodic Hann, reflected by 768.
    bands = librosa.filters.mel(sr=44_100, n_fft=2048, n_mels=128)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    for index in range(len(table)):
        padded = np.pad(sounds.wave(line.store, index), 768, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::512]
        mel = np.abs(np.fft.rfft(frames * window)) @ bands.T
        expected = np.log(np.maximum(mel, 1e-5))
        np.testing.assert_allclose(table.log_mel(index), expected, atol=2e-3)
