"""Descriptors of mels so simple that their values can be worked out by hand, and ranks."""

import math

import pytest
import torch
from torch import Tensor

from core.config import MelConfig
from core.descriptors import QUANTILES, attack_frames, descriptors, ranks, scales
from core.mel import band_centres_hz, silence

MEL = MelConfig()
BRIGHTNESS, LOUDNESS, NOISINESS, ATTACK = range(4)
HZ = band_centres_hz(MEL)
BANDS = int((HZ >= 40).sum())  # that say something about colour


def flat(level: float, frames: int = 20) -> Tensor:
    return torch.full((frames, 128), level)


def band(*bands: int, level: float = 5.0, frames: int = 20) -> Tensor:
    """Silence but for some bands, e^16 times as loud."""
    mel = flat(silence(MEL), frames)
    mel[:, list(bands)] = level
    return mel


def some_sound() -> Tensor:
    return torch.randn(60, 128, generator=torch.Generator().manual_seed(0)) - 4


def test_louder_copy_is_louder_by_its_gain_in_nats_and_nothing_else() -> None:
    change = descriptors(some_sound() + 1.5, MEL) - descriptors(some_sound(), MEL)
    torch.testing.assert_close(change, torch.tensor([0.0, 1.5, 0.0, 0.0]), atol=1e-5, rtol=0)


def test_loudness_is_the_level_of_the_loudest_tenth_of_a_second() -> None:
    mel = flat(-9.0, 100)
    mel[40:49] = -2.0  # nine frames are 0.1 s
    assert float(descriptors(mel, MEL)[LOUDNESS]) == pytest.approx(-2)
    mel[44] = -9.0  # a ninth of the power is gone
    expected = -2 + 0.5 * math.log(8 / 9)
    assert float(descriptors(mel, MEL)[LOUDNESS]) == pytest.approx(expected, abs=1e-5)


def test_level_of_a_frame_is_its_power_over_all_bands() -> None:
    mel = flat(silence(MEL))
    mel[:, :32] = -2.0  # a quarter of the bands
    expected = -2 + 0.5 * math.log(1 / 4)
    assert float(descriptors(mel, MEL)[LOUDNESS]) == pytest.approx(expected, abs=1e-5)


def test_sound_shorter_than_a_tenth_of_a_second_is_as_loud_as_its_mean_power() -> None:
    mel = torch.tensor([0.0, math.log(7)])[:, None].expand(2, 128)  # powers 1 and 49
    assert float(descriptors(mel, MEL)[LOUDNESS]) == pytest.approx(math.log(5))


def test_flat_noise_has_flatness_zero() -> None:
    assert float(descriptors(flat(-3.0), MEL)[NOISINESS]) == pytest.approx(0, abs=1e-6)


def test_flatness_is_the_mean_log_below_the_log_mean() -> None:
    mel = flat(-6.0)
    mel[:, 60] = 1.0
    mean = (math.e + (BANDS - 1) * math.exp(-6)) / BANDS
    expected = (1.0 - 6 * (BANDS - 1)) / BANDS - math.log(mean)
    assert float(descriptors(mel, MEL)[NOISINESS]) == pytest.approx(expected, rel=1e-5)
    assert expected < -2  # a tone is far from noise


def test_soft_frames_hardly_count_for_noisiness() -> None:
    loud, soft = flat(0.0, 10), band(60, level=-8.0, frames=10)  # noise, then a tone e^8 softer
    assert float(descriptors(torch.cat([loud, soft]), MEL)[NOISINESS]) > -0.01


@pytest.mark.parametrize("number", [5, 40, 120])
def test_brightness_of_one_band_is_its_octave(number: int) -> None:
    expected = math.log2(float(HZ[number]))
    assert float(descriptors(band(number), MEL)[BRIGHTNESS]) == pytest.approx(expected, abs=1e-3)


