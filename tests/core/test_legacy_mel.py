"""The legacy mel against torchaudio's own, and its way back to the mel contract."""

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.audio import resample
from core.config import GriffinLimConfig, MelConfig
from core.demo_sounds import demo_sounds
from core.errors import AudioError
from core.griffinlim import GriffinLim
from core.legacy_mel import (
    LegacyMelConfig,
    from_legacy_mel,
    legacy_filterbank,
    legacy_mel,
    log1p_from_log,
    log_from_log1p,
    read_between,
)
from core.mel import log_mel, silence

GOLDEN = Path(__file__).parents[1] / "golden"
LEGACY, MEL = LegacyMelConfig(), MelConfig()
ONE_DB = math.log(10) / 20  # in nats


def legacy_of(wave: Tensor) -> Tensor:
    return legacy_mel(wave[None], LEGACY)[0].T  # (F', M)


def contract_of(wave: Tensor) -> Tensor:
    return log_mel(wave[None], MEL)[0].T  # (F, M)


def tone(rate: int, seconds: float = 1.0, hertz: float = 1000.0) -> Tensor:
    times = torch.arange(round(rate * seconds), dtype=torch.float64) / rate
    return (0.5 * torch.sin(2 * math.pi * hertz * times)).float()


def test_legacy_mel_equals_torchaudios() -> None:
    # Both arrays from torchaudio 2.11: log1p of MelSpectrogram, HTK, no norm, centred, power 2.
    with np.load(GOLDEN / "mel_torchaudio_htk_log1p_48k.npz") as arrays:
        wave, expected = torch.from_numpy(arrays["audio"]), torch.from_numpy(arrays["mel_log1p"])
    ours = legacy_mel(wave[None], LEGACY)[0]
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().mean()) < 1e-4


def test_filters_are_htks_triangles() -> None:
    # HTK book, 5.4: mel = 2595 log10(1 + f / 700), triangles of height 1 between equal steps.
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 24_000 / 700), 130) / 2595) - 1)
    hertz = np.arange(1025) * 48_000 / 2048
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    expected = np.maximum(0, np.minimum(rising, falling))
    np.testing.assert_allclose(legacy_filterbank(LEGACY), expected, atol=1e-5)


