"""The linear start of the RVQ-VAE: statistics, PCA and k-means codebooks, no gradients.

Fitted on the training frames and on equalised copies of them, which is worth 4
to 25 % of held-out error at 8 levels. A model that goes on from another fits that one's
directions and codebooks further.
"""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor
from vector_quantize_pytorch import ResidualVQ

from core.augment import equalised_in_chunks
from core.config import AugmentConfig, MelConfig, RvqvaeConfig
from core.rvqvae import LinearStart, RvqVae
from core.training import step_generator, step_seed

MOST_BUFFERED = 200_000  # code frames kept for the fit: bounds memory for hours of sound


def fit_linear_start(
    mels: Sequence[Tensor],
    codebook_size: int,
    mel: MelConfig,
    config: RvqvaeConfig,
    augment: AugmentConfig,
    seed: int,
) -> LinearStart:
    """Mean, scale, PCA and config.most_levels codebooks of the training mels.

    Args:
        mels: (F, M) float32 each, on the CPU.
    """
    start, buffer = fit_statistics(mels, mel, config, augment, seed)
    codebooks = fit_codebooks(buffer @ start.components, codebook_size, config, seed)
    return dataclasses.replace(start, codebooks=codebooks)


def fit_statistics(
    mels: Sequence[Tensor],
    mel: MelConfig,
    config: RvqvaeConfig,
    augment: AugmentConfig,
    seed: int,
) -> tuple[LinearStart, Tensor]:
    """Mean, scale and PCA, with no codebooks; and the (N, S * M) frames of the fit."""
    frames = torch.cat(list(mels))
    mean = frames.mean(0)
    scale = (frames - mean).std()
    none = torch.zeros(0, 1, config.latent_dim)
    identity = torch.eye(config.stack_frames * mel.mel_bands)[:, : config.latent_dim]
    bare = RvqVae(LinearStart(mean, scale, identity, none), mel, config)
    buffer = augmented_frames(mels, bare, mel, config, augment, seed)
    components = principal_components(buffer, config.latent_dim)
    return LinearStart(mean, scale, components, none), buffer


def fit_further(
    start: LinearStart,
    mels: Sequence[Tensor],
    mel: MelConfig,
    config: RvqvaeConfig,
    augment: AugmentConfig,
    seed: int,
) -> LinearStart:
    """The same statistics; directions and codebooks, begun with the known ones, of these mels.

    Kept as they were, the codebooks of 18 tablas needed 12 levels for 24 and gave a held-out L1
    of .246, fitted further .242 with 11. Kept directions lose up to 17 % on sounds as new as
    drums after drones and tablas (.355, L1 before training); new ones that lie as the old ones
    do (.325) keep what nets and prior know of them.
    """
    buffer = augmented_frames(mels, RvqVae(start, mel, config), mel, config, augment, seed)
    components = aligned(principal_components(buffer, config.latent_dim), start.components)
    latents, size = buffer @ components, start.codebooks.shape[1]
    codebooks = fit_codebooks(latents, size, config, seed, start.codebooks)
    return LinearStart(start.mean, start.scale, components, codebooks)


def aligned(components: Tensor, to: Tensor) -> Tensor:
    """(C, D) orthonormal directions, turned within their span to lie nearest to others.

    Source: Schoenemann 1966, the orthogonal Procrustes problem.
    """
    left, _, right = torch.linalg.svd((components.T @ to).double())
    turned: Tensor = (components.double() @ left @ right).float()
    return turned


def augmented_frames(
    mels: Sequence[Tensor],
    model: RvqVae,
    mel: MelConfig,
    config: RvqvaeConfig,
    augment: AugmentConfig,
    seed: int,
) -> Tensor:
    """(N, S * M) stacked frames of the mels and of config.augmented_copies equalised copies."""
    pieces = [model.stacked(one[None])[0] for one in mels]
    for copy in range(config.augmented_copies):
        generator = step_generator(seed, copy, "fit")
        pieces += [
            model.stacked(equalised_in_chunks(one, mel, augment, generator)[None])[0]
            for one in mels
        ]
    frames = torch.cat(pieces)
    if len(frames) <= MOST_BUFFERED:
        return frames
    keep = torch.randperm(len(frames), generator=step_generator(seed, 0, "keep"))
    return frames[keep[:MOST_BUFFERED].sort().values]


def principal_components(frames: Tensor, count: int) -> Tensor:
    """(N, C) -> (C, count) orthonormal principal directions, strongest first.

    The data is taken as centred already. Signs are fixed (the largest entry of each
    direction is positive) so that the result does not hang on the eigensolver's mood.
    """
    covariance = (frames.T @ frames / len(frames)).double()
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(-1)[:, :count]
    largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
    components: Tensor = (directions * largest.sign()).float()
    return components


def fit_codebooks(
    latents: Tensor,
    codebook_size: int,
    config: RvqvaeConfig,
    seed: int,
    known: Tensor | None = None,
) -> Tensor:
    """(N, D) latents -> (L, K, D) residual codebooks: k-means, then EMA passes with revival.

    One large buffer serves both (the library runs k-means on its first batch alone); a
    code that fewer than a fiftieth of its fair share chose is replaced by a random vector.

    Args:
        known: (l, K, D) codebooks to begin the first l levels with, instead of k-means.
    """
    fair_share = len(latents) / codebook_size
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(step_seed(seed, 0, "codebooks"))
        quantizer = ResidualVQ(
            dim=config.latent_dim,
            num_quantizers=config.most_levels,
            codebook_size=codebook_size,
            kmeans_init=True,
            kmeans_iters=config.kmeans_iterations,
            threshold_ema_dead_code=max(1, round(fair_share / 50)),
            decay=0.8,
        ).train()
        for layer, book in zip(quantizer.layers, () if known is None else known, strict=False):
            layer._codebook.embed.copy_(book)
            layer._codebook.embed_avg.copy_(book * fair_share)
            layer._codebook.cluster_size.fill_(fair_share)
            layer._codebook.initted.fill_(True)
        for _ in range(1 + config.codebook_passes):
            quantizer(latents[None])
    return torch.stack([layer._codebook.embed[0].clone() for layer in quantizer.layers])


def first_levels(start: LinearStart, levels: int) -> LinearStart:
    """The same start with only the first `levels` codebooks: residual levels nest."""
    return dataclasses.replace(start, codebooks=start.codebooks[:levels].contiguous())
