import math

import pytest
import torch
from torch import Tensor

import core.realism
from core.realism import (
    FrameSpace,
    density_and_coverage,
    frame_delta,
    frechet_distance,
    realism,
    thinned,
)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_ramp_moves_by_its_slope() -> None:
    ramp = 0.25 * torch.arange(9.0)[:, None].expand(9, 4)
    assert frame_delta([ramp, torch.zeros(5, 4)]) == pytest.approx(0.25 * 8 / 12)


def test_points_alike_have_no_distance() -> None:
    points = noise(0, 500, 8)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(points, points.flip(0)) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    # |m1 - m2|^2 + sum (s1 - s2)^2 for diagonal covariances
    points, others = noise(1, 200_000, 2), noise(2, 200_000, 2) * torch.tensor([3.0, 1.0]) + 2
    assert frechet_distance(points, others) == pytest.approx(8 + 4, rel=0.02)


def test_turned_clouds_keep_their_distance() -> None:
    points, others = noise(3, 999, 2), noise(4, 999, 2) * torch.tensor([2.0, 0.5])
    turn = torch.tensor([[math.cos(1), math.sin(1)], [-math.sin(1), math.cos(1)]])
    expected = frechet_distance(points, others)
    assert frechet_distance(points @ turn, others @ turn) == pytest.approx(expected, rel=1e-4)


def test_points_of_the_same_kind_are_dense_and_cover() -> None:
    density, coverage = density_and_coverage(noise(5, 2000, 4), noise(6, 2000, 4))
    assert density == pytest.approx(1, abs=0.1)
    assert coverage > 0.95


def test_one_sound_again_and_again_covers_little() -> None:
    real = noise(7, 2000, 4)
    density, coverage = density_and_coverage(0.01 * noise(8, 2000, 4), real)
    assert density > 0.3
    assert coverage < 0.2


def test_points_from_elsewhere_are_neither() -> None:
    assert density_and_coverage(noise(9, 500, 4) + 50, noise(10, 500, 4)) == (0, 0)


def test_many_points_are_thinned_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    points, real = noise(11, 3000, 3), noise(12, 3000, 3)
    whole = density_and_coverage(points, real)
    monkeypatch.setattr(core.realism, "MOST_POINTS", 1000)
    assert density_and_coverage(points, real) == pytest.approx(whole, abs=0.1)


def test_level_and_motion_both_count_in_frame_space() -> None:
    train = [noise(seed, 40, 6).cumsum(0) for seed in range(20)]
    space = FrameSpace.of(train)
    same = [noise(seed, 40, 6).cumsum(0) for seed in range(20, 40)]
    louder = [one + 5 for one in same]
    smoother = [torch.nn.functional.avg_pool1d(one.T[None], 5, 1, 2)[0].T for one in same]
    near = frechet_distance(space.points(same), space.points(train))
    for worse in (louder, smoother):
        assert frechet_distance(space.points(worse), space.points(train)) > 2 * near


def test_points_are_one_a_frame_but_the_first() -> None:
    space = FrameSpace.of([noise(0, 60, 40)])
    assert space.points([noise(1, 10, 40), noise(2, 3, 40)]).shape == (11, 32)


def test_signature_is_the_mean_and_the_deviation_of_a_sounds_points() -> None:
    space, one = FrameSpace.of([noise(0, 60, 40)]), noise(1, 10, 40)
    points = space.points([one])
    (found,) = space.signatures([one])
    assert found.shape == (64,)
    torch.testing.assert_close(found[:32], points.mean(0))
    torch.testing.assert_close(found[32:], (points - points.mean(0)).square().mean(0).sqrt())


def test_sound_of_two_frames_has_no_deviation() -> None:
    assert not FrameSpace.of([noise(0, 60, 40)]).signatures([noise(1, 2, 40)])[0, 32:].any()


def walks(first: int, count: int = 12, frames: int = 40) -> list[Tensor]:
    return [noise(seed, frames, 6).cumsum(0) for seed in range(first, first + count)]


def test_training_sounds_themselves_are_as_real_as_can_be_and_copies() -> None:
    found = realism(walks(0), walks(100), walks(0), walks(0))
    assert found.frame_delta_ratio == pytest.approx(1)
    assert found.frechet == pytest.approx(0, abs=1e-4)
    assert found.nearest == pytest.approx(0, abs=1e-2)
    assert found.nearest_copy == 0
    assert found.coverage == 1
    assert found.frechet_real > 0.01
    assert found.nearest_real > 0.5


def test_held_out_sounds_as_new_ones_have_the_figures_of_real_ones() -> None:
    found = realism(walks(100), walks(100), walks(0), walks(0))
    assert found.frechet == found.frechet_real
    assert (found.density, found.coverage) == (found.density_real, found.coverage_real)
    assert found.nearest == found.nearest_real


def test_coverage_is_not_bought_with_more_new_sounds() -> None:
    # Thinned to as many points as held-out sounds have, the same points cover the same.
    held_out = walks(100, 3)
    many = realism(walks(200, 60), held_out, walks(0), walks(0))
    few = realism(walks(200, 3), held_out, walks(0), walks(0))
    assert many.coverage < few.coverage + 0.15


def test_restlessness_is_that_of_new_sounds_over_that_of_training_sounds() -> None:
    halved = [one / 2 for one in walks(0)]
    assert realism(halved, walks(100), walks(0), walks(0)).frame_delta_ratio == pytest.approx(0.5)


def test_copies_are_as_far_from_their_sounds_as_decoding_takes_them() -> None:
    space, shifted = FrameSpace.of(walks(0)), [one + 2 for one in walks(0)]
    found = realism(walks(200), walks(100), walks(0), shifted).nearest_copy
    # All points move by 2 in every band, none is spread otherwise.
    moved = torch.cat([torch.full((6,), 2.0) / space.frame_scale, torch.zeros(6)])
    assert found == pytest.approx(float((moved @ space.directions).norm()), rel=1e-3)


def test_thinned_points_are_spread_from_the_first_to_the_last() -> None:
    points = torch.arange(11.0)[:, None]
    assert thinned(points, 3)[:, 0].tolist() == [0, 5, 10]
    assert torch.equal(thinned(points, 11), points)
