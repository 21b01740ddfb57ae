"""The linear start against numpy's own statistics, and codebooks that are used and nest."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core import rvqvae_fit
from core.config import AugmentConfig, MelConfig, RvqvaeConfig
from core.metrics import codebook_health
from core.rvqvae import LinearStart, RvqVae
from core.rvqvae_fit import (
    aligned,
    augmented_frames,
    first_levels,
    fit_codebooks,
    fit_further,
    fit_linear_start,
    fit_statistics,
    principal_components,
)

MEL, AUGMENT = MelConfig(mel_bands=8), AugmentConfig()
CONFIG = RvqvaeConfig(
    latent_dim=4, most_levels=3, hidden=8, blocks=1, kmeans_iterations=10, codebook_passes=4
)


def sounds(count: int = 4, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(30 + n, 8, generator=draw).cumsum(0) / 4 - 5 for n in range(count)]


@pytest.fixture(scope="module")
def fitted() -> LinearStart:
    return fit_linear_start(sounds(), 16, MEL, CONFIG, AUGMENT, seed=0)


def test_mean_and_scale_are_numpys(fitted: LinearStart) -> None:
    frames = torch.cat(sounds()).numpy()
    np.testing.assert_allclose(fitted.mean, frames.mean(0), atol=1e-5)
    assert float(fitted.scale) == pytest.approx((frames - frames.mean(0)).std(ddof=1), rel=1e-5)


def test_components_are_numpys_singular_directions_up_to_sign() -> None:
    frames = np.random.default_rng(0).normal(size=(300, 10)) * np.arange(10, 0, -1)
    ours = principal_components(torch.from_numpy(frames).float(), 4).numpy()
    _, _, directions = np.linalg.svd(frames)
    np.testing.assert_allclose(np.abs((ours * directions[:4].T).sum(0)), 1, atol=1e-5)


def test_components_are_orthonormal_and_point_up(fitted: LinearStart) -> None:
    components = fitted.components
    torch.testing.assert_close(components.T @ components, torch.eye(4), atol=1e-5, rtol=0)
    assert (components.amax(0) == components.abs().amax(0)).all()


def test_frames_are_the_sounds_then_equalised_copies_of_them(fitted: LinearStart) -> None:
    model = RvqVae(fitted, MEL, CONFIG)
    originals = torch.cat([model.stacked(one[None])[0] for one in sounds()])
    frames = augmented_frames(sounds(), model, MEL, CONFIG, AUGMENT, seed=0)
    count = len(originals)
    assert len(frames) == (1 + CONFIG.augmented_copies) * count
    assert torch.equal(frames[:count], originals)
    copies = frames[count:].view(CONFIG.augmented_copies, count, -1)
    assert ((copies - originals).abs().mean((1, 2)) > 0.1).all()
    assert not torch.equal(copies[0], copies[1])


def test_frames_beyond_the_buffer_are_thinned_in_order(
    fitted: LinearStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = RvqVae(fitted, MEL, CONFIG)
    every = augmented_frames(sounds(), model, MEL, CONFIG, AUGMENT, seed=0).tolist()
    monkeypatch.setattr(rvqvae_fit, "MOST_BUFFERED", 50)
    kept = augmented_frames(sounds(), model, MEL, CONFIG, AUGMENT, seed=0).tolist()
    places = [every.index(frame) for frame in kept]
    assert len(places) == 50
    assert places == sorted(set(places))


def test_every_code_is_used_on_clustered_data() -> None:
    draw = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(16, 4, generator=draw)
    latents = (centres[:, None] + torch.randn(16, 40, 4, generator=draw)).view(-1, 4)
    books = fit_codebooks(latents, 16, CONFIG, seed=0)
    start = LinearStart(torch.zeros(8), torch.ones(()), torch.eye(16)[:, :4], books)
    codes = RvqVae(start, MEL, CONFIG).codes(latents[None])[0]
    assert codebook_health(codes, 16)["utilisation"] == [1.0, 1.0, 1.0]


def test_each_level_leaves_less_than_the_one_before(fitted: LinearStart) -> None:
    model = RvqVae(fitted, MEL, CONFIG)
    latents = model.latents(torch.cat(sounds())[None]).detach()
    codes = model.codes(latents)
    left = [float((latents - model.vectors(codes[..., :n])).square().mean()) for n in (1, 2, 3)]
    assert float(latents.square().mean()) > left[0] > left[1] > left[2]


def test_start_is_a_function_of_the_seed_and_not_of_the_global_generator(
    fitted: LinearStart,
) -> None:
    torch.manual_seed(1)
    again = fit_linear_start(sounds(), 16, MEL, CONFIG, AUGMENT, seed=0)
    for name in ("mean", "scale", "components", "codebooks"):
        assert torch.equal(getattr(again, name), getattr(fitted, name))
    other = fit_linear_start(sounds(), 16, MEL, CONFIG, AUGMENT, seed=1)
    assert not torch.equal(other.codebooks, fitted.codebooks)


def test_first_levels_give_the_first_codes(fitted: LinearStart) -> None:
    mel = torch.cat(sounds())[None]
    all_codes = RvqVae(fitted, MEL, CONFIG).encode(mel)
    codes = RvqVae(first_levels(fitted, 2), MEL, CONFIG).encode(mel)
    assert torch.equal(codes, all_codes[..., :2])


def test_statistics_are_those_of_the_whole_start(fitted: LinearStart) -> None:
    statistics, _ = fit_statistics(sounds(), MEL, CONFIG, AUGMENT, seed=0)
    assert torch.equal(statistics.mean, fitted.mean)
    assert torch.equal(statistics.scale, fitted.scale)
    assert torch.equal(statistics.components, fitted.components)


def l1(start: LinearStart, mels: list[Tensor]) -> float:
    model = RvqVae(start, MEL, CONFIG)
    return float(torch.cat([(model.reconstruct(one[None])[0] - one).abs() for one in mels]).mean())


def test_known_codebooks_stay_where_the_latents_lie_on_them() -> None:
    book = 10 * torch.eye(4)
    latents = book.repeat(50, 1)
    books = fit_codebooks(latents, 4, replace(CONFIG, most_levels=1), 0, book[None])
    torch.testing.assert_close(books[0], book, atol=1e-3, rtol=0)


def test_directions_turned_within_their_span_are_turned_back() -> None:
    directions, turn = (
        torch.linalg.qr(torch.randn(*shape, generator=torch.Generator().manual_seed(0))).Q
        for shape in ((12, 4), (4, 4))
    )
    torch.testing.assert_close(aligned(directions @ turn, directions), directions)


def test_aligned_directions_are_orthonormal_and_span_the_same(fitted: LinearStart) -> None:
    other = torch.linalg.qr(torch.randn(16, 4, generator=torch.Generator().manual_seed(1))).Q
    turned = aligned(other, fitted.components)
    torch.testing.assert_close(turned.T @ turned, torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(turned @ turned.T, other @ other.T, atol=1e-5, rtol=0)


def test_fitting_further_serves_the_new_sounds_better_on_the_same_scale(
    fitted: LinearStart,
) -> None:
    both = [*sounds(), *(one * 1.5 + 1 for one in sounds(seed=1))]
    known = first_levels(fitted, 2)
    further = fit_further(known, both, MEL, CONFIG, AUGMENT, seed=0)
    assert torch.equal(further.mean, fitted.mean)
    assert torch.equal(further.scale, fitted.scale)
    assert further.codebooks.shape == (3, 16, 4)  # a level more, as the settings allow
    assert l1(first_levels(further, 2), both) < l1(known, both)


def test_fitting_further_changes_codes_little_where_nothing_is_new(fitted: LinearStart) -> None:
    again = fit_further(fitted, sounds(), MEL, CONFIG, AUGMENT, seed=0)
    moved = (again.codebooks[0] - fitted.codebooks[0]).norm(dim=-1)
    apart = torch.cdist(fitted.codebooks[0], fitted.codebooks[0]).fill_diagonal_(torch.inf)
    assert (moved < apart.amin(1)).float().mean() > 0.8
