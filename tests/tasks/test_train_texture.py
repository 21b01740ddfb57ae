import pytest
import torch
from small_line import Line

from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.rvqvae import RvqVae
from core.texture import Texture
from tasks.train_texture import train_texture
from tasks.validate import record_of

SILENCE = -11.512925  # ln(1e-5), the floor of the mel contract


def codec(line: Line) -> RvqVae:
    weights = load_weights(line.store, line.rvqvae.parts["weights"])
    return RvqVae.from_weights(weights, line.config.mel, line.config.rvqvae)


def texture(line: Line) -> Texture:
    weights = load_weights(line.store, line.texture.parts["weights"])
    config = line.config
    return Texture.from_weights(weights, config.mel, config.rvqvae, config.texture)


def residuals(line: Line) -> list[torch.Tensor]:
    """(F, M) of each training part: what decoding its codes leaves out."""
    data = TrainingData.open(line.store, line.sounds, line.mels, line.split)
    mels = [data.log_mel(part) for part in data.train]
    return [mel - codec(line).reconstruct(mel[None])[0] for mel in mels]


def test_a_bands_scale_is_what_the_codec_leaves_out_of_the_training_parts(line: Line) -> None:
    rms = torch.cat(residuals(line)).square().mean(0).sqrt()
    torch.testing.assert_close(texture(line).scale, rms.clamp_min(0.02))


def test_it_hears_mels_as_the_codec_does(line: Line) -> None:
    own, of = texture(line), codec(line)
    assert torch.equal(own.mean, of.mean)
    assert torch.equal(own.spread, of.scale)


def test_only_the_texture_is_kept(line: Line) -> None:
    weights = load_weights(line.store, line.texture.parts["weights"])
    found = {name.partition(".")[0] for name in weights}
    assert found == {"mean", "spread", "scale", "kernel", "nets"}


def test_the_kept_weights_are_the_best_of_the_history(line: Line) -> None:
    record = record_of(line.store, line.texture)
    errors = {one["step"]: one["held_out"] for one in record["history"]}
    assert record["held_out"] == min(errors.values()) == errors[record["best_step"]]


def test_training_betters_what_is_known_beforehand(line: Line) -> None:
    record = record_of(line.store, line.texture)
    assert record["history"][0]["step"] == 0
    assert record["held_out"] < record["history"][0]["held_out"]


def test_grain_is_drawn_from_its_seed_and_stays_above_silence(line: Line) -> None:
    model, smooth = texture(line), torch.full((14, 128), SILENCE + 0.5)
    noise = [model.noise(seed, 0, 7) for seed in (1, 2)]
    grained = model.textured(smooth, noise[0])
    assert grained.shape == smooth.shape
    assert float(grained.min()) == pytest.approx(SILENCE, abs=1e-5)  # here some of it is cut
    assert torch.equal(grained, model.textured(smooth, noise[0]))
    assert not torch.equal(grained, model.textured(smooth, noise[1]))


def test_another_seed_trains_another_texture(line: Line) -> None:
    config = line.config
    inputs = (line.sounds, line.mels, line.rvqvae, config.mel, config.rvqvae)
    settings = (config.texture, config.augment, line.split)
    assert train_texture.direct(line.run, *inputs, *settings, 0).ref == line.texture
    other = train_texture.direct(line.run, *inputs, *settings, 1).ref
    assert other.parts != line.texture.parts
