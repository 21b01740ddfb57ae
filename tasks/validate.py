"""Validate: the held-out A/B of the vocoders, copying, gates; clips to listen to."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from artifacts.audio_export import write_audio
from artifacts.refs import Ref
from artifacts.spectrogram import spectrogram_png
from artifacts.store import Store
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.comparison import Distance, distance, mean_distance, winner
from core.config import BuildConfig, MelConfig, VocoderName
from core.gates import ON_TRAINING_SOUNDS, codec_gates, prior_gates, vocoder_gate
from core.generation import Instrument, Request, drawn_waves, finished
from core.mel import log_mel
from core.rvqvae import RvqVae
from core.split import Split
from core.vocoder import Vocoder
from core.vocoder_data import spread
from core.vocoders import vocoder_from_weights
from tasks.judge import judged_seeds, loaded
from tasks.progress import bar
from tasks.step import Run, step

SPECTROGRAM_PIXELS = (420, 160)


@step("validate", version=5)
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
    table, clips, parts = compare(store, data, instrument.rvqvae, players, config)
    from_model = {name: table[name]["model"] for name in players}
    best = winner(from_model)
    instrument = dataclasses.replace(instrument, vocoder=players[best])
    seeds = judged_seeds(config)[: config.validate.previews]
    previews = preview_clips(store, instrument, seeds, parts)
    checked = {
        **codec_gates(record_of(store, rvqvae)),
        **prior_gates(record_of(store, prior), record_of(store, judgement), data.seconds_of_train),
        "vocoder": vocoder_gate(from_model, best),
    }

    def of_tails(gate: str) -> bool:
        return split.kind == "tails" and gate not in ON_TRAINING_SOUNDS

    record = {
        "vocoder": best,
        "vocoders": {name: flat(rows) for name, rows in table.items()},
        "gates": {
            name: dataclasses.asdict(gate.of_few_files() if of_tails(name) else gate)
            for name, gate in checked.items()
        },
        "clips": clips,
        "previews": previews,
        "files": files,
        "seconds_of_audio": data.sounds.seconds,
        "gain": data.sounds.gain,
        "split": split.kind,
        "held_out_sounds": len(data.held_out),
        "heard": data.heard.to_json(),
    }
    return Ref("validation", store.put_json("validation", record).digest, parts)


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


def compare(
    store: Store,
    data: TrainingData,
    codec: RvqVae,
    players: Mapping[VocoderName, Vocoder],
    config: BuildConfig,
) -> tuple[dict[VocoderName, dict[str, Distance]], list[dict[str, Any]], dict[str, str]]:
    """Every vocoder on held-out sounds, from the true mel and from the model's.

    Returns:
        the mean distances by vocoder and kind of mel, the clips of the report's sounds,
        and the parts (name -> digest) that hold them.
    """
    chosen = spread(data.held_out, config.validate.most_sounds)
    most_frames = round(
        config.validate.most_seconds * config.mel.sample_rate / config.mel.hop_samples
    )
    found: dict[VocoderName, dict[str, list[Distance]]] = {
        name: {"mel": [], "model": []} for name in players
    }
    clips: list[dict[str, Any]] = []
    parts: dict[str, str] = {}
    with bar("validate", len(chosen)) as progress:
        for number, whole in enumerate(chosen):
            part = dataclasses.replace(whole, last=min(whole.last, whole.first + most_frames))
            shown = number < config.validate.report_sounds
            true_mel, real = data.log_mel(part), torch.from_numpy(data.wave(part))
            model_mel = codec.reconstruct(true_mel[None].to(codec.codebooks.device))[0].cpu()
            label = data.sounds.sounds[part.sound].digest
            if shown:
                clips.append(clip(store, parts, config.mel, label, "original", "", real, None))
            for name, player in players.items():
                for kind, mel in (("mel", true_mel), ("model", model_mel)):
                    wave = player.wave(mel)
                    apart = distance(wave, real, config.mel)
                    found[name][kind].append(apart)
                    if shown:
                        clips.append(clip(store, parts, config.mel, label, kind, name, wave, apart))
            progress.update(number + 1, "held-out sounds")
    table = {
        name: {kind: mean_distance(rows) for kind, rows in kinds.items()}
        for name, kinds in found.items()
    }
    return table, clips, parts


def flat(rows: Mapping[str, Distance]) -> dict[str, float]:
    """The contract's keys are from the model's own mels; those from true mels stand beside."""
    return {
        "log_mel_l1": rows["model"].log_mel_l1,
        "mr_stft": rows["model"].mr_stft,
        "true_mel_log_mel_l1": rows["mel"].log_mel_l1,
        "true_mel_mr_stft": rows["mel"].mr_stft,
    }


def clip(
    store: Store,
    parts: dict[str, str],
    mel: MelConfig,
    sound: str,
    kind: str,
    vocoder: str,
    wave: torch.Tensor,
    apart: Distance | None,
) -> dict[str, Any]:
    """Store one clip and its picture; returns what the report needs to show them."""
    name = f"clip-{len(parts) // 2:03d}"
    samples = wave.numpy().astype(np.float32)
    shortest = torch.nn.functional.pad(wave, (0, max(0, mel.fft_samples - len(wave))))
    picture = log_mel(shortest[None], mel)[0].T.numpy()
    parts[f"{name}.png"] = store.put_bytes(spectrogram_png(picture, *SPECTROGRAM_PIXELS))
    playable = finished(samples, mel.sample_rate, mel.sample_rate, None)
    parts[f"{name}.flac"] = flac(store, playable, mel.sample_rate)
    return {
        "name": name,
        "sound": sound,
        "kind": kind,
        "vocoder": vocoder,
        "log_mel_l1": apart.log_mel_l1 if apart else None,
        "mr_stft": apart.mr_stft if apart else None,
    }


def flac(store: Store, wave: np.ndarray, sample_rate: int) -> str:
    """Store a wave as 16-bit FLAC; returns its digest."""
    with store.new_file(".flac") as path:
        write_audio(path, wave, sample_rate, "flac", 16)
        return store.put_file(path)


def preview_clips(
    store: Store, instrument: Instrument, seeds: Sequence[int], parts: dict[str, str]
) -> list[dict[str, Any]]:
    """A few new sounds, at their natural lengths."""
    return [
        clip(
            store,
            parts,
            instrument.mel,
            f"new sound {number}",
            "model",
            instrument.vocoder.name,
            torch.from_numpy(wave),
            None,
        )
        for number, wave in enumerate(drawn_waves(instrument, seeds, Request()), 1)
    ]
