"""Memory: what a model that goes on from another still knows, beside that one."""

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from artifacts.parent import Parent
from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.code_windows import CodeSequence
from core.config import BuildConfig
from core.gates import memory_gates
from core.prior import Prior
from core.prior_scores import nats_per_level
from core.rvqvae import RvqVae
from core.rvqvae_training import reconstruction_l1
from core.split import Part, Split, kept_out_parts
from core.warm_start import at_gain
from tasks.step import Run, step
from tasks.validate import record_of


@step("memory", version=2)
def compare_with_parent(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    prior: Ref,
    parent: Ref,
    split: Split,
    config: BuildConfig,
) -> Ref:
    """Held-out figures of both models, on the sounds that the parent knew and on the others.

    Both hear the same mels, the parent as if its own sounds had been that loud. What it
    held out it has not trained on, and neither has the new model, except where that holds
    out whole sounds and the parent held out tails.

    Args:
        config: as `read_by_memory` gives it.
    """
    store = run.store
    data, known = TrainingData.open(store, sounds, mels, split), Parent(store, parent)
    digests = data.table.sounds
    old = kept_out_parts(digests, data.table.frames, known.heard)
    new = [part for part in data.held_out if not known.heard.knows(digests[part.sound])]
    before = at_gain(known.weights("rvqvae"), known.gain, data.sounds.gain)
    codecs = {
        "now": codec_of(load_weights(store, rvqvae.parts["weights"]), config),
        "before": codec_of(before, known.config),
    }
    nats = record_of(store, prior)["nats_of"]
    nats_before = nats_of_parent(known, codecs["before"], data, old, new)
    figures = {
        group: {
            "sounds": len(parts),
            **l1_of(codecs, [data.log_mel(part) for part in parts]),
            "nats_per_frame": nats[group],
            "nats_per_frame_before": nats_before[group],
        }
        for group, parts in {"old": old, "new": new}.items()
    }
    heard_now = bool(known.heard.tail_fraction) and split.kind == "files"
    gates = memory_gates(figures["old"], heard_now)
    if split.kind == "tails":
        gates = {name: gate.of_few_files() for name, gate in gates.items()}
    record = {
        "parent": {"name": known.name, "sha256": known.record["sha256"]},
        "figures": figures,
        "gates": {name: dataclasses.asdict(gate) for name, gate in gates.items()},
    }
    return store.put_json("memory", record)


def read_by_memory(config: BuildConfig) -> BuildConfig:
    """The config with all that comparing does not read at its default."""
    return BuildConfig(mel=config.mel, rvqvae=config.rvqvae)


def codec_of(weights: dict[str, Tensor], config: BuildConfig) -> RvqVae:
    return RvqVae.from_weights(weights, config.mel, config.rvqvae)


def l1_of(codecs: Mapping[str, RvqVae], mels: Sequence[Tensor]) -> dict[str, float | None]:
    """Log-mel L1 of both codecs; None without sounds."""
    return {
        "log_mel_l1": reconstruction_l1(codecs["now"], mels) if mels else None,
        "log_mel_l1_before": reconstruction_l1(codecs["before"], mels) if mels else None,
    }


def nats_of_parent(
    parent: Parent,
    codec: RvqVae,
    data: TrainingData,
    old: Sequence[Part],
    new: Sequence[Part],
) -> dict[str, float | None]:
    """Nats a frame of the parent's prior, in its own codes.

    Where it held out tails it has been refitted on them; what it had before is in its record.
    """
    prior = Prior.from_weights(parent.weights("prior"), parent.config.prior)

    heads = {part.sound: part for part in data.train}

    def codes(part: Part) -> Tensor:
        return codec.encode(data.log_mel(part)[None])[0]

    def sequence(part: Part) -> CodeSequence:
        first = part.first // codec.config.stack_frames
        before = codes(heads[part.sound])[:first] if first else None
        whole = CodeSequence(codes(part), before, part.ends)
        return whole if data.split.kind == "files" else whole.without_end()

    def of(parts: Sequence[Part]) -> float | None:
        sequences = [sequence(part) for part in parts]
        return sum(nats_per_level(prior, sequences, torch.device("cpu"))) if parts else None

    judged_before = parent.record["nats"] if old else None
    return {"old": judged_before if parent.heard.tail_fraction else of(old), "new": of(new)}
