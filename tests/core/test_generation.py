"""From codes to sounds: as long as is asked, decoded in parts, none of them silent."""

import numpy as np
import pytest
import torch
from torch import Tensor
from untrained_instrument import EXAMPLES, MEL, Loudness, heard_mel, instrument

from core import generation
from core.controls import Controls
from core.errors import ConfigError
from core.generation import DecodedMel, Instrument, Request, drawn_sounds, played_sounds
from core.mel import silence
from core.prior import UNKNOWN, Conditions, Prior
from core.sampling import Sampling
from core.vocoder import Vocoder


def never_ending() -> Instrument:
    made = instrument()
    with torch.no_grad():
        made.prior.head_bias[0, 8] = -100.0
    return made


def waves(vocoder: Vocoder, seeds: list[int], seconds: float | None = 0.1) -> list[np.ndarray]:
    """At the mel's own rate."""
    return [
        sound.whole()
        for sound in played_sounds(instrument(vocoder), seeds, Request(seconds=seconds), 44_100)
    ]


CODES = torch.tensor([[0, 1], [2, 3], [4, 5], [6, 7], [1, 0]])


def test_codes_become_two_mel_frames_each() -> None:
    made = instrument()
    assert DecodedMel(made.rvqvae, made.texture, CODES, 1).whole().shape == (10, 4)


def test_grain_hangs_on_the_seed_and_lies_on_what_the_codes_say() -> None:
    made = instrument()
    first, again, other = (
        DecodedMel(made.rvqvae, made.texture, CODES, n).whole() for n in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    made.texture.scale.zero_()
    smooth = made.rvqvae.decode(made.rvqvae.vectors(CODES[None]))[0]
    torch.testing.assert_close(DecodedMel(made.rvqvae, made.texture, CODES, 1).whole(), smooth)


@torch.no_grad()
def test_a_long_sound_is_decoded_in_stretches_as_it_were_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, draws = instrument(codec_blocks=2), torch.Generator().manual_seed(1)
    codec = made.rvqvae
    for parameter in (*codec.parameters(), *made.texture.parameters()):
        parameter.add_(0.2 * torch.randn(parameter.shape, generator=draws))
    codes = torch.randint(8, (250, 2), generator=draws)
    lengths, decode = [], codec.decode

    def counted(vectors: Tensor) -> Tensor:
        lengths.append(vectors.shape[1])
        return decode(vectors)

    monkeypatch.setattr(codec, "decode", counted)
    whole = DecodedMel(codec, made.texture, codes, 3).whole()
    monkeypatch.setattr(generation, "DECODED_FRAMES", 128)
    torch.testing.assert_close(DecodedMel(codec, made.texture, codes, 3).whole(), whole)
    for frames in (slice(0, 1), slice(99, 301), slice(131, 132), slice(499, 500)):
        torch.testing.assert_close(DecodedMel(codec, made.texture, codes, 3)[frames], whole[frames])
    reach = 2 + 3 * 1  # the decoder's blocks, and the texture's in each of its three steps
    assert lengths[:5] == [250, 64 + reach, *[64 + 2 * reach] * 2, 58 + reach]


def test_grain_does_not_go_below_silence() -> None:
    made = instrument()
    made.texture.scale.fill_(50.0)
    found = DecodedMel(made.rvqvae, made.texture, CODES, 1).whole()
    assert float(found.min()) == pytest.approx(silence(MEL))


def test_loud_sounds_are_drawn_once() -> None:
    vocoder = Loudness()
    assert len(waves(vocoder, [1, 2, 3])) == len(vocoder.mels) == 3


def test_silent_sound_is_drawn_again_from_other_codes() -> None:
    vocoder = Loudness(0.5, 0.0, 0.003, 0.4)  # .003 is -50.5 dBFS
    first, second, third = waves(vocoder, [1, 2, 3])
    assert [wave.max() for wave in (first, second, third)] == pytest.approx([0.5, 0.4, 0.5])
    attempts = vocoder.mels[1:4]
    assert not torch.equal(attempts[0], attempts[1])
    assert not torch.equal(attempts[1], attempts[2])


def test_redrawn_sound_hangs_on_its_own_seed() -> None:
    among, alone = Loudness(0.5, 0.0), Loudness(0.0)
    waves(among, [1, 2])
    waves(alone, [2])
    assert torch.equal(among.mels[2], alone.mels[1])
    other = Loudness(0.0)
    waves(other, [1])
    assert not torch.equal(other.mels[1], alone.mels[1])


def test_after_eight_silent_draws_the_last_one_is_given() -> None:
    vocoder = Loudness(*[0.0] * 8)
    (wave,) = waves(vocoder, [1])
    assert len(vocoder.mels) == 8
    assert not wave.any()


def test_without_a_length_sounds_are_as_long_as_the_prior_makes_them() -> None:
    vocoder = Loudness()
    for wave, mel in zip(waves(vocoder, [1, 2, 3], None), vocoder.mels, strict=True):
        assert len(wave) == len(mel) * 512 <= 10 * 1024  # half as long again as 6, and one


def test_without_a_length_sounds_are_told_that_of_a_training_sound() -> None:
    # A sound that does not end is cut at half of it more, and one: 7, 8 and 10.
    drawn = drawn_sounds(never_ending(), range(30), Request())
    lengths = [len(one.codes) for one in drawn]
    assert set(lengths) == {7, 8, 10}


def test_length_goes_with_the_label_and_the_ranks_that_are_asked() -> None:
    for request in (Request(label=1), Request(controls=Controls(brightness=1.0))):
        drawn = drawn_sounds(never_ending(), range(10), request)
        assert {len(one.codes) for one in drawn} == {10}


def told_to(made: Instrument, seeds: list[int], request: Request) -> list[Conditions]:
    """All that the prior is told while these sounds are drawn."""
    told: list[Conditions] = []

    class Listening(Prior):
        def told(self, conditions: Conditions, altered: bool = False) -> Tensor:
            told.append(conditions)
            return super().told(conditions, altered)

    made.prior.__class__ = Listening
    drawn_sounds(made, seeds, request)
    return told


def test_label_and_ranks_are_told_and_the_rest_of_a_training_sound() -> None:
    request = Request(label=1, controls=Controls(loudness=0.25))
    (told,) = told_to(instrument(), [1, 2], request)
    candidates = 2 * 8
    assert told.label.tolist() == [1] * candidates
    torch.testing.assert_close(told.ranks, torch.tensor([[1.0, 0.25, 0.6, 0.8]] * candidates))
    torch.testing.assert_close(told.style, EXAMPLES[2, 6:].expand(candidates, -1))


def test_sounds_that_go_on_from_a_prompt_are_told_its_style_and_no_ranks() -> None:
    made = instrument()
    (told,) = told_to(made, [1, 2], Request(prompt=heard_mel()))
    style = made.prior.style(made.rvqvae.encode(heard_mel()[None])[0])
    torch.testing.assert_close(told.style, style.expand(2, -1))
    assert told.ranks.isnan().all()
    assert told.label.tolist() == [UNKNOWN, UNKNOWN]


def test_label_that_no_training_sound_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="too few sounds with that label"):
        drawn_sounds(instrument(), [1], Request(label=7))


