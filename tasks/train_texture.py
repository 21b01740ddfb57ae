"""Train the texture on what the frozen RVQ-VAE leaves out."""

import dataclasses
from typing import Any

import torch

from artifacts.parent import Parent
from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights, weights_bytes
from core.config import AugmentConfig, MelConfig, RvqvaeConfig, TextureConfig
from core.rvqvae import RvqVae
from core.sizing import training_steps
from core.split import Split
from core.texture import Texture, colouring
from core.texture_training import TextureTrainer, residual_statistics
from core.training import below, step_seed
from tasks.step import Run, step
from tasks.training import one_thread, train
from tasks.warm_start import begun


@step("texture", version=2)
def train_texture(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    mel: MelConfig,
    codec: RvqvaeConfig,
    config: TextureConfig,
    augment: AugmentConfig,
    split: Split,
    seed: int,
    parent: Ref | None = None,
) -> Ref:
    """The weights with the least loss on held-out sounds.

    Args:
        parent: the model to go on from; its nets are the start where they fit.
    """
    data = TrainingData.open(run.store, sounds, mels, split)
    model = RvqVae.from_weights(load_weights(run.store, rvqvae.parts["weights"]), mel, codec)
    train_mels = [data.log_mel(part) for part in data.train]
    held_out = [data.log_mel(part) for part in data.held_out]
    with one_thread():
        scale, alike = residual_statistics(model, train_mels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step_seed(seed, 0, "texture weights"))
        texture = Texture(model.mean, model.scale, scale, colouring(alike), mel, codec, config)
    begins: dict[str, Any] = {}
    if parent is not None:
        known = Parent(run.store, parent)
        begins = begun("texture", known, texture.nets, below("nets.", known.weights("texture")))
    code_frames = sum(-(-len(one) // codec.stack_frames) for one in train_mels)
    steps = training_steps(code_frames, config.steps)
    trainer = TextureTrainer(texture, model, steps, train_mels, held_out, augment, seed, run.device)
    fit = train(
        run, "texture", trainer, steps, config.evaluate_every_steps, data.digests(data.train)
    )
    record = {
        "config": dataclasses.asdict(config),
        "seed": seed,
        "versions": {"torch": torch.__version__},
        "best_step": fit.best_step,
        "held_out": fit.best_loss,
        "history": fit.history,
        **begins,
    }
    weights = run.store.put_bytes(weights_bytes(fit.best_weights()))
    return Ref("texture", run.store.put_json("texture", record).digest, {"weights": weights})
