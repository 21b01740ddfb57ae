"""`python -m benchmarks.quality SOUNDS`: how good the models are at every size, in one table.

SOUNDS is a folder of files named KIND_*.*, such as Sonic Pi's samples. Five sets of them
are built with preset quick, without vocoders, which have no part in these figures: what is
measured on sound goes through Griffin-Lim.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from artifacts.training_data import TrainingData
from core.config import BuildConfig
from core.controls import Controls
from core.descriptors import DESCRIPTORS, descriptors
from core.gates import codec_gates, prior_gates
from core.generation import Instrument, Request, played_sounds
from core.griffinlim import GriffinLim
from core.mel import log_mel
from core.presets import configured
from core.realism import FrameSpace
from core.rvqvae import ContinuousVae, RvqVae
from core.rvqvae_fit import first_levels, fit_linear_start
from core.rvqvae_training import CodecStage, CodecTrainer
from core.sizing import training_steps
from core.split import Split
from core.training import Fit
from tasks.encode_codes import encode_codes
from tasks.ingest import gather_sounds, ingest_folder, labels_of, split_of
from tasks.judge import judge, loaded, read_by_judge
from tasks.mels import analyse_mels
from tasks.step import Run
from tasks.train_prior import train_prior
from tasks.train_rvqvae import train_rvqvae
from tasks.train_texture import train_texture
from tasks.validate import record_of

ASKED = 64  # sounds for each control
LIKE = "tabla"
LONG_SECONDS = 60.0
FOLDS = 5


@dataclass(frozen=True)
class Trained:
    """A model without a vocoder of its own, and what was found out about it."""

    instrument: Instrument
    data: TrainingData
    labels: list[str]
    rvqvae: dict[str, Any]
    prior: dict[str, Any]
    judged: dict[str, Any]
    seconds: float


def file_sets(sounds: Path) -> dict[str, list[Path]]:
    """The five sets."""
    files = sorted(path for path in sounds.iterdir() if path.suffix.lower() != ".md")

    def of(kind: str) -> list[Path]:
        return [path for path in files if path.name.startswith(f"{kind}_")]

    return {
        "5 drones": of("ambi")[:5],
        "11 drones": of("ambi"),
        "26 tablas": of("tabla"),
        "50 of all": files[::4],
        "195, all": files,
    }


def linked(files: Sequence[Path], folder: Path, by_kind: bool) -> Path:
    """A folder of links to the files, sorted into sub-folders by their names if asked."""
    for path in files:
        into = folder / path.name.partition("_")[0] if by_kind else folder
        into.mkdir(parents=True, exist_ok=True)
        (into / path.name).symlink_to(path.absolute())
    return folder


def trained(folder: Path, store: str, config: BuildConfig) -> Trained:
    """Every step of a build but the vocoders'."""
    began = time.monotonic()
    run, seed = Run(store, "auto"), config.seed
    found = ingest_folder(run, folder, config.ingest, as_tasks=False)
    files = sorted((ref for _, ref in found.sounds), key=lambda ref: ref.digest)
    sounds = gather_sounds.direct(run, files, config.ingest).ref
    split: Split = split_of(run, sounds, config.split)
    mel, codec, augment = config.mel, config.rvqvae, config.augment
    inputs = (sounds, analyse_mels.direct(run, sounds, mel).ref)

    rvqvae = train_rvqvae.direct(run, *inputs, mel, codec, augment, split, seed).ref
    speeds, curves = config.prior.speeds, config.prior.equalisers
    codes = encode_codes.direct(
        run, *inputs, rvqvae, mel, codec, speeds, curves, augment, split, seed
    ).ref
    grain = (config.texture, augment)
    texture = train_texture.direct(run, *inputs, rvqvae, mel, codec, *grain, split, seed).ref
    labels = labels_of(run, sounds, found.sounds)
    prior = train_prior.direct(run, codes, rvqvae, labels, config.prior, seed).ref
    models = (rvqvae, texture, codes, prior)
    judged = judge.direct(run, *inputs, *models, split, read_by_judge(config)).ref
    player = GriffinLim(config.griffinlim, mel)
    record = record_of(run.store, prior)
    return Trained(
        loaded(run, rvqvae, texture, prior, config, player),
        TrainingData.open(run.store, *inputs, split),
        record["labels"],
        record_of(run.store, rvqvae),
        record,
        record_of(run.store, judged),
        time.monotonic() - began,
    )


