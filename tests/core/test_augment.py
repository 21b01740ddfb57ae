"""Augmentation: how large and how smooth the curves are, and what must stay as it is."""

import math

import numpy as np
import pytest
import torch
from scipy.fft import dct

from core.augment import at_speed, equalised, equalised_in_chunks, equaliser_curves
from core.config import AugmentConfig, MelConfig

MEL, CONFIG = MelConfig(), AugmentConfig()
FLOOR = math.log(1e-5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_curves_deviate_by_the_nats_asked_for() -> None:
    config = AugmentConfig(equaliser_nats=0.7, gain_nats=0.0)
    curves = equaliser_curves(4000, 128, config, generator())
    # 4000 curves of 6 normal weights: the mean square is known to about 2 %.
    assert float(curves.square().mean().sqrt()) == pytest.approx(0.7, rel=0.05)


def test_gain_is_the_curves_mean_and_deviates_as_asked() -> None:
    config = AugmentConfig(gain_nats=0.3)
    means = equaliser_curves(4000, 128, config, generator()).mean(-1)  # cosines have mean 0
    assert float(means.std()) == pytest.approx(0.3, rel=0.05)


def test_curves_hold_no_finer_bend_than_the_last_cosine_term() -> None:
    curves = equaliser_curves(10, 128, AugmentConfig(equaliser_terms=4), generator())
    spectrum = np.abs(dct(curves.double().numpy(), type=2))
    assert spectrum[:, 1:5].min() > 1e-3
    assert spectrum[:, 5:].max() < 1e-4


def test_finer_bends_are_smaller_in_proportion_to_their_order() -> None:
    curves = equaliser_curves(4000, 128, CONFIG, generator())
    bends = dct(curves.double().numpy(), type=2)[:, 1:7].std(0)
    np.testing.assert_allclose(bends[0] / bends, np.arange(1, 7), rtol=0.08)  # sd 1.6 %


def test_equalised_adds_the_curve_where_there_is_sound() -> None:
    mel, curve = torch.full((2, 3, 128), -4.0), torch.linspace(-1, 1, 128).expand(2, 128)
    expected = (curve - 4.0)[:, None].expand(2, 3, 128)
    torch.testing.assert_close(equalised(mel, curve, MEL), expected)


def test_silence_stays_silent_and_nothing_falls_below_it() -> None:
    mel = torch.tensor([[FLOOR, FLOOR + 0.5, -3.0]])
    louder, softer = torch.full((3,), 2.0), torch.full((3,), -2.0)
    torch.testing.assert_close(
        equalised(mel, louder, MEL), torch.tensor([[FLOOR, FLOOR + 2.5, -1]])
    )
    torch.testing.assert_close(equalised(mel, softer, MEL), torch.tensor([[FLOOR, FLOOR, -5.0]]))


def test_each_chunk_has_one_curve_of_its_own() -> None:
    mel = torch.full((40, 128), -4.0)  # two chunks of 16 and one of 8
    change = equalised_in_chunks(mel, MEL, CONFIG, generator()) + 4.0
    assert change.shape == (40, 128)
    for first, last in ((0, 16), (16, 32), (32, 40)):
        torch.testing.assert_close(change[first:last], change[first].expand(last - first, 128))
    assert (change[[0, 16]] - change[[16, 32]]).abs().mean(-1).min() > 0.01


def test_same_generator_state_gives_the_same_copy() -> None:
    mel = torch.randn(20, 128)
    first = equalised_in_chunks(mel, MEL, CONFIG, generator(1))
    assert torch.equal(first, equalised_in_chunks(mel, MEL, CONFIG, generator(1)))
    assert not torch.equal(first, equalised_in_chunks(mel, MEL, CONFIG, generator(2)))


@pytest.mark.parametrize(("speed", "frames"), [(0.5, 200), (0.87, 115), (1.15, 87), (2.0, 50)])
def test_speed_divides_the_length(speed: float, frames: int) -> None:
    assert at_speed(np.zeros((100, 4), np.float32), speed).shape == (frames, 4)


def test_speed_interpolates_every_band_as_numpy_does() -> None:
    mel = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    faster = at_speed(mel, 1.3)
    places = np.linspace(0, 49, 38)
    for band in range(4):
        expected = np.interp(places, np.arange(50), mel[:, band])
        np.testing.assert_allclose(faster[:, band], expected, atol=1e-5)


def test_speed_one_changes_nothing() -> None:
    mel = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    np.testing.assert_array_equal(at_speed(mel, 1.0), mel)


def test_a_single_frame_survives_any_speed() -> None:
    np.testing.assert_array_equal(at_speed(np.ones((1, 4), np.float32), 3.0), np.ones((1, 4)))
