"""Do new sounds behave like real ones: their motion, their distribution, their variety.

All of it on log mels. A set of sounds is a cloud of points, one a frame: the frame
and its change to the next, in the principal directions of the training sounds. The
measure of all figures is what held-out real sounds have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DIMENSIONS = 32
NEIGHBOURS = 5
MOST_POINTS = 4000  # density and coverage compare all pairs


def frame_delta(mels: Sequence[Tensor]) -> float:
    """Mean absolute change from frame to frame over (F, M) log mels, in nats.

    Its ratio to that of real sounds is 1 when new sounds are as restless, below when
    they are smoother.
    """
    deltas = [one.diff(dim=0).abs() for one in mels]
    return float(sum(one.double().sum() for one in deltas)) / sum(one.numel() for one in deltas)


@dataclass(frozen=True)
class FrameSpace:
    """Principal directions of standardised frames and deltas of some sounds."""

    frame_mean: Tensor  # (M,)
    frame_scale: Tensor  # ()
    delta_scale: Tensor  # ()
    directions: Tensor  # (2 M, D)

    @classmethod
    def of(cls, mels: Sequence[Tensor]) -> "FrameSpace":
        """Fitted on (F, M) log mels, two frames at least in one of them."""
        frames = torch.cat([one[1:] for one in mels])
        deltas = torch.cat([one.diff(dim=0) for one in mels])
        mean = frames.mean(0)
        scales = (frames - mean).std(), deltas.std()
        both = torch.cat([(frames - mean) / scales[0], deltas / scales[1]], dim=1).double()
        directions = torch.linalg.eigh(both.T @ both).eigenvectors.flip(-1)[:, :DIMENSIONS]
        return cls(mean, *scales, directions.float())

    def points(self, mels: Sequence[Tensor]) -> Tensor:
        """(N, D) of all frames but each sound's first."""
        frames = (torch.cat([one[1:] for one in mels]) - self.frame_mean) / self.frame_scale
        deltas = torch.cat([one.diff(dim=0) for one in mels]) / self.delta_scale
        return torch.cat([frames, deltas], dim=1) @ self.directions

    def signatures(self, mels: Sequence[Tensor]) -> Tensor:
        """(N, 2 D) mean and deviation of each sound's points: how alike whole sounds are."""
        rows = []
        for one in mels:
            points = self.points([one])
            rows.append(torch.cat([points.mean(0), points.std(0, correction=0)]))
        return torch.stack(rows)


def frechet_distance(points: Tensor, others: Tensor) -> float:
    """Squared Frechet distance of two clouds (N, D) taken as Gaussians: 0 when alike.

    Source: Dowson and Landau 1982; as FID and FAD use it.
    """
    means = points.double().mean(0), others.double().mean(0)
    covariances = points.double().T.cov(), others.double().T.cov()
    root = _square_root(covariances[0])
    cross = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp_min(0).sqrt().sum()
    traces = covariances[0].trace() + covariances[1].trace()
    return float((means[0] - means[1]).square().sum() + traces - 2 * cross)


def density_and_coverage(
    points: Tensor, real: Tensor, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """How deep new points (N, D) lie among real ones (R, D), and how many of those they reach.

    Density: mean number of real neighbourhoods (balls up to the k-th nearest real point)
    that hold a new point, over k; near 1 for points of the same kind. Coverage: share of
    real neighbourhoods that hold any new point.
    Source: Naeem et al. 2020.
    """
    points, real = thinned(points, MOST_POINTS), thinned(real, MOST_POINTS)
    neighbours = max(1, min(neighbours, len(real) - 1))  # a set of a few frames has fewer
    nearest = min(neighbours + 1, len(real))  # itself is the first
    radii = torch.cdist(real, real).kthvalue(nearest, dim=1).values
    inside = torch.cdist(real, points) < radii[:, None]  # (R, N)
    density = inside.float().sum() / (neighbours * len(points))
    return float(density), float(inside.any(1).float().mean())


@dataclass(frozen=True)
class Realism:
    """New sounds beside held-out real ones, both against the training sounds."""

    frame_delta_ratio: float  # of new to training sounds
    frechet: float
    frechet_real: float
    density: float
    density_real: float
    coverage: float
    coverage_real: float
    nearest: float  # median distance of a new sound to the nearest training sound
    nearest_real: float
    nearest_copy: float  # of a training sound, decoded from its own codes, to itself


def realism(
    new: Sequence[Tensor],
    held_out: Sequence[Tensor],
    train: Sequence[Tensor],
    copies: Sequence[Tensor],
) -> Realism:
    """All figures of (F, M) log mels of two frames or more.

    Args:
        copies: the training sounds, each decoded from its own codes as new ones are.

    Coverage grows with the number of points, so as many new as held-out ones are counted.
    """
    space = FrameSpace.of(train)
    points = {"new": space.points(new), "real": space.points(held_out)}
    base, count = space.points(train), min(len(one) for one in points.values())
    frechet = {name: frechet_distance(one, base) for name, one in points.items()}
    spread = {name: density_and_coverage(thinned(one, count), base) for name, one in points.items()}
    known = space.signatures(train)
    nearest = {
        name: float(torch.cdist(space.signatures(sounds), known).min(1).values.median())
        for name, sounds in (("new", new), ("real", held_out))
    }
    return Realism(
        frame_delta(new) / frame_delta(train),
        frechet["new"],
        frechet["real"],
        spread["new"][0],
        spread["real"][0],
        spread["new"][1],
        spread["real"][1],
        nearest["new"],
        nearest["real"],
        float((space.signatures(copies) - known).norm(dim=1).median()),
    )


def thinned(points: Tensor, most: int) -> Tensor:
    """At most so many of them, evenly spread."""
    if len(points) <= most:
        return points
    return points[torch.linspace(0, len(points) - 1, most).round().long()]


def _square_root(matrix: Tensor) -> Tensor:
    """Of a symmetric positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return root
