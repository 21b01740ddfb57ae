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
    points, real = _thinned(points), _thinned(real)
    radii = torch.cdist(real, real).kthvalue(neighbours + 1, dim=1).values  # itself is nearest
    inside = torch.cdist(real, points) < radii[:, None]  # (R, N)
    density = inside.float().sum() / (neighbours * len(points))
    return float(density), float(inside.any(1).float().mean())


def _thinned(points: Tensor) -> Tensor:
    """At most MOST_POINTS of them, evenly spread."""
    if len(points) <= MOST_POINTS:
        return points
    return points[torch.linspace(0, len(points) - 1, MOST_POINTS).round().long()]


def _square_root(matrix: Tensor) -> Tensor:
    """Of a symmetric positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return root
