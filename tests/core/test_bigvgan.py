"""The generator against the official one's output, and its weights in the official layout."""

from dataclasses import replace

import pytest
import torch
from bigvgan_golden import official_json, tiny_config, tiny_sound, tiny_weights

from core.bigvgan import (
    BigvganGenerator,
    generator_from_checkpoint,
    reach_frames,
)
from core.bigvgan_config import BigvganConfig
from core.errors import VocoderError


@torch.no_grad()
def test_wave_equals_the_official_generators() -> None:
    generator = BigvganGenerator(tiny_config())
    generator.load_state_dict(tiny_weights())
    log_mel, audio = tiny_sound()
    torch.testing.assert_close(generator(log_mel[None])[0], audio, atol=1e-5, rtol=0)


@torch.no_grad()
def test_folded_weights_give_the_official_wave_too() -> None:
    generator = BigvganGenerator(tiny_config())
    generator.load_state_dict(tiny_weights())
    generator.fold_weight_norm()
    generator.fold_weight_norm()  # a second time changes nothing
    log_mel, audio = tiny_sound()
    torch.testing.assert_close(generator(log_mel[None])[0], audio, atol=1e-5, rtol=0)


@torch.no_grad()
def test_checkpoint_loads_with_weight_norm_or_folded() -> None:
    log_mel, audio = tiny_sound()
    generator = generator_from_checkpoint(tiny_config(), tiny_weights())
    folded = generator.state_dict()
    assert not any(name.endswith(("weight_g", "weight_v")) for name in folded)
    again = generator_from_checkpoint(tiny_config(), folded)
    for one in (generator, again):
        torch.testing.assert_close(one(log_mel[None])[0], audio, atol=1e-5, rtol=0)


@torch.no_grad()
def test_several_mels_at_once_sound_as_each_alone() -> None:
    generator = generator_from_checkpoint(tiny_config(), tiny_weights())
    mels = torch.stack([tiny_sound()[0], tiny_sound()[0].flip(-1)])
    alone = torch.cat([generator(mel[None]) for mel in mels])
    torch.testing.assert_close(generator(mels), alone, atol=1e-6, rtol=0)


def test_the_offered_model_has_the_official_names_and_shapes() -> None:
    # Listed by the official generator: 783 of them, 122,184,529 parameters.
    wanted = official_json("v2_44khz_128band_512x_state_dict_shapes")
    with torch.device("meta"):
        generator = BigvganGenerator(BigvganConfig())
    state = generator.state_dict()
    assert {name: list(value.shape) for name, value in state.items()} == wanted
    assert len(wanted) == 783
    assert sum(parameter.numel() for parameter in generator.parameters()) == 122_184_529


def test_a_frame_of_the_offered_model_depends_on_21_to_either_side() -> None:
    # Of the official generator so many frames have a gradient, computed in double precision
    # with positive weights and snakes that change nothing.
    assert reach_frames(BigvganConfig()) == 21


def test_nothing_beyond_the_reach_is_heard_and_all_within_it() -> None:
    generator = BigvganGenerator(replace(BigvganConfig(), channels=64), weight_norm=False)
    generator.load_state_dict(
        {name: far_reaching(name, value) for name, value in generator.state_dict().items()}
    )
    log_mel = torch.randn(1, 128, 61, requires_grad=True)
    middle = generator.unclipped(log_mel)[0, 30 * 512 : 31 * 512]
    (slope,) = torch.autograd.grad(middle.sum(), log_mel)
    assert slope.isfinite().all()
    heard = slope.abs().sum((0, 1)).nonzero()[:, 0].tolist()
    assert heard == list(range(30 - 21, 30 + 21 + 1))


def far_reaching(name: str, value: torch.Tensor) -> torch.Tensor:
    """Weights that reach as far as their shapes allow, without float32 running out of range.

    Random ones fade below its least number on the way. These are positive in one channel, so
    that nothing cancels out, and where it matters only their furthest taps are left.
    """
    weight = torch.zeros_like(value)
    if name.endswith("alpha"):
        weight -= 60  # the snake is x
    elif name.endswith("filter"):
        weight[..., [0, 1, -2, -1]] = 0.35
    elif name.startswith("ups.") and name.endswith("weight"):
        weight[0, 0] = 1
    elif name.endswith("weight"):
        weight[0, 0, [0, -1]] = 1
    return weight


@torch.no_grad()
def test_the_sound_is_clipped_as_the_reference_does_only_if_asked() -> None:
    generator = generator_from_checkpoint(tiny_config(), tiny_weights())
    generator.conv_post.weight *= 20
    log_mel = tiny_sound()[0][None]
    assert generator.unclipped(log_mel).abs().max() > 2
    torch.testing.assert_close(generator(log_mel), generator.unclipped(log_mel).clamp(-1, 1))


@torch.no_grad()
def test_a_tanh_and_a_bias_at_the_end_are_possible() -> None:
    # As in version 1's models.
    config = replace(tiny_config(), tanh_at_end=True, bias_at_end=True)
    weights = tiny_weights() | {"conv_post.bias": torch.tensor([0.5])}
    log_mel, audio = tiny_sound()
    wave = generator_from_checkpoint(config, weights)(log_mel[None])[0]
    torch.testing.assert_close(wave, torch.tanh(audio + 0.5), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_pre.bias": None}, "conv_pre.bias is missing"),
        ({"conv_last.bias": torch.zeros(1)}, "conv_last.bias is not known"),
        ({"conv_pre.bias": torch.zeros(32)}, r"shape \(32,\), not \(64,\)"),
        ({"conv_pre.bias": torch.full((64,), torch.nan)}, "conv_pre.bias holds NaN"),
        ({"conv_pre.bias": torch.zeros(64, dtype=torch.int64)}, "holds no plain numbers"),
        ({"conv_pre.bias": torch.zeros(1).expand(64)}, "holds no plain numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    changed = {**tiny_weights(), **change}
    weights = {name: value for name, value in changed.items() if value is not None}
    with pytest.raises(VocoderError, match=message):
        generator_from_checkpoint(tiny_config(), weights)


def test_weights_of_another_size_are_refused_in_one_line() -> None:
    with pytest.raises(VocoderError, match=r"and \d+ more faults\); get both files") as caught:
        generator_from_checkpoint(BigvganConfig(), tiny_weights())
    assert "\n" not in str(caught.value)
