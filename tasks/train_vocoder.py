"""Train the vocoders on the frozen RVQ-VAE's mels beside the real sounds."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from artifacts.parent import Parent
from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights, weights_bytes
from core.config import FreevConfig, HifiganConfig, MelConfig, RvqvaeConfig
from core.freev_training import FreevTrainer
from core.hifigan import HifiganGenerator
from core.hifigan_training import HifiganTrainer
from core.rvqvae import RvqVae
from core.sizing import training_steps
from core.split import Part, Split
from core.training import Fit
from core.vocoder_data import WavePair, too_little_for_hifigan
from core.warm_start import FITS
from tasks.progress import say
from tasks.step import Run, step
from tasks.training import train
from tasks.warm_start import begun

KINDS_OF_MEL = 2


def wave_pairs(data: TrainingData, parts: Sequence[Part], model: RvqVae) -> list[WavePair]:
    """Each part's wave twice: beside what the model makes of its mel, and beside the mel itself.

    A vocoder that only ever saw the model's smooth mels smooths the grain of new ones away.
    """
    pairs = []
    for part in parts:
        mel, wave = data.log_mel(part), data.wave(part)
        pairs += [WavePair(model.reconstruct(mel[None])[0].numpy(), wave)]
        pairs += [WavePair(mel.numpy(), wave)]
    return pairs


def training_pairs(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    mel: MelConfig,
    codec: RvqvaeConfig,
    split: Split,
) -> tuple[list[WavePair], list[WavePair], list[str]]:
    """Training and held-out pairs, and the digests of the former's sounds."""
    data = TrainingData.open(run.store, sounds, mels, split)
    model = RvqVae.from_weights(load_weights(run.store, rvqvae.parts["weights"]), mel, codec)
    digests = [digest for digest in data.digests(data.train) for _ in range(KINDS_OF_MEL)]
    return wave_pairs(data, data.train, model), wave_pairs(data, data.held_out, model), digests


@step("freev", version=6)
def train_freev(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    mel: MelConfig,
    codec: RvqvaeConfig,
    config: FreevConfig,
    split: Split,
    seed: int,
    parent: Ref | None = None,
) -> Ref:
    """FreeV, the fast path on a CPU.

    Args:
        parent: the model to go on from; its FreeV is the start where it fits.
    """
    pairs, held_out, digests = training_pairs(run, sounds, mels, rvqvae, mel, codec, split)
    code_frames = sum(-(-len(pair.log_mel) // codec.stack_frames) for pair in pairs[::KINDS_OF_MEL])
    steps = training_steps(code_frames, config.steps)
    trainer = FreevTrainer(config, steps, mel, pairs, held_out, seed, run.device)
    begins: dict[str, Any] = {}
    if parent is not None:
        known = Parent(run.store, parent)
        begins = begun("freev", known, trainer.net, known.weights("vocoder-freev"))
    fit = train(run, "freev", trainer, steps, config.evaluate_every_steps, digests)
    return stored(run, "freev", fit, fit.best_weights(), config, seed, begins)


@step("hifigan", version=7)
def train_hifigan(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    mel: MelConfig,
    codec: RvqvaeConfig,
    config: HifiganConfig,
    split: Split,
    seed: int,
    parent: Ref | None = None,
) -> Ref:
    """HiFi-GAN with its discriminators; only the generator's EMA, weight norm folded, is kept.

    Args:
        parent: the model to go on from; its generator is the start where it fits, the
            discriminators always begin anew.
    """
    pairs, held_out, digests = training_pairs(run, sounds, mels, rvqvae, mel, codec, split)
    samples = sum(len(pair.wave) for pair in pairs[::KINDS_OF_MEL])
    warning = too_little_for_hifigan(samples / mel.sample_rate)
    if warning is not None:
        say(f"hifigan: {warning}")
    trainer = HifiganTrainer(config, mel, pairs, held_out, seed, run.device)
    begins: dict[str, Any] = {}
    if parent is not None:
        known = Parent(run.store, parent)
        folded = HifiganGenerator(config, weight_norm=False)
        begins = begun("hifigan", known, folded, known.weights("vocoder-hifigan"))
        if begins["begins_anew"] == FITS:
            trainer.begin_with(folded)
    patience = config.patience_evaluations
    fit = train(
        run, "hifigan", trainer, config.steps, config.evaluate_every_steps, digests, patience
    )
    generator = HifiganGenerator(config)
    generator.load_state_dict(fit.best_weights())
    generator.fold_weight_norm()
    return stored(run, "hifigan", fit, generator.state_dict(), config, seed, begins)


def stored(
    run: Run,
    name: str,
    fit: Fit,
    weights: dict[str, torch.Tensor],
    config: FreevConfig | HifiganConfig,
    seed: int,
    begins: dict[str, Any],
) -> Ref:
    record = {
        "vocoder": name,
        "config": dataclasses.asdict(config),
        "seed": seed,
        "versions": {"torch": torch.__version__},
        "best_step": fit.best_step,
        "best_loss": fit.best_loss,
        "history": fit.history,
        **begins,
    }
    store = run.store
    digest = store.put_bytes(weights_bytes(weights))
    return Ref("vocoder", store.put_json("vocoder", record).digest, {"weights": digest})
