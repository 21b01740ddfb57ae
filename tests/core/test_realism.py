import math

import pytest
import torch
from torch import Tensor

from core import realism
from core.realism import FrameSpace, density_and_coverage, frame_delta, frechet_distance


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
    monkeypatch.setattr(realism, "MOST_POINTS", 1000)
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
