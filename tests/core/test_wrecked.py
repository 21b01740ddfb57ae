"""Three ways to wreck a model; each turns the gate that is there for it red, and no sound one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from core import rvqvae_fit
from core.code_windows import CodeSequence
from core.config import PriorConfig, RvqvaeConfig
from core.gates import Gate, codec_gates, prior_gates
from core.metrics import codebook_health, overlap_8gram
from core.prior import Prior
from core.prior_scores import nats_per_level
from core.prior_training import PriorTrainer
from core.sampling import Sampling, sample_codes
from core.training import Fit

CPU = torch.device("cpu")
LEVELS, CODES = 3, 8
SMALL = PriorConfig(
    hidden=48, dropout=0.3, corruption=0.1, batch_frames=512, window_frames=32,
    learning_rate=5e-3, told_share=0.7,
)  # fmt: skip


# Codebooks


def clustered(count: int = 3000) -> Tensor:
    """(count, 4) latents around 40 points, as frames of sounds lie around sounds."""
    generator = torch.Generator().manual_seed(0)
    centres = 20 + 8 * torch.randn(40, 4, generator=generator)
    chosen = torch.randint(40, (count,), generator=generator)
    return centres[chosen] + 0.3 * torch.randn(count, 4, generator=generator)


def utilisation_gate() -> Gate:
    latents = clustered()
    config = RvqvaeConfig(latent_dim=4, most_levels=1)
    books = rvqvae_fit.fit_codebooks(latents, 32, config, seed=0)
    codes = torch.cdist(latents, books[0]).argmin(-1, keepdim=True)
    record = {"health": codebook_health(codes, 32), "log_mel_l1": 1.0, "vae_log_mel_l1": 1.0}
    return codec_gates(record)["utilisation"]


def test_codes_lie_idle_without_kmeans_and_revival(monkeypatch: pytest.MonkeyPatch) -> None:
    assert utilisation_gate().passed
    original = rvqvae_fit.ResidualVQ

    def careless(**settings: Any) -> Any:
        return original(**{**settings, "kmeans_init": False, "threshold_ema_dead_code": 0})

    monkeypatch.setattr(rvqvae_fit, "ResidualVQ", careless)
    gate = utilisation_gate()
    assert not gate.passed
    assert gate.text.startswith("Codes lie idle")


# The prior


def walk(seed: int, frames: int = 40, stride: int = 1) -> Tensor:
    """(frames, LEVELS) codes that mostly step on by a stride, with chance in every frame."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.where(torch.rand(frames, LEVELS, generator=generator) < 0.6, stride, 0)
    steps += torch.randint(3, (frames, LEVELS), generator=generator)
    return steps.cumsum(0) % CODES


def fitted(
    config: PriorConfig, sounds: Sequence[CodeSequence], steps: int, labels: int = 0
) -> Prior:
    torch.manual_seed(0)
    books = torch.randn(LEVELS, CODES, 4)
    prior = Prior(books, config, labels=labels)
    trainer = PriorTrainer(prior, steps, sounds, sounds, sounds, seed=0, device=CPU)
    for _ in Fit(trainer, steps, steps):
        pass
    return prior


def gates_of(prior: Prior, **changes: Any) -> dict[str, Gate]:
    """The gates with everything else as it should be."""
    record = {
        "nats_per_frame": 1.0,
        "unigram_nats_per_frame": 2.0,
        "per_level": {"nats": [1.0], "bigram_nats": [2.0]},
        "label_nats": changes.pop("label_nats", {}),
    }
    likeness = {
        "frame_delta_ratio": 1.0, "frechet": 1.0, "frechet_real": 1.0, "density": 1.0,
        "density_real": 1.0, "coverage": 1.0, "coverage_real": 1.0, "nearest": 1.0,
        "nearest_real": 1.0, "nearest_copy": 1.0,
    }  # fmt: skip
    judged = {"overlap_8gram": 0.0, "overlap_8gram_real": 0.0, "realism": likeness, **changes}
    return dict(prior_gates(record, judged, seconds=40.0))


def copying_gate(config: PriorConfig, steps: int) -> Gate:
    sounds = [walk(seed) for seed in range(4)]
    prior = fitted(config, [CodeSequence(codes) for codes in sounds], steps)
    drawn = sample_codes(prior, range(24), Sampling(), [40] * 24)
    others = [walk(seed) for seed in range(100, 120)]
    return gates_of(
        prior,
        overlap_8gram=overlap_8gram(drawn, sounds),
        overlap_8gram_real=overlap_8gram(others, sounds),
    )["copying"]


def test_prior_that_learns_by_heart_is_said_to_copy() -> None:
    assert copying_gate(SMALL, steps=60).passed
    by_heart = replace(SMALL, hidden=96, dropout=0.0, corruption=0.0, weight_decay=1e-6)
    gate = copying_gate(by_heart, steps=250)
    assert not gate.passed
    assert gate.text.startswith("The model copies: it has learnt its 40 s of sound by heart")


def labels_gate(shuffled: bool) -> Gate:
    """Two kinds of short sounds that step on differently, with their labels or with any."""
    generator = torch.Generator().manual_seed(3)

    def sounds(first: int, count: int) -> list[CodeSequence]:
        made = []
        for seed in range(first, first + count):
            kind = seed % 2
            label = int(torch.randint(2, (), generator=generator)) if shuffled else kind
            made.append(CodeSequence(walk(seed, frames=6, stride=1 + 3 * kind), label=label))
        return made

    prior = fitted(SMALL, sounds(0, 60), steps=150, labels=2)
    held_out = sounds(1000, 40)
    right = sum(nats_per_level(prior, held_out, CPU, [one.label for one in held_out]))
    wrong = sum(nats_per_level(prior, held_out, CPU, [1 - one.label for one in held_out]))
    return gates_of(prior, label_nats={"right": right, "wrong": wrong})["labels"]


def test_shuffled_labels_are_said_to_mean_nothing() -> None:
    assert labels_gate(shuffled=False).passed
    gate = labels_gate(shuffled=True)
    assert not gate.passed
    assert gate.text.startswith("The folders' names say nothing")
