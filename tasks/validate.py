"""Validate: the held-out A/B of the vocoders, copying, gates; clips to listen to."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from artifacts.refs import Ref
from artifacts.store import Store
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.config import BuildConfig, VocoderName
from core.copies import Copies, MelKind, winner
from core.gates import ON_TRAINING_SOUNDS, codec_gates, prior_gates, vocoder_gate
from core.generation import Instrument, Request, played_sounds
from core.sound_gates import SOUND_GATES, copy_gates, mels_gate
from core.split import Split
from core.vocoder import Vocoder
from core.vocoders import vocoder_from_weights
from tasks.held_out import Clips, compare, mels_error
from tasks.judge import judged_seeds, loaded
from tasks.step import Run, step


@step("validate", version=15)
def validate(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    texture: Ref,
    prior: Ref,
    judgement: Ref,
    vocoders: dict[VocoderName, Ref],
    files: int,
    split: Split,
    config: BuildConfig,
) -> Ref:
    """Measure the finished model on held-out sounds; the record holds every figure.

    Args:
        files: usable ones, copies counted.
        config: as `read_by_validation` gives it.
    """
    store = run.store
    data = TrainingData.open(store, sounds, mels, split)
    players = players_of(store, vocoders, config, run.device)
    instrument = loaded(run, rvqvae, texture, prior, config, players["griffinlim"])
    clips = Clips(store, config.mel)
    table, compared = compare(data, instrument.rvqvae, players, config, clips)
    from_model = {name: table[name]["model"].distance for name in players}
    best = winner({name: rows["model"] for name, rows in table.items()})
    judged = record_of(store, judgement)
    natural = judged["natural_temperature"]
    instrument = dataclasses.replace(instrument, vocoder=players[best], temperature=natural)
    seeds = judged_seeds(config)[: config.validate.previews]
    previews = preview_clips(clips, instrument, seeds)
    checked = {
        **codec_gates(record_of(store, rvqvae)),
        **prior_gates(record_of(store, prior), judged, data.seconds_of_train),
        "vocoder": vocoder_gate(from_model, best),
        "mels": mels_gate(mels_error(data, config)),
        **copy_gates(table, best),
    }

    def of_tails(gate: str) -> bool:
        return split.kind == "tails" and gate not in {*ON_TRAINING_SOUNDS, *SOUND_GATES}

    record = {
        "vocoder": best,
        "vocoders": {name: flat(rows) for name, rows in table.items()},
        "gates": {
            name: dataclasses.asdict(gate.of_few_files() if of_tails(name) else gate)
            for name, gate in checked.items()
        },
        "clips": compared,
        "previews": previews,
        "files": files,
        "seconds_of_audio": data.sounds.seconds,
        "gain": data.sounds.gain,
        "split": split.kind,
        "held_out_sounds": len(data.held_out),
        "heard": data.heard.to_json(),
    }
    return Ref("validation", store.put_json("validation", record).digest, clips.parts)


def read_by_validation(config: BuildConfig, vocoders: Mapping[VocoderName, Ref]) -> BuildConfig:
    """The config with all that validating does not read at its default.

    A change there would otherwise measure the same model again.
    """
    default, unread = BuildConfig(), ["preset", "ingest", "split", "augment"]
    unread += [name for name in ("freev", "hifigan") if name not in vocoders]
    return dataclasses.replace(config, **{name: getattr(default, name) for name in unread})


def record_of(store: Store, ref: Ref) -> dict[str, Any]:
    """The JSON record that a training left."""
    record = store.read_json(ref.digest)
    assert isinstance(record, dict)
    return record


def players_of(
    store: Store,
    vocoders: Mapping[VocoderName, Ref],
    config: BuildConfig,
    device: torch.device,
) -> dict[VocoderName, Vocoder]:
    """Griffin-Lim and every trained vocoder."""
    players = {"griffinlim": vocoder_from_weights("griffinlim", {}, config, device)}
    for name, ref in vocoders.items():
        weights = load_weights(store, ref.parts["weights"])
        players[name] = vocoder_from_weights(name, weights, config, device)
    return players  # type: ignore[return-value]


def flat(rows: Mapping[MelKind, Copies]) -> dict[str, float]:
    """The contract's keys are from the model's own mels; those from true mels stand beside."""
    true_mel = {f"true_mel_{name}": value for name, value in rows["mel"].figures().items()}
    return {**rows["model"].figures(), **true_mel}


def preview_clips(
    clips: Clips, instrument: Instrument, seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """A few new sounds, at their natural lengths."""
    rate = instrument.mel.sample_rate
    voice = instrument.vocoder.name
    waves = (sound.whole() for sound in played_sounds(instrument, seeds, Request(), rate))
    return [
        clips.add(f"new sound {number}", "model", voice, wave, wave, {})
        for number, wave in enumerate(waves, 1)
    ]
