"""Train the RVQ-VAE: linear start, yardstick, levels, decoder, and perhaps the encoder."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from artifacts.parent import Parent
from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from artifacts.weights import weights_bytes
from core.config import AugmentConfig, MelConfig, RvqvaeConfig
from core.metrics import codebook_health
from core.rvqvae import ContinuousVae, LinearStart, RvqVae
from core.rvqvae_fit import first_levels, fit_further, fit_linear_start, fit_statistics
from core.rvqvae_training import CodecStage, CodecTrainer, aim_of_levels, choose_levels
from core.sizing import codebook_size, training_steps
from core.split import Split
from core.training import Fit, step_seed
from core.warm_start import FITS, at_gain, codec_misfit, continued_codec, known_start
from tasks.progress import say
from tasks.step import Run, step
from tasks.training import one_thread, train
from tasks.warm_start import told


@step("rvqvae", version=5)
def train_rvqvae(
    run: Run,
    sounds: Ref,
    mels: Ref,
    mel: MelConfig,
    config: RvqvaeConfig,
    augment: AugmentConfig,
    split: Split,
    seed: int,
    parent: Ref | None = None,
) -> Ref:
    """Fit and train; the record says what each stage was worth on held-out sound.

    Args:
        parent: the model to go on from; its statistics, codebooks and nets are the start
            where they fit.
    """
    data = TrainingData.open(run.store, sounds, mels, split)
    train_mels = [data.log_mel(part) for part in data.train]
    held_out = [data.log_mel(part) for part in data.held_out]
    code_frames = sum(-(-len(one) // config.stack_frames) for one in train_mels)
    size = config.codebook_size or codebook_size(code_frames)
    old, begins = known_codec(run, parent, data.sounds.gain, config, size)
    say(f"rvqvae: fitting {config.most_levels} codebooks of {size} on {code_frames} code frames")
    with one_thread():
        start, of_yardstick = starts(old, train_mels, size, mel, config, augment, seed)

    def fitted(stage: CodecStage, codec: RvqVae | ContinuousVae, full_steps: int) -> Fit:
        steps = training_steps(code_frames, full_steps)
        trainer = CodecTrainer(codec, stage, steps, train_mels, held_out, augment, seed, run.device)
        return train(
            run, stage, trainer, steps, config.evaluate_every_steps, data.digests(data.train)
        )

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step_seed(seed, 0, "rvqvae weights"))
        yardstick = ContinuousVae(of_yardstick, mel, config)
        vae = fitted("vae", yardstick, config.vae_steps)
        aim = aim_of_levels(vae.best_loss, data.split.kind)
        levels, curve = choose_levels(start, held_out, aim, mel, config)
        if old is None:
            model = RvqVae(first_levels(start, levels), mel, config)
        else:
            levels = max(levels, len(old["codebooks"]))
            model = continued_codec(start, levels, old, mel, config)
    reached = f"linear L1 {curve[levels - 1]:.4f}, asked {aim:.4f}, VAE {vae.best_loss:.4f}"
    say(f"rvqvae: {levels} levels ({reached})")
    decoder = fitted("decoder", model, config.decoder_steps)
    model.load_state_dict(decoder.best)
    joint = fitted("joint", model, config.joint_steps)
    best = joint if joint.best_loss < decoder.best_loss else decoder
    model.load_state_dict(best.best)
    model.to("cpu").eval()
    record = {
        "config": dataclasses.asdict(config),
        "seed": seed,
        "versions": {"torch": torch.__version__},
        "sizes": {"codebook_size": size, "levels": levels, "latent_dim": config.latent_dim},
        "code_frames": code_frames,
        "split": data.split.kind,
        "log_mel_l1": best.best_loss,
        "vae_log_mel_l1": vae.best_loss,
        "linear_log_mel_l1": curve,
        "aim_log_mel_l1": aim,
        "joint_kept": best is joint,
        "health": health(model, train_mels),
        "history": {"vae": vae.history, "decoder": decoder.history, "joint": joint.history},
        **begins,
    }
    store = run.store
    weights = store.put_bytes(weights_bytes(model.state_dict()))
    return Ref("rvqvae", store.put_json("rvqvae", record).digest, {"weights": weights})


def known_codec(
    run: Run, parent: Ref | None, gain: float, config: RvqvaeConfig, size: int
) -> tuple[dict[str, Tensor] | None, dict[str, Any]]:
    """The weights to go on from, None where there are none that fit; and what is said of them."""
    if parent is None:
        return None, {}
    known = Parent(run.store, parent)
    weights = at_gain(known.weights("rvqvae"), known.gain, gain)
    misfit = codec_misfit(weights, known.config.rvqvae, config, size)
    return weights if misfit == FITS else None, told("rvqvae", known, misfit)


def starts(
    old: dict[str, Tensor] | None,
    mels: list[Tensor],
    size: int,
    mel: MelConfig,
    config: RvqvaeConfig,
    augment: AugmentConfig,
    seed: int,
) -> tuple[LinearStart, LinearStart]:
    """The codec's linear start, then the yardstick's, which is of these sounds alone.

    They differ only where the codec goes on from an old one.
    """
    if old is None:
        start = fit_linear_start(mels, size, mel, config, augment, seed)
        return start, start
    start = fit_further(known_start(old), mels, mel, config, augment, seed)
    of_yardstick, _ = fit_statistics(mels, mel, config, augment, seed)
    return start, of_yardstick


@torch.no_grad()
def health(model: RvqVae, mels: list[Tensor]) -> dict[str, list[float]]:
    """Use of each level's codes over all training frames, and how much each leaves over."""
    latents = torch.cat([model.latents(one[None])[0] for one in mels])[None]
    used = codebook_health(model.codes(latents)[0], model.codebook_size)
    return {**used, "commitment": model.commitment(latents).tolist()}
