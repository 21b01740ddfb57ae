import pytest
import torch
from small_line import Line

from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core import rvqvae_training
from core.rvqvae import RvqVae
from core.split import Split, SplitKind
from tasks.train_rvqvae import train_rvqvae
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
    assert 2 <= levels <= 3
    assert (size, dim) == (8, 8)


@pytest.mark.parametrize(
    ("seed", "share", "kind"), [(101, 0.0, "tails"), (102, 100.0, "tails"), (103, 0.0, "files")]
)
def test_levels_come_down_to_the_yardstick_or_on_tails_to_a_share_of_it(
    line: Line, seed: int, share: float, kind: SplitKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rvqvae_training, "TAILS_SHARE", share)
    held_out = (data(line).sounds.sounds[0].digest,)
    split = line.split if kind == "tails" else Split("files", held_out)
    config = line.config
    made = train_rvqvae.direct(  # a seed of its own: nothing of this is cached
        line.run, line.sounds, line.mels, config.mel, config.rvqvae, config.augment, split, seed
    )
    record = record_of(line.store, made.ref)
    asked = share if kind == "tails" else 1.0
    assert record["aim_log_mel_l1"] == pytest.approx(asked * record["vae_log_mel_l1"])
    if kind == "tails":
        assert record["sizes"]["levels"] == (2 if share else 3)


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
