"""Plan: what a build would make of a folder and how long it would take; trains nothing."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from artifacts.sound_set import SoundSet
from core.config import BuildConfig
from core.estimate import stage_seconds, this_machine
from core.sizing import codebook_size, training_steps
from core.split import divide
from core.vocoder_data import too_little_for_hifigan
from tasks.ingest import gather_sounds, ingest_folder, split_of
from tasks.step import Run
from tasks.training import one_thread


@dataclass(frozen=True)
class Plan:
    usable: int
    rejected: list[dict[str, str]]
    seconds_of_audio: float
    sizes: dict[str, int]
    estimate_seconds: dict[str, float]
    held_out: str  # "files" or "tails"
    warnings: list[str]


def make_plan(run: Run, folder: Path, config: BuildConfig) -> Plan:
    """Decode the sounds (a build then finds them decoded), size the models, estimate."""
    ingested = ingest_folder(run, folder, config.ingest, as_tasks=False)
    files = sorted((ref for _, ref in ingested.sounds), key=lambda ref: ref.digest)
    gathered = gather_sounds.direct(run, files, config.ingest).ref
    sounds, split = SoundSet.load(run.store, gathered), split_of(run, gathered, config.split)
    frames = [sound.samples // config.mel.hop_samples for sound in sounds.sounds]
    train, _ = divide([sound.digest for sound in sounds.sounds], frames, split)
    code_frames = sum(-(-part.frames // config.rvqvae.stack_frames) for part in train)
    trained_seconds = (
        sum(part.frames for part in train) * config.mel.hop_samples / config.mel.sample_rate
    )
    warning = too_little_for_hifigan(trained_seconds) if config.hifigan.train else None
    with one_thread():
        cpu = this_machine(torch.device("cpu"))
        device = cpu if run.device.type == "cpu" else this_machine(run.device)
    estimate = stage_seconds(config, sounds.seconds, code_frames, split.kind, cpu, device)
    return Plan(
        usable=len(files),
        rejected=[dataclasses.asdict(one) for one in ingested.rejected],
        seconds_of_audio=sounds.seconds,
        sizes={
            "codebook_size": config.rvqvae.codebook_size or codebook_size(code_frames),
            "levels": config.rvqvae.most_levels,
            "code_frames": code_frames,
            "prior_steps": training_steps(code_frames, config.prior.steps),
        },
        estimate_seconds={**estimate, "total": sum(estimate.values())},
        held_out=split.kind,
        warnings=[] if warning is None else [warning],
    )
