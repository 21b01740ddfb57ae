from itertools import combinations, pairwise

import numpy as np
import pytest

from core.demo_sounds import (
    PEAKS,
    SAMPLE_RATE,
    band_noise,
    clock,
    decay,
    demo_sounds,
    demo_takes,
    drum,
    oscillator,
    pluck,
    struck,
)

HELD = ("drone", "texture")


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    return dict(demo_sounds())


def rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64))))


def pitch_hz(wave: np.ndarray, lowest: float = 60, highest: float = 1000) -> float:
    """Pitch from the strongest lag of the autocorrelation, refined by a parabola."""
    spectrum = np.fft.rfft(wave, 2 * len(wave))
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)
    first = int(SAMPLE_RATE / highest)
    lag = first + int(np.argmax(likeness[first : int(SAMPLE_RATE / lowest)]))
    before, at, after = likeness[lag - 1 : lag + 2]
    return float(SAMPLE_RATE / (lag + (before - after) / (before - 2 * at + after) / 2))


def test_there_are_24_distinct_names_each_of_a_known_kind() -> None:
    names = [name for name, _ in demo_sounds()]
    assert len(names) == len(set(names)) == 24
    assert {name.partition("_")[0] for name in names} == set(PEAKS)


def test_takes_are_the_sounds_and_other_strikes_of_them(sounds: dict[str, np.ndarray]) -> None:
    takes = dict(demo_takes())
    assert len({wave.tobytes() for wave in takes.values()}) == len(takes) == 45
    assert list(takes)[:24] == list(sounds)
    for name, wave in takes.items():
        assert wave.shape == sounds[name.removesuffix("_again")].shape


def test_same_seed_gives_the_same_bytes(sounds: dict[str, np.ndarray]) -> None:
    assert {name: wave.tobytes() for name, wave in demo_sounds(0)} == {
        name: wave.tobytes() for name, wave in sounds.items()
    }


def test_another_seed_gives_another_pluck(sounds: dict[str, np.ndarray]) -> None:
    name, wave = next(demo_sounds(1))
    assert wave.shape == sounds[name].shape
    assert not np.array_equal(wave, sounds[name])


def test_waves_are_finite_mono_float32_with_a_peak_from_03_to_09(
    sounds: dict[str, np.ndarray],
) -> None:
    for wave in sounds.values():
        assert wave.dtype == np.float32
        assert wave.ndim == 1
        assert np.isfinite(wave).all()
        assert 0.3 <= np.abs(wave).max() <= 0.9


def test_waves_have_no_dc_and_begin_and_end_at_zero(sounds: dict[str, np.ndarray]) -> None:
    for wave in sounds.values():
        assert abs(wave.mean(dtype=np.float64)) < 1e-5  # a third of a 16-bit step
        assert wave[0] == wave[-1] == 0


def test_16_bits_lose_nothing(sounds: dict[str, np.ndarray]) -> None:
    for wave in sounds.values():
        assert np.array_equal(wave * 32_768, np.round(wave * 32_768))


def test_lengths_are_02_to_4_seconds_and_about_30_in_all(sounds: dict[str, np.ndarray]) -> None:
    seconds = [len(wave) / SAMPLE_RATE for wave in sounds.values()]
    assert min(seconds) >= 0.2
    assert max(seconds) <= 4
    assert 27 <= sum(seconds) <= 33


def test_one_shots_die_away_and_are_most_of_the_set(sounds: dict[str, np.ndarray]) -> None:
    one_shots = [name for name in sounds if not name.startswith(HELD)]
    assert len(one_shots) >= 12
    for name in one_shots:
        last = sounds[name][-SAMPLE_RATE // 20 : -SAMPLE_RATE // 50]  # 30 ms before the fade
        assert rms(last) < 0.01 * np.abs(sounds[name]).max(), name


def test_every_two_sounds_differ_in_spectrum_or_envelope(sounds: dict[str, np.ndarray]) -> None:
    def picture(wave: np.ndarray) -> np.ndarray:
        """(8, 24) dB: power in eighths of the length and thirds of octaves from 80 Hz."""
        edges = 80 * 2 ** (np.arange(25) / 3)
        pieces = [np.abs(np.fft.rfft(piece, SAMPLE_RATE)) ** 2 for piece in np.array_split(wave, 8)]
        bands = [[power[int(a) : int(b)].sum() for a, b in pairwise(edges)] for power in pieces]
        power = np.array(bands)
        decibels: np.ndarray = 10 * np.log10(power / power.max() + 1e-6)
        return decibels

    pictures = {name: picture(wave) for name, wave in sounds.items()}
    for one, other in combinations(pictures, 2):
        assert np.abs(pictures[one] - pictures[other]).mean() > 3, (one, other)


@pytest.mark.parametrize(
    ("name", "hz"), [("pluck_low", 110), ("pluck_high", 440), ("pluck_muted", 164.81)]
)
def test_a_pluck_sounds_the_pitch_asked(
    sounds: dict[str, np.ndarray], name: str, hz: float
) -> None:
    # The loop's delay in closed form: whole samples, one for the three taps, the interpolated rest.
    assert pitch_hz(sounds[name]) == pytest.approx(hz, rel=0.01)


def test_a_pluck_without_damping_falls_60_db_in_its_t60() -> None:
    # 441 samples a period, so the interpolation takes nothing and g alone decays.
    wave = pluck(np.random.default_rng(0), 1.5, 100, 1.0, 0.0, 0.25, 0.0)
    early, late = wave[4410:8820], wave[4410 + SAMPLE_RATE : 8820 + SAMPLE_RATE]
    assert 20 * np.log10(rms(early) / rms(late)) == pytest.approx(60, abs=0.01)


def test_a_struck_partial_has_the_energy_of_its_formula() -> None:
    # Two equal voices of phases p and q make one sine of amplitude A = |e^ip + e^iq|; its energy
    # under 10^(-3 t / t60) is A^2 / 2 * integral of 10^(-6 t / t60) = A^2 / 2 * t60 / (6 ln 10).
    wave = struck(np.random.default_rng(0), 3.0, 1000, (1.0,), 0.5, 0.7)
    p, q = np.random.default_rng(0).uniform(0, 2 * np.pi, 2)
    expected = abs(np.exp(1j * p) + np.exp(1j * q)) ** 2 / 2 * 0.5 / (6 * np.log(10))
    assert np.sum(wave**2) / SAMPLE_RATE == pytest.approx(expected, rel=0.01)


def test_a_drum_falls_to_its_low_pitch() -> None:
    wave = drum(np.random.default_rng(0), 1.0, (400, 100, 0.02), 10.0, (1000, 2000), 0.1, 0.0)
    assert pitch_hz(wave[SAMPLE_RATE // 2 :]) == pytest.approx(100, rel=0.01)


def test_band_noise_has_its_power_in_its_band() -> None:
    wave = band_noise(np.random.default_rng(0), SAMPLE_RATE, 1000, 2000)
    power = np.abs(np.fft.rfft(wave)) ** 2
    assert rms(wave) == pytest.approx(1)
    assert power[800:2500].sum() > 0.9 * power.sum()


def test_decay_is_60_db_at_t60_and_nothing_before_zero() -> None:
    assert decay(np.array([-0.1, 0.0, 0.7]), 0.7).tolist() == pytest.approx([0, 1, 1e-3])


def test_oscillator_at_one_pitch_is_a_sine() -> None:
    t = clock(0.1)
    np.testing.assert_allclose(
        oscillator(np.full_like(t, 441.0)), np.sin(2 * np.pi * 441 * t), atol=1e-9
    )