@pytest.mark.parametrize("samples", [1025, 1535, 1536, 48_000])
def test_a_centred_frame_for_each_hop_and_one_more(samples: int) -> None:
    assert legacy_mel(torch.zeros(2, samples), LEGACY).shape == (2, 128, 1 + samples // 512)


def test_wave_too_short_to_reflect_is_refused() -> None:
    with pytest.raises(AudioError, match=r"1024 samples has no legacy mel; pad it to 1025"):
        legacy_mel(torch.zeros(1, 1024), LEGACY)


def test_log_and_log1p_undo_each_other_above_the_floor() -> None:
    values = torch.logspace(-5, 6, 100, dtype=torch.float64)
    back = log_from_log1p(values.log1p(), 1e-5)
    torch.testing.assert_close(back, values.log(), atol=1e-9, rtol=0)
    torch.testing.assert_close(log1p_from_log(back), values.log1p(), atol=1e-9, rtol=0)


def test_log_of_nothing_is_the_floor() -> None:
    quiet = torch.tensor([-0.1, 0.0, 1e-6])
    assert torch.equal(log_from_log1p(quiet, 1e-5), torch.full((3,), math.log(1e-5)))


def test_undoing_the_compression_alone_gives_another_mel() -> None:
    # A sine's power is its magnitude's square: the log of one is twice that of the other.
    undone = log_from_log1p(legacy_of(tone(48_000))[40], 1e-5).max()
    assert float(undone) == pytest.approx(2 * math.log(0.5 * 2048 / 4), abs=0.7)
    assert float(undone - contract_of(tone(44_100))[40].max()) > 8.0


def test_tone_of_a_second_stays_one() -> None:
    adapted, true = from_legacy_mel(legacy_of(tone(48_000)), LEGACY, MEL), contract_of(tone(44_100))
    assert abs(len(adapted) - len(true)) <= 1
    middle = slice(4, 80)
    assert torch.equal(adapted[middle].argmax(1), true[middle].argmax(1))
    apart = adapted[middle].max(1).values - true[middle].max(1).values
    assert float(apart.abs().max()) < ONE_DB


def test_tone_sounds_at_its_pitch_level_and_length() -> None:
    adapted = from_legacy_mel(legacy_of(tone(48_000)), LEGACY, MEL)
    wave = GriffinLim(GriffinLimConfig(), MEL).wave(adapted).numpy()
    assert len(wave) == pytest.approx(44_100, abs=512)
    middle = wave[8192 : 8192 + 16_384]
    power = np.abs(np.fft.rfft(middle * np.hanning(16_384), 131_072)) ** 2
    # A mel knows a pitch no better than its bands are wide; 8.8 % too slow would be 919 Hz.
    assert power.argmax() * 44_100 / 131_072 == pytest.approx(1000, abs=15)
    level = 20 * math.log10(np.sqrt(np.mean(middle**2)) / (0.5 / math.sqrt(2)))
    assert abs(level) < 1.0


@pytest.mark.parametrize("samples", [1025, 12_345, 48_000, 480_000])
def test_duration_is_kept_within_a_frame(samples: int) -> None:
    adapted = from_legacy_mel(legacy_of(torch.zeros(samples)), LEGACY, MEL)
    assert len(adapted) * 512 / 44_100 == pytest.approx(samples / 48_000, abs=512 / 44_100)


@pytest.mark.parametrize("second", [0.5, 2.0, 3.5])
def test_an_onset_stays_where_it_was(second: float) -> None:
    wave = torch.randn(4 * 48_000, generator=torch.Generator().manual_seed(0))
    wave[: round(second * 48_000)] = 0.0
    adapted = from_legacy_mel(legacy_of(wave), LEGACY, MEL)
    loud = adapted.mean(1) > adapted.mean(1).max() - 1.0
    assert int(loud.nonzero()[0]) == pytest.approx(second * 44_100 / 512, abs=2)


def test_silence_stays_exactly_silent() -> None:
    adapted = from_legacy_mel(torch.zeros(10, 128), LEGACY, MEL)
    assert torch.equal(adapted, torch.full_like(adapted, silence(MEL)))


def test_values_below_silence_count_as_silence() -> None:
    below = from_legacy_mel(torch.full((3, 128), -0.2), LEGACY, MEL)
    assert torch.equal(below, from_legacy_mel(torch.zeros(3, 128), LEGACY, MEL))


def test_one_frame_gives_one_frame() -> None:
    assert from_legacy_mel(torch.ones(1, 128), LEGACY, MEL).shape == (1, 128)


def test_sounds_come_near_the_true_mel_and_their_own_level() -> None:
    apart, undone = [], []
    for _, wave in islice(demo_sounds(), 0, None, 3):  # one of each kind
        resampled = resample(wave, 44_100, 48_000)
        true, given = contract_of(torch.from_numpy(wave)), legacy_of(torch.from_numpy(resampled))
        adapted = from_legacy_mel(given, LEGACY, MEL)
        frames = min(len(true), len(adapted))
        apart.append(adapted[:frames] - true[:frames])
        undone.append(log_from_log1p(given[:frames], MEL.floor) - true[:frames])
    assert float(torch.cat(apart).abs().mean()) < 0.3
    assert float(torch.cat(undone).abs().mean()) > 2.0


def test_another_number_of_bands_is_refused() -> None:
    with pytest.raises(AudioError, match="has 128 bands, not 80"):
        from_legacy_mel(torch.zeros(3, 80), LEGACY, MEL)


def test_rows_are_read_between_and_held_beyond() -> None:
    rows = torch.tensor([[0.0, 10.0], [1.0, 20.0], [3.0, 40.0]])
    places = torch.tensor([-1.0, 0.0, 0.25, 1.5, 2.0, 7.0], dtype=torch.float64)
    expected = [[0.0, 10.0], [0.0, 10.0], [0.25, 12.5], [2.0, 30.0], [3.0, 40.0], [3.0, 40.0]]
    assert torch.equal(read_between(rows, places), torch.tensor(expected))
