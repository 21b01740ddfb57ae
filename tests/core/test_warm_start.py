"""Weights that fit are kept to the last bit, and what does not fit is named."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from core.config import MelConfig, PriorConfig, RvqvaeConfig
from core.prior import Prior
from core.rvqvae import LinearStart, RvqVae
from core.warm_start import (
    FITS,
    at_gain,
    codec_misfit,
    continued_codec,
    known_start,
    prior_taken_over,
    taken_over,
)

MEL = MelConfig(mel_bands=8)
CONFIG = RvqvaeConfig(latent_dim=4, most_levels=3, fewest_levels=1, hidden=8, blocks=1)
PRIOR = PriorConfig(hidden=8)


def codec(levels: int = 2, codes: int = 4) -> RvqVae:
    """With nets that do something."""
    torch.manual_seed(levels)
    start = LinearStart(
        torch.randn(8) - 5,
        torch.tensor(0.7),
        torch.linalg.qr(torch.randn(16, 4)).Q,
        torch.randn(levels, codes, 4),
    )
    model = RvqVae(start, MEL, CONFIG)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


def prior(levels: int = 2, codes: int = 4, labels: int = 0, config: PriorConfig = PRIOR) -> Prior:
    model = Prior(torch.randn(levels, codes, 4), config, labels=labels)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


# --- the codec


def test_a_codec_of_the_same_settings_fits() -> None:
    changed = replace(CONFIG, dropout=0.5, learning_rate=1.0, decoder_steps=7, most_levels=2)
    assert codec_misfit(codec().state_dict(), CONFIG, changed, 4) == FITS


@pytest.mark.parametrize(
    ("change", "size", "why"),
    [
        ({"stack_frames": 1}, 4, "rvqvae.stack_frames was 2, is 1"),
        ({"latent_dim": 6}, 4, "rvqvae.latent_dim was 4, is 6"),
        ({"hidden": 9}, 4, "rvqvae.hidden was 8, is 9"),
        ({"blocks": 2}, 4, "rvqvae.blocks was 1, is 2"),
        ({}, 8, "--set rvqvae.codebook_size=4 keeps them"),
        ({"most_levels": 1}, 4, "there were 2 levels, rvqvae.most_levels is 1"),
    ],
)
def test_what_does_not_fit_a_codec_is_named(change: dict[str, int], size: int, why: str) -> None:
    misfit = codec_misfit(codec().state_dict(), CONFIG, replace(CONFIG, **change), size)
    assert why in misfit


def test_a_continued_codec_is_the_old_one() -> None:
    old = codec()
    weights = old.state_dict()
    again = continued_codec(known_start(weights), 2, weights, MEL, CONFIG)
    for name, value in again.state_dict().items():
        torch.testing.assert_close(value, weights[name])


def test_directions_that_moved_keep_what_the_decoder_learnt_beside_them() -> None:
    weights = codec().state_dict()
    start = replace(known_start(weights), components=torch.linalg.qr(torch.randn(16, 4)).Q)
    again = continued_codec(start, 2, weights, MEL, CONFIG)
    learnt = weights["decoder_linear"] - weights["encoder_linear"].T
    torch.testing.assert_close(again.decoder_linear - start.components.T, learnt)
    assert torch.equal(again.encoder_linear, start.components)


def test_levels_that_are_new_leave_the_codes_of_the_others() -> None:
    old, mel = codec(2), torch.randn(1, 10, 8) - 5
    weights, start = old.state_dict(), known_start(old.state_dict())
    books = torch.cat([start.codebooks, torch.randn(1, 4, 4)])
    more = continued_codec(replace(start, codebooks=books), 3, weights, MEL, CONFIG).eval()
    assert torch.equal(more.encode(mel)[..., :2], old.encode(mel))


def test_sounds_at_another_gain_keep_their_codes() -> None:
    old, mel = codec(), torch.randn(1, 10, 8) - 5  # far above silence
    new = RvqVae.from_weights(at_gain(old.state_dict(), 0.5, 0.25), MEL, CONFIG)
    softer = mel - math.log(2)
    assert torch.equal(new.encode(softer), old.encode(mel))
    torch.testing.assert_close(new.reconstruct(softer), old.reconstruct(mel) - math.log(2))


def test_the_same_gain_leaves_every_bit() -> None:
    weights = codec().state_dict()
    assert torch.equal(at_gain(weights, 0.3, 0.3)["mean"], weights["mean"])


# --- nets


def test_weights_of_the_same_shapes_are_taken_over() -> None:
    old, new = nn.Linear(3, 2), nn.Linear(3, 2)
    assert taken_over(new, old.state_dict()) == FITS
    assert torch.equal(new.weight, old.weight)


@pytest.mark.parametrize(
    ("old", "why"),
    [
        (nn.Linear(3, 4), "bias was 4, is 2"),
        (nn.Linear(3, 2, bias=False), "bias was not there, is 2"),
        (nn.Linear(5, 2), "weight was 2 x 5, is 2 x 3"),
    ],
)
def test_one_weight_that_does_not_fit_leaves_all_as_they_are(old: nn.Module, why: str) -> None:
    new = nn.Linear(3, 2)
    before = {name: value.clone() for name, value in new.state_dict().items()}
    assert taken_over(new, old.state_dict()) == why
    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items())


# --- the prior


def logits(model: Prior, codes: Tensor) -> Tensor:
    model.eval()
    frames = torch.arange(codes.shape[1])[None]
    told = torch.zeros(1, model.config.hidden)
    with torch.no_grad():
        return model.logits(codes, frames, torch.full_like(frames, -1), told, codes)


def test_a_prior_taken_over_says_the_same() -> None:
    old, new, codes = prior(), prior(), torch.randint(0, 4, (1, 6, 2))
    new.codebooks.copy_(old.codebooks)
    assert prior_taken_over(new, old.state_dict(), [], []) == FITS
    assert torch.equal(logits(new, codes), logits(old, codes))


def test_a_level_more_keeps_what_the_others_learnt() -> None:
    old, new = prior(2), prior(3)
    fresh = new.heads[2].clone()
    assert prior_taken_over(new, old.state_dict(), [], []) == FITS
    assert torch.equal(new.heads[:2], old.heads)
    assert torch.equal(new.heads[2], fresh)
    assert torch.equal(new.lstm.weight_ih_l0, old.lstm.weight_ih_l0)


def test_the_sets_own_tensors_are_left_alone() -> None:
    new = Prior(torch.randn(2, 4, 4), PRIOR, torch.ones(4, 3), torch.ones(5, 6))
    before = {name: value.clone() for name, value in new.named_buffers()}
    assert prior_taken_over(new, prior().state_dict(), [], []) == FITS
    assert all(torch.equal(value, before[name]) for name, value in new.named_buffers())


def test_labels_are_carried_over_by_their_names() -> None:
    old, new = prior(labels=2), prior(labels=3)
    fresh = new.label.weight[1].clone()
    assert (
        prior_taken_over(new, old.state_dict(), ["kick", "snare"], ["bell", "hat", "kick"]) == FITS
    )
    assert torch.equal(new.label.weight[2], old.label.weight[0])
    assert torch.equal(new.label.weight[1], fresh)


@pytest.mark.parametrize(
    ("old", "why"),
    [
        (prior(3), "codebooks were 3 x 4 x 4, are 2 x 4 x 4"),
        (prior(2, codes=5), "codebooks were 2 x 5 x 4"),
        (prior(config=replace(PRIOR, hidden=6)), "was"),
    ],
)
def test_a_prior_that_does_not_fit_leaves_all_as_it_is(old: Prior, why: str) -> None:
    new = prior()
    before = {name: value.clone() for name, value in new.state_dict().items()}
    assert why in prior_taken_over(new, old.state_dict(), [], [])
    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items())
