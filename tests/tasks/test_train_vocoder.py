import pytest
import torch
from small_line import Line

from artifacts.weights import load_weights
from core.config import VocoderName
from core.vocoders import vocoder_from_weights

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
