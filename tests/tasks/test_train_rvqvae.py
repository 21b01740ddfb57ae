import pytest
import torch
from small_line import Line

from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.rvqvae import RvqVae
from core.rvqvae_training import aim_of_levels
from tasks.validate import record_of


def rvqvae(line: Line) -> RvqVae:
    weights = load_weights(line.store, line.rvqvae.parts["weights"])
    return RvqVae.from_weights(weights, line.config.mel, line.config.rvqvae)


def data(line: Line) -> TrainingData:
    return TrainingData.open(line.store, line.sounds, line.mels, line.split)


def test_sizes_in_the_record_are_the_weights_own(line: Line) -> None:
    record = record_of(line.store, line.rvqvae)
    levels, size, dim = rvqvae(line).codebooks.shape
    assert record["sizes"] == {"codebook_size": size, "levels": levels, "latent_dim": dim}
    aim, linear = aim_of_levels(record["vae_log_mel_l1"], "tails"), record["linear_log_mel_l1"]
    assert levels == next((n for n in (2, 3) if linear[n - 1] <= aim), 3)
    assert (size, dim) == (8, 8)


def test_the_recorded_error_is_what_the_stored_weights_give(line: Line) -> None:
    model, held_out = rvqvae(line), data(line)
    pairs = [
        (mel, model.reconstruct(mel[None])[0]) for mel in map(held_out.log_mel, held_out.held_out)
    ]
    errors = torch.cat([(mel - rebuilt).abs().mean(-1) for mel, rebuilt in pairs])  # of each frame
    record = record_of(line.store, line.rvqvae)
    assert record["log_mel_l1"] == pytest.approx(float(errors.mean()), rel=1e-4)


def test_training_never_ends_worse_than_the_linear_start(line: Line) -> None:
    record = record_of(line.store, line.rvqvae)
    linear = record["linear_log_mel_l1"]
    assert record["log_mel_l1"] <= linear[record["sizes"]["levels"] - 1] + 1e-6
    assert linear == sorted(linear, reverse=True)  # every level helps


def test_health_is_counted_over_the_training_codes(line: Line) -> None:
    model, trained = rvqvae(line), data(line)
    codes = torch.cat([model.encode(trained.log_mel(part)[None])[0] for part in trained.train])
    health = record_of(line.store, line.rvqvae)["health"]
    assert health["utilisation"] == [len(set(level.tolist())) / 8 for level in codes.T]
    assert all(1 <= perplexity <= 8 for perplexity in health["perplexity"])
