"""Segments: aligned, padded as the mel contract wants, drawn in proportion to length."""

import numpy as np
import torch

from core.config import MelConfig
from core.mel import silence
from core.vocoder_data import WavePair, draw_segments, segment, too_little_for_hifigan

HOP, SILENCE = 4, -11.5129


def counting_pair(frames: int, first: int = 0) -> WavePair:
    """Frame f holds first + f in each of 3 bands, and so do its samples."""
    values = np.arange(first, first + frames, dtype=np.float32)
    return WavePair(np.repeat(values[:, None], 3, axis=1), np.repeat(values, HOP))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_segments_have_mel_bands_first_and_one_hop_of_wave_per_frame() -> None:
    mel, wave = draw_segments([counting_pair(20)], 5, 8, HOP, SILENCE, generator())
    assert mel.shape == (5, 3, 8)
    assert wave.shape == (5, 8 * HOP)


def test_every_frame_lies_over_its_own_samples() -> None:
    pairs = [counting_pair(20), counting_pair(33, first=100)]
    mel, wave = draw_segments(pairs, 64, 8, HOP, SILENCE, generator())
    torch.testing.assert_close(wave.reshape(64, 8, HOP), mel[:, 0, :, None].expand(-1, -1, HOP))


def test_short_pair_is_padded_with_log_mel_silence_and_zero_samples() -> None:
    floor = silence(MelConfig())
    mel, wave = draw_segments([counting_pair(3, first=1)], 1, 5, HOP, floor, generator())
    np.testing.assert_allclose(mel[0, 1], [1, 2, 3, np.log(1e-5), np.log(1e-5)], rtol=1e-6)
    np.testing.assert_array_equal(wave[0], [1] * 4 + [2] * 4 + [3] * 4 + [0] * 8)


def test_starts_reach_from_the_first_frame_to_the_last_fit() -> None:
    mel, _ = draw_segments([counting_pair(10)], 300, 8, HOP, SILENCE, generator())
    starts, counts = mel[:, 0, 0].unique(return_counts=True)
    assert starts.tolist() == [0, 1, 2]
    assert counts.min() > 70  # 100 expected each; the binomial's sd is 8


def test_pairs_come_up_in_proportion_to_length_and_none_less_than_a_segment() -> None:
    # Lengths 2 (counts as 8), 8 and 48: shares 1/8, 1/8 and 6/8 of 4000 draws.
    pairs = [counting_pair(2), counting_pair(8, first=100), counting_pair(48, first=200)]
    mel, _ = draw_segments(pairs, 4000, 8, HOP, SILENCE, generator())
    which = (mel[:, 0, 0] / 100).long()
    shares = torch.bincount(which) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.125, 0.125, 0.75]), atol=0.03, rtol=0)


def test_same_generator_state_draws_the_same_batch() -> None:
    pairs = [counting_pair(30), counting_pair(50, first=100)]
    first = draw_segments(pairs, 16, 8, HOP, SILENCE, generator(1))
    again = draw_segments(pairs, 16, 8, HOP, SILENCE, generator(1))
    other = draw_segments(pairs, 16, 8, HOP, SILENCE, generator(2))
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_segment_is_a_copy() -> None:
    pair = counting_pair(10)
    mel, wave = segment(pair, 0, 10, HOP, SILENCE)
    mel += 1
    wave += 1
    assert pair.log_mel[0, 0] == 0
    assert pair.wave[0] == 0


def test_little_sound_is_said_in_minutes_and_enough_is_not() -> None:
    said = too_little_for_hifigan(402.0)
    assert said is not None
    assert said.startswith("6.7 minutes of sound are little for HiFi-GAN")
    assert too_little_for_hifigan(600.0) is None
