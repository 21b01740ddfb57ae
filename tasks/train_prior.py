"""Train the prior, and count what counting alone would give."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from artifacts.code_table import CodeRow, Role, read_codes
from artifacts.refs import Ref
from artifacts.weights import load_weights, weights_bytes
from core.config import PriorConfig
from core.prior import Prior
from core.prior_training import (
    CodeSequence,
    PriorTrainer,
    bigram_nats,
    nats_per_level,
    unigram_nats,
)
from core.sampling import LONGEST_NATURAL, calibrate_ends
from core.sizing import training_steps
from core.training import step_seed
from tasks.progress import say
from tasks.step import Run, step
from tasks.training import train


def sequences(path: Path, role: Role) -> list[CodeSequence]:
    """The code sequences of one role."""

    def sequence(row: CodeRow) -> CodeSequence:
        return CodeSequence(torch.from_numpy(row.codes), row.first, row.ends)

    return [sequence(row) for row in read_codes(path, role)]


def calibrated(model: Prior, sounds: Sequence[CodeSequence], seed: int) -> float:
    """Let new sounds end as early as these do; returns the shift of the end's bias in nats."""
    say("prior: calibrating where new sounds end")
    median = round(float(np.median([len(one.codes) for one in sounds])))
    return calibrate_ends(model, median, step_seed(seed, 0, "ends"))


@step("prior", version=2)
def train_prior(run: Run, codes: Ref, rvqvae: Ref, config: PriorConfig, seed: int) -> Ref:
    """Train on the training parts, judge on the held-out ones.

    Where only tails were held out, the sounds' ends were too: the prior is then trained
    once more on whole sounds, for as many steps as the judged one took to its best.
    """
    store, device = run.store, run.device
    path = store.path(codes.digest)
    originals, held_out = sequences(path, "train"), sequences(path, "held_out")
    augmented, whole = sequences(path, "augmented"), sequences(path, "whole")
    codebooks = load_weights(store, rvqvae.parts["weights"])["codebooks"]
    steps = training_steps(sum(len(one.codes) for one in originals), config.steps)

    def fresh() -> Prior:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(seed, 0, "prior weights"))
            return Prior(codebooks, config)

    model = fresh()
    trainer = PriorTrainer(model, steps, originals, augmented, held_out, seed, device)
    fit = train(run, "prior", trainer, steps, config.evaluate_every_steps)
    model.load_state_dict(fit.best)
    size = model.codebook_size
    shift = calibrated(model, originals, seed)  # before it is judged: what ships is measured
    held_out_nats = nats_per_level(model, held_out, device)
    train_nats = nats_per_level(model, originals, device)
    if whole:
        model = fresh()
        refit_steps = max(1, fit.best_step)
        again = PriorTrainer(model, steps, whole, augmented, whole, seed, device)
        train(run, "prior-refit", again, refit_steps, config.evaluate_every_steps)
        shift = calibrated(model, whole, seed)
    unigram, bigram = (count(originals, held_out, size) for count in (unigram_nats, bigram_nats))
    lengths = [len(one.codes) for one in (whole or originals)]
    record = {
        "config": dataclasses.asdict(config),
        "seed": seed,
        "versions": {"torch": torch.__version__},
        "steps": fit.step,
        "best_step": fit.best_step,
        "refitted_on_whole_sounds": bool(whole),
        "nats_per_frame": sum(held_out_nats),
        "unigram_nats_per_frame": sum(unigram),
        "bigram_nats_per_frame": sum(bigram),
        "train_nats_per_frame": sum(train_nats),
        "per_level": {
            "nats": held_out_nats,
            "train_nats": train_nats,
            "unigram_nats": unigram,
            "bigram_nats": bigram,
        },
        "longest_frames": min(max(lengths), LONGEST_NATURAL),
        "median_frames": float(np.median(lengths)),
        "end_shift": shift,
        "history": fit.history,
    }
    weights = store.put_bytes(weights_bytes(model.cpu().state_dict()))
    return Ref("prior", store.put_json("prior", record).digest, {"weights": weights})