def test_brightness_of_two_equal_bands_lies_between_their_octaves() -> None:
    expected = (math.log2(float(HZ[30])) + math.log2(float(HZ[90]))) / 2
    assert float(descriptors(band(30, 90), MEL)[BRIGHTNESS]) == pytest.approx(expected, abs=1e-3)


def test_rumble_below_40_hz_says_nothing_about_colour() -> None:
    assert float(HZ[0]) < 40 < float(HZ[1])
    mel = some_sound()
    before = descriptors(mel, MEL)[BRIGHTNESS]
    mel[:, 0] += 8
    assert torch.equal(descriptors(mel, MEL)[BRIGHTNESS], before)


def test_attack_of_a_ramp_is_where_it_passes_four_fifths() -> None:
    ramp = torch.arange(1.0, 11.0)  # 10 frames up to 10, from 0 before the first
    assert float(attack_frames(ramp)) == pytest.approx(8)
    assert float(attack_frames(torch.tensor([1.0, 5.0, 10.0]))) == pytest.approx(2 + 3 / 5)
    found = descriptors(ramp.log()[:, None].expand(-1, 128), MEL)[ATTACK]
    assert float(found) == pytest.approx(-math.log2(8.25))


def test_sound_that_is_there_at_once_attacks_within_its_first_frame() -> None:
    assert float(descriptors(flat(-3.0), MEL)[ATTACK]) == pytest.approx(-math.log2(0.25 + 0.8))


def test_attack_is_looked_for_in_the_first_second() -> None:
    late = torch.cat([torch.full((86,), 0.1), torch.ones(50)])
    assert float(attack_frames(late)) == pytest.approx(0.8)
    assert float(attack_frames(late[1:])) == pytest.approx(85 + 0.7 / 0.9)


@pytest.mark.parametrize("mel", [flat(silence(MEL)), flat(silence(MEL), 1), band(0, frames=1)])
def test_silence_and_lone_frames_have_descriptors(mel: Tensor) -> None:
    assert descriptors(mel, MEL).isfinite().all()


def distinct_scale() -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(4, QUANTILES, generator=draw).sort(1).values


def test_scales_of_as_many_sounds_as_quantiles_are_their_sorted_values() -> None:
    scale = distinct_scale()
    order = torch.randperm(QUANTILES, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(scales(list(scale.T[order])), scale)


def test_quantiles_themselves_are_evenly_ranked() -> None:
    scale = distinct_scale()
    even = torch.linspace(0, 1, QUANTILES)[:, None].expand(-1, 4)
    torch.testing.assert_close(ranks(scale.T, scale), even)


def test_rank_between_two_quantiles_is_in_proportion() -> None:
    scale = distinct_scale()
    values = 0.75 * scale[:, 7] + 0.25 * scale[:, 8]
    torch.testing.assert_close(ranks(values, scale), torch.full((4,), 7.25 / 32), atol=1e-5, rtol=0)


def test_value_beyond_all_sounds_has_the_last_rank() -> None:
    scale = distinct_scale()
    assert ranks(torch.full((4,), 99.0), scale).tolist() == [1.0] * 4
    assert ranks(torch.full((4,), -99.0), scale).tolist() == [0.0] * 4


def test_shared_value_has_the_middle_of_its_ranks() -> None:
    marks = torch.arange(33.0)
    marks[4:9] = 4.0  # quantiles 4 to 8
    scale = marks.expand(4, -1)
    assert ranks(torch.full((4,), 4.0), scale).tolist() == [6 / 32] * 4
    assert ranks(torch.full((4,), 2.0), torch.full((4, 33), 2.0)).tolist() == [0.5] * 4


def test_greater_values_never_rank_lower() -> None:
    marks = torch.arange(33.0)
    marks[4:9] = 4.0
    values = torch.linspace(-2, 35, 2000)[:, None].expand(-1, 4)
    for scale in (distinct_scale(), marks.expand(4, -1).contiguous()):
        found = ranks(values, scale)
        assert (found.diff(dim=0) >= 0).all()
        assert (found.min(), found.max()) == (0, 1)
