import pytest
import torch
from small_line import Line

from artifacts.weights import load_weights
from core.config import VocoderName
from core.vocoders import vocoder_from_weights
from tasks.train_vocoder import train_hifigan

TRAINED: list[VocoderName] = ["freev", "hifigan"]


@pytest.mark.parametrize("name", TRAINED)
def test_stored_weights_make_a_vocoder_of_exact_length(line: Line, name: VocoderName) -> None:
    weights = load_weights(line.store, line.vocoders[name].parts["weights"])
    vocoder = vocoder_from_weights(name, weights, line.config, torch.device("cpu"))
    wave = vocoder.wave(torch.full((7, 128), -3.0))
    assert wave.shape == (7 * 512,)
    assert wave.isfinite().all()


@pytest.mark.parametrize("name", TRAINED)
def test_only_the_generator_is_kept(line: Line, name: VocoderName) -> None:
    weights = load_weights(line.store, line.vocoders[name].parts["weights"])
    foreign = ("discriminator", "scales", "periods", "exp_avg", "original0", "weight_g")
    assert [key for key in weights if any(word in key for word in foreign)] == []


def test_hifigan_says_before_its_training_how_little_sound_there_is(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    config = line.config
    inputs = (line.sounds, line.mels, line.rvqvae, config.mel, config.rvqvae, config.hifigan)
    train_hifigan.direct(line.run, *inputs, line.split, seed=1)
    said = capsys.readouterr().err.splitlines()
    # six tones of 0.3 to 0.8 s, whose ends are held out
    assert said[0].startswith("hifigan: 3 s of sound are little for HiFi-GAN")
    assert "steps, loss" in said[-1]
