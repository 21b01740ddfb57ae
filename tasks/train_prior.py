"""Train the prior, and count what counting alone would give."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from artifacts.code_table import Role, read_codes, sequences
from artifacts.parent import Parent
from artifacts.refs import Ref
from artifacts.store import Store
from artifacts.weights import load_weights, weights_bytes
from core.code_windows import CodeSequence
from core.config import PriorConfig
from core.counting import bigram_nats, end_logits, stay_logits, unigram_nats
from core.descriptors import scales
from core.prior import UNKNOWN, Prior
from core.prior_scores import nats_per_level
from core.prior_training import PriorTrainer
from core.sampling import LONGEST_NATURAL
from core.sizing import training_steps
from core.training import step_seed
from core.warm_start import prior_taken_over
from tasks.step import Run, step
from tasks.training import train
from tasks.warm_start import told

BEGINNING_FRAMES = 8  # code frames
OTHER_LABELS = 4  # wrong ones that each held-out sound is tried with


def examples(prior: Prior, sounds: Sequence[CodeSequence]) -> Tensor:
    """(N, 6 + D) lengths, labels, ranks and styles of whole sounds.

    New ones are modelled on them.
    """
    whole = [one for one in sounds if one.before is None]
    rows = [[min(len(one.codes), LONGEST_NATURAL), one.label, *one.ranks] for one in whole]
    styles = torch.stack([prior.style(one.codes) for one in whole])
    return torch.cat([torch.tensor(rows), styles], dim=1)


def nats_of_labels(
    model: Prior, held_out: Sequence[CodeSequence], device: torch.device
) -> dict[str, float]:
    """Held-out nats a frame when told the sounds' labels, and when told others of them.

    Over their beginnings only: later a sound says itself what it is. Tails are scored as if
    they began there.
    """
    labelled = [
        dataclasses.replace(one, codes=one.codes[:BEGINNING_FRAMES], before=None, ends=False)
        for one in held_out
        if one.label != UNKNOWN
    ]
    if not labelled:
        return {}

    def told(labels: list[int]) -> float:
        return sum(nats_per_level(model, labelled, device, labels))

    others = min(OTHER_LABELS, model.labels - 1)
    wrong = [
        told([(one.label + shift) % model.labels for one in labelled])
        for shift in range(1, others + 1)
    ]
    return {"right": told([one.label for one in labelled]), "wrong": sum(wrong) / len(wrong)}


def begun_prior(
    run: Run, parent: Ref, rvqvae: Ref, prior: Prior, labels: list[str], of_tails: bool
) -> dict[str, Any]:
    """Load the parent's prior where it fits and has not heard what is held out here.

    Returns:
        what the record says of it.
    """
    known, codec = Parent(run.store, parent), run.store.read_json(rvqvae.digest)
    assert isinstance(codec, dict)
    if codec["begins_anew"]:
        misfit = "its codes are others"
    elif of_tails and known.heard.tail_fraction:
        misfit = "the old one has heard the ends that it would be judged by"
    else:
        misfit = prior_taken_over(prior, known.weights("prior"), known.labels, labels)
    return told("prior", known, misfit)


def nats_of_old_and_new(
    model: Prior, held_out: Sequence[CodeSequence], is_old: Sequence[bool], device: torch.device
) -> dict[str, float | None]:
    """Held-out nats a frame of the sounds that the parent knew, and of the others."""

    def of(wanted: bool) -> float | None:
        chosen = [one for one, old in zip(held_out, is_old, strict=True) if old == wanted]
        return sum(nats_per_level(model, chosen, device)) if chosen else None

    return {"old": of(True), "new": of(False)}


@dataclass(frozen=True)
class PriorData:
    """All that the prior is trained on and judged by."""

    originals: list[CodeSequence]
    held_out: list[CodeSequence]
    augmented: list[CodeSequence]
    whole: list[CodeSequence]  # empty where whole sounds are held out
    scale: Tensor  # (4, QUANTILES) of the descriptors
    labels: list[str]
    digests: list[str]  # of the sounds, by their places in the set; "" where held out

    @classmethod
    def read(cls, store: Store, codes: Ref, labels: Ref) -> "PriorData":
        path, named = store.path(codes.digest), store.read_json(labels.digest)
        assert isinstance(named, dict)
        rows = read_codes(path, "train")
        scale = scales([torch.from_numpy(row.descriptors) for row in rows])
        digest_of = {row.sound: row.digest for row in rows}

        def of(role: Role) -> list[CodeSequence]:
            return sequences(path, role, named["of"], scale)

        originals, held_out = of("train"), of("held_out")
        if not any(one.ends for one in originals):  # of tails: how sounds end has not been heard
            held_out = [one.without_end() for one in held_out]
        digests = [digest_of.get(place, "") for place in range(max(digest_of) + 1)]
        parts = (originals, held_out, of("augmented"), of("whole"))
        return cls(*parts, scale, named["names"], digests)

    @property
    def packaged(self) -> list[CodeSequence]:
        """What the prior that is packaged has heard."""
        return self.whole or self.originals

    def untrained(self, codebooks: Tensor, config: PriorConfig, seed: int) -> Prior:
        """One that knows what counting says, and nothing else."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(seed, 0, "prior weights"))
            prior = Prior(codebooks, config, self.scale, labels=len(self.labels))
        prior.examples = examples(prior, self.packaged)
        prior.stays.data.copy_(stay_logits(self.packaged, prior.levels, prior.codebook_size))
        prior.ends.data.copy_(end_logits(self.packaged, prior.codebook_size))
        return prior

    def scores(self, model: Prior, device: torch.device) -> dict[str, Any]:
        """Nats a frame: the model's, and beside them what counting gives."""
        per_level = {
            "nats": nats_per_level(model, self.held_out, device),
            "train_nats": nats_per_level(model, self.originals, device),
            "unigram_nats": unigram_nats(self.originals, self.held_out, model.codebook_size),
            "bigram_nats": bigram_nats(self.originals, self.held_out, model.codebook_size),
        }
        labelled = nats_of_labels(model, self.held_out, device) if self.labels else {}
        a_frame = {f"{name}_per_frame": sum(nats) for name, nats in per_level.items()}
        return {**a_frame, "per_level": per_level, "label_nats": labelled}