def figures(name: str, seed: int, model: Trained) -> dict[str, str]:
    """One row of the table."""
    codec, prior, likeness = model.rvqvae, model.prior, model.judged["realism"]
    sizes = codec["sizes"]
    checks = {**codec_gates(codec), **prior_gates(prior, model.judged, 0)}
    real = {key: likeness[f"{key}_real"] for key in ("frechet", "density", "coverage")}
    return {
        "set": name,
        "seed": str(seed),
        "codes": f"{sizes['levels']} x {sizes['codebook_size']}",
        "least use": f"{min(codec['health']['utilisation']):.2f}",
        "L1 / VAE's": f"{codec['log_mel_l1'] / codec['vae_log_mel_l1']:.3f}",
        "nats / bigram's, worst level": f"{checks['counting'].value:.2f}",
        "token perplexity": f"{np.exp(prior['nats_per_frame'] / sizes['levels']):.1f}",
        "Frechet new / real": f"{likeness['frechet']:.1f} / {real['frechet']:.1f}",
        "8-grams new / real": f"{model.judged['overlap_8gram']:.4f} / "
        f"{model.judged['overlap_8gram_real']:.4f}",
        "frame delta": f"{likeness['frame_delta_ratio']:.2f}",
        "density new / real": f"{likeness['density']:.2f} / {real['density']:.2f}",
        "coverage new / real": f"{likeness['coverage']:.2f} / {real['coverage']:.2f}",
        "minutes": f"{model.seconds / 60:.1f}",
        "red": ", ".join(key for key, gate in checks.items() if not gate.passed) or "-",
    }


def folds_l1(model: Trained, config: BuildConfig) -> float:
    """L1 beside the VAE's on whole files that were left out, five times over.

    For sets that are too small to hold files out of the build itself; levels and codes as there.
    """
    whole = [model.data.log_mel(part) for part in model.data.whole]
    folds = min(FOLDS, len(whole))
    ours, yardsticks = 0.0, 0.0
    for fold in range(folds):
        train = [one for place, one in enumerate(whole) if place % folds != fold]
        held_out = whole[fold::folds]
        frames = sum(len(one) for one in held_out)
        codes, yardstick = fold_l1(train, held_out, model.rvqvae["sizes"], config)
        ours, yardsticks = ours + frames * codes, yardsticks + frames * yardstick
    return ours / yardsticks


