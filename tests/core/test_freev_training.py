"""FreeV's trainer: it learns, is judged on held-out beginnings, and resumes exactly."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.config import FreevConfig, MelConfig
from core.freev import Freev
from core.freev_training import FreevTrainer
from core.losses import MrStft, mel_l1
from core.mel import log_mel
from core.training import Fit
from core.vocoder_data import WavePair

MEL = MelConfig()
TINY = FreevConfig(
    channels=32,
    hidden=64,
    blocks=1,
    batch_segments=2,
    segment_frames=16,
    inversion_updates=2,
    steps=100,
    learning_rate=2e-3,
)


def tone_pair(frames: int, seed: int = 0) -> WavePair:
    draw = np.random.default_rng(seed)
    time = np.arange(frames * 512) / 44_100
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in draw.uniform(200, 4000, 4)]
    wave = (0.1 * np.sum(tones, axis=0) + draw.normal(0, 0.01, len(time))).astype(np.float32)
    return WavePair(log_mel(torch.from_numpy(wave)[None], MEL)[0].T.numpy(), wave)


def trainer_of(config: FreevConfig = TINY, seed: int = 0) -> FreevTrainer:
    pairs = [tone_pair(40), tone_pair(25, seed=1)]
    return FreevTrainer(
        config, config.steps, MEL, pairs, [tone_pair(30, seed=2)], seed, torch.device("cpu")
    )


def test_a_few_steps_lower_the_held_out_loss() -> None:
    def half_as_loud(seed: int) -> WavePair:
        """Hiss beside a mel of half its amplitude, which the untrained network would play."""
        wave = np.random.default_rng(seed).normal(0, 0.1, 40 * 512).astype(np.float32)
        mel = log_mel(torch.from_numpy(wave)[None], MEL)[0].T - np.log(2)
        return WavePair(mel.numpy(), wave)

    seen, unseen = [half_as_loud(1), half_as_loud(2)], [half_as_loud(3)]
    trainer = FreevTrainer(TINY, TINY.steps, MEL, seen, unseen, 0, torch.device("cpu"))
    before = trainer.held_out_loss()
    for number in range(25):
        trainer.step(number)
    assert trainer.held_out_loss() < 0.9 * before


def test_resumed_training_equals_uninterrupted() -> None:
    whole = Fit(trainer_of(), steps=5, evaluate_every=2)
    saved = None
    for progress in whole:
        if progress.step == 3:
            saved = copy.deepcopy(whole.state())
    assert saved is not None
    resumed = Fit(trainer_of(), steps=5, evaluate_every=2)
    resumed.restore(saved)
    for _ in resumed:
        pass
    expected, found = whole.state(), resumed.state()
    assert all(torch.equal(found.tensors[n], value) for n, value in expected.tensors.items())
    assert (found.best_loss, found.history) == (expected.best_loss, expected.history)


def test_training_neither_reads_nor_moves_the_global_generator() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    loss = trainer_of().step(0)["loss"]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(trainer_of().step(0)["loss"], loss)
    assert not torch.equal(trainer_of(seed=1).step(0)["loss"], loss)


def test_stft_is_weighted_once() -> None:
    found = trainer_of(replace(TINY, stft_weight=3.0)).step(0)
    assert float(found["loss"]) == pytest.approx(float(found["mel_l1"] + 3 * found["mr_stft"]))


def test_held_out_loss_is_of_what_is_played() -> None:
    # A sound of exactly the judged length, so that nothing is cut or padded.
    pair = tone_pair(129)  # 1.5 s
    trainer = FreevTrainer(TINY, TINY.steps, MEL, [pair], [pair], 0, torch.device("cpu"))
    wave = Freev(trainer.net, torch.device("cpu")).wave(torch.from_numpy(pair.log_mel))
    real = torch.from_numpy(pair.wave)
    expected = float(mel_l1(wave[None], real[None], MEL) + MrStft()(wave[None], real[None]))
    # The trainer may multiply in bfloat16, the player never does.
    assert trainer.held_out_loss() == pytest.approx(expected, rel=0.02)


def test_at_most_twelve_held_out_sounds_are_judged_and_tiny_ones_are_padded() -> None:
    many = [
        WavePair(np.full((n, 128), -5, np.float32), np.ones(n * 512, np.float32))
        for n in range(1, 30)
    ]
    trainer = FreevTrainer(TINY, TINY.steps, MEL, many, many, 0, torch.device("cpu"))
    assert trainer.judged_mels.shape == (12, 129, 128)
    assert trainer.judged_waves.shape == (12, 129 * 512)
    lengths = (trainer.judged_waves != 0).sum(1) // 512
    assert lengths.tolist() == [
        1 + 29 * place // 12 for place in range(12)
    ]  # spread over the whole sequence