@step("prior", version=10)
def train_prior(
    run: Run,
    codes: Ref,
    rvqvae: Ref,
    labels: Ref,
    config: PriorConfig,
    seed: int,
    parent: Ref | None = None,
) -> Ref:
    """Train on the training parts, judge on the held-out ones.

    Where only tails were held out, the sounds' ends were too: the prior is then trained
    once more on whole sounds, for as many steps as the judged one took to its best.

    Args:
        parent: the model to go on from; its prior is the start where it fits.
    """
    store, device = run.store, run.device
    data = PriorData.read(store, codes, labels)
    codebooks = load_weights(store, rvqvae.parts["weights"])["codebooks"]
    steps = training_steps(sum(len(one.codes) for one in data.originals), config.steps)
    model = data.untrained(codebooks, config, seed)
    begins: dict[str, Any] = {}
    if parent is not None:
        begins = begun_prior(run, parent, rvqvae, model, data.labels, bool(data.whole))
    trainer = PriorTrainer(
        model,
        steps,
        data.originals,
        data.augmented,
        data.held_out,
        seed,
        device,
        settles=not data.whole,
    )
    fit = train(run, "prior", trainer, steps, config.evaluate_every_steps, data.digests)
    model.load_state_dict(fit.best)
    scores = data.scores(model, device)
    if parent is not None:
        heard = Parent(store, parent).heard
        is_old = [
            heard.knows(row.digest) for row in read_codes(store.path(codes.digest), "held_out")
        ]
        begins["nats_of"] = nats_of_old_and_new(model, data.held_out, is_old, device)
    if data.whole:
        model = data.untrained(codebooks, config, seed)
        again = PriorTrainer(model, steps, data.whole, data.augmented, data.whole, seed, device)
        refit_steps = max(1, fit.best_step)
        train(run, "prior-refit", again, refit_steps, config.evaluate_every_steps, data.digests)
    lengths = [len(one.codes) for one in data.packaged]
    record = {
        "config": dataclasses.asdict(config),
        "seed": seed,
        "versions": {"torch": torch.__version__},
        "steps": fit.step,
        "best_step": fit.best_step,
        "refitted_on_whole_sounds": bool(data.whole),
        **scores,
        "longest_frames": min(max(lengths), LONGEST_NATURAL),
        "median_frames": float(np.median(lengths)),
        "labels": data.labels,
        "history": fit.history,
        **begins,
    }
    weights = store.put_bytes(weights_bytes(model.cpu().state_dict()))
    return Ref("prior", store.put_json("prior", record).digest, {"weights": weights})