def fold_l1(
    train: Sequence[Tensor], held_out: Sequence[Tensor], sizes: dict[str, int], config: BuildConfig
) -> tuple[float, float]:
    """Held-out L1 of an RVQ-VAE and of a continuous VAE trained on some mels."""
    mel, codec, augment, seed = config.mel, config.rvqvae, config.augment, config.seed
    start = fit_linear_start(train, sizes["codebook_size"], mel, codec, augment, seed)
    frames = sum(-(-len(one) // codec.stack_frames) for one in train)

    def best(stage: CodecStage, net: RvqVae | ContinuousVae, full: int) -> float:
        steps, device = training_steps(frames, full), torch.device("cpu")
        trainer = CodecTrainer(net, stage, steps, train, held_out, augment, seed, device)
        fit = Fit(trainer, steps, codec.evaluate_every_steps)
        for _ in fit:
            pass
        return fit.best_loss

    torch.manual_seed(seed)
    yardstick = best("vae", ContinuousVae(start, mel, codec), codec.vae_steps)
    levels = RvqVae(first_levels(start, sizes["levels"]), mel, codec)
    return best("decoder", levels, codec.decoder_steps), yardstick


def waves(model: Trained, seeds: Sequence[int], request: Request) -> list[Tensor]:
    """(F, M) log mels of new sounds, measured on their waves."""
    mel = model.instrument.mel
    return [
        log_mel(torch.from_numpy(sound.whole())[None], mel)[0].T
        for sound in played_sounds(model.instrument, seeds, request, mel.sample_rate)
    ]


def obedience(model: Trained) -> dict[str, float]:
    """Spearman's correlation of what was asked with what came out, for each control."""
    asked = np.linspace(0.0, 1.0, ASKED)
    found: dict[str, float] = {}
    for place, name in enumerate(DESCRIPTORS):
        measured = []
        for seed, rank in enumerate(asked):
            request = Request(controls=Controls(**{name: float(rank)}))
            (sound,) = waves(model, [seed], request)
            measured.append(float(descriptors(sound, model.instrument.mel)[place]))
        found[name] = float(spearmanr(asked, measured).statistic)
    seconds = [0.2 + 4.8 * share for share in asked]
    lengths = [len(waves(model, [7], Request(seconds=one))[0]) for one in seconds]
    found["length"] = float(spearmanr(seconds, lengths).statistic)
    return found


def likeness_of_label(model: Trained, names: dict[str, str], label: str) -> tuple[float, float]:
    """Share of sounds asked to be of a label whose nearest training sound is, new and real.

    Args:
        names: the kind of each training sound, by its digest.
    """
    kinds = [names[model.data.sounds.sounds[part.sound].digest] for part in model.data.train]
    train = [model.data.log_mel(part) for part in model.data.train]
    space = FrameSpace.of(train)
    known = space.signatures(train)
    request = Request(label=model.labels.index(label))
    new = space.signatures(waves(model, range(ASKED), request))
    nearest = torch.cdist(new, known).argmin(1)
    share = sum(kinds[place] == label for place in nearest.tolist()) / ASKED
    apart = torch.cdist(known, known).fill_diagonal_(torch.inf).argmin(1)
    own = [place for place, kind in enumerate(kinds) if kind == label]
    real = sum(kinds[int(apart[place])] == label for place in own) / len(own)
    return share, real


def seams(model: Trained) -> tuple[float, float]:
    """Largest frame-to-frame distance at window edges of a minute, and the training limit."""
    (long,) = waves(model, [3], Request(seconds=LONG_SECONDS))
    config = model.instrument.prior.config
    step = config.window_frames * model.instrument.rvqvae.config.stack_frames
    apart = long.diff(dim=0).abs().mean(1)
    edges = apart[step - 1 :: step]
    parts = [model.data.log_mel(part).diff(dim=0).abs().mean(1) for part in model.data.train]
    return float(edges.max()), float(torch.cat(parts).quantile(0.999))


def table(rows: Sequence[dict[str, str]]) -> str:
    """Markdown."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *[[row[head] for head in heads] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--sets", nargs="+", help="beginnings of their names; all by default")
    parser.add_argument("--store", help="kept and used again; a temporary one by default")
    parser.add_argument("--folds", action="store_true", help="L1 by k-fold of small sets too")
    parser.add_argument("--no-controls", action="store_true", help="the table only")
    asked = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        store = asked.store or f"{scratch}/store"
        sets = {
            name: files
            for name, files in file_sets(asked.sounds).items()
            if not asked.sets or name.startswith(tuple(asked.sets))
        }
        if not sets:
            parser.error(f"no set begins with any of {asked.sets}; see the table in README.md")
        for seed in asked.seeds:
            config = configured("quick", seed, [])
            for name, files in sets.items():
                folder = linked(files, Path(scratch) / f"{seed}-{name}", by_kind=False)
                model = trained(folder, store, config)
                rows.append(figures(name, seed, model))
                print(table(rows[-1:]), flush=True)
                if asked.folds and model.data.split.kind == "tails":
                    print(f"{name}, L1 / VAE's by folds: {folds_l1(model, config):.3f}", flush=True)
            if not asked.no_controls:
                folder = linked(
                    file_sets(asked.sounds)["195, all"],
                    Path(scratch) / f"{seed}-kinds",
                    by_kind=True,
                )
                model = trained(folder, store, config)
                print("195 in folders", figures("195", seed, model), file=sys.stderr)
                print({key: round(value, 2) for key, value in obedience(model).items()})
                print(
                    "like tabla, new and real:",
                    likeness_of_label(model, kinds(folder, store), LIKE),
                )
                print("seams of a minute, largest and limit:", seams(model), flush=True)
    print(table(rows))


def kinds(folder: Path, store: str) -> dict[str, str]:
    """The kind of each sound of a folder, by its digest."""
    config = BuildConfig()
    found = ingest_folder(Run(store), folder, config.ingest, as_tasks=False)
    return {ref.parts["audio"]: name.partition("/")[0] for name, ref in found.sounds}


if __name__ == "__main__":
    main()