def test_code_is_drawn_as_freely_as_is_asked() -> None:
    made, likeliest = instrument(), Sampling(top_k=(1,))
    for sampling in (likeliest, Sampling()):  # one training sound has that label: told alike
        request = Request(seconds=1.0, label=1, sampling=sampling)
        first, other = drawn_sounds(made, [1, 2], request)
        assert torch.equal(first.codes, other.codes) == (sampling == likeliest)


def test_sounds_go_on_from_the_prompt_for_as_long_as_a_training_sound() -> None:
    made = never_ending()
    codes = [one.codes for one in drawn_sounds(made, range(30), Request(prompt=heard_mel()))]
    expected = made.rvqvae.encode(heard_mel()[None])[0]  # 4 code frames
    assert all(torch.equal(one[:4], expected) for one in codes)
    # 4 and 4 to 6, cut at half as much more and one.
    assert {len(one) for one in codes} == {13, 14, 16}


# 5.805 s are 250 code frames and half a sample: one code frame more is needed.
@pytest.mark.parametrize("seconds", [0.05, 1024 / 44_100, 5.805, 1.0])
@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 384_000])
def test_given_length_is_exact_to_the_sample(seconds: float, rate: int) -> None:
    (sound,) = played_sounds(instrument(Loudness()), [1], Request(seconds=seconds), rate)
    assert len(sound.whole()) == len(sound) == round(seconds * rate)
