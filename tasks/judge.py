"""Judge: do new sounds behave like real ones, and are they new? No vocoder has a part in it."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from artifacts.code_table import sequences
from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.config import BuildConfig, ValidateConfig
from core.generation import DecodedMel, Instrument, Request, drawn_sounds
from core.griffinlim import GriffinLim
from core.metrics import overlap_8gram
from core.prior import Prior
from core.realism import frame_delta, realism
from core.rvqvae import RvqVae
from core.split import Split
from core.texture import Texture
from core.training import step_seed
from core.vocoder import Vocoder
from tasks.progress import bar
from tasks.step import Run, step

BATCH_SOUNDS = 16
TEMPERATURES = (0.7, 0.8, 0.9, 1.0)
USUAL = 0.9
TOLD_BY_64 = 0.1  # other 64 sounds of the same model differ by as much


@step("judge", version=10)
def judge(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    texture: Ref,
    codes: Ref,
    prior: Ref,
    split: Split,
    config: BuildConfig,
) -> Ref:
    """Measure new sounds beside held-out ones, both against the training sounds.

    Args:
        config: as `read_by_judge` gives it.
    """
    store = run.store
    data = TrainingData.open(store, sounds, mels, split)
    instrument = loaded(
        run, rvqvae, texture, prior, config, GriffinLim(config.griffinlim, config.mel)
    )
    path = store.path(codes.digest)
    train_codes = [one.codes for one in sequences(path, "train")]
    held_out_codes = [one.codes for one in sequences(path, "held_out")]
    # Where tails were held out the prior has been refitted on whole sounds: copies of
    # their ends count too.
    heard = [one.codes for one in sequences(path, "whole")] or train_codes
    train = [data.log_mel(part) for part in data.train]
    restless = restlessness(instrument, train, config)
    temperature = fitting_temperature(restless)
    instrument = dataclasses.replace(instrument, temperature=temperature)
    new_codes, new = drawn_mels(instrument, judged_seeds(config))
    held_out = [data.log_mel(part) for part in data.held_out]
    real_lengths = [len(one) * config.rvqvae.stack_frames for one in heard]
    copies = [
        DecodedMel(instrument.rvqvae, instrument.texture, one, number).whole()[: len(mel)].cpu()
        for number, (one, mel) in enumerate(zip(train_codes, train, strict=True))
    ]
    record = {
        "natural_temperature": temperature,
        "restlessness": [[one, ratio] for one, ratio in restless.items()],
        "overlap_8gram": overlap_8gram(new_codes, heard),
        "overlap_8gram_real": overlap_8gram(held_out_codes, train_codes),
        "realism": dataclasses.asdict(realism(new, held_out, train, copies)),
        "lengths": {
            "new": quartiles([len(one) for one in new]),
            "real": quartiles(real_lengths),
        },
    }
    return Ref("judgement", store.put_json("judgement", record).digest)


def read_by_judge(config: BuildConfig) -> BuildConfig:
    """The config with all that judging does not read at its default."""
    judged = ValidateConfig(generated=config.validate.generated)
    default = BuildConfig(seed=config.seed, mel=config.mel, rvqvae=config.rvqvae)
    read = {"texture": config.texture, "prior": config.prior, "validate": judged}
    return dataclasses.replace(default, **read)  # type: ignore[arg-type]


def loaded(
    run: Run, rvqvae: Ref, texture: Ref, prior: Ref, config: BuildConfig, vocoder: Vocoder
) -> Instrument:
    """The trained models, with this vocoder."""
    store, device = run.store, run.device
    weights = {
        ref.kind: load_weights(store, ref.parts["weights"]) for ref in (rvqvae, texture, prior)
    }
    record = store.read_json(prior.digest)
    assert isinstance(record, dict)
    return Instrument(
        config.mel,
        RvqVae.from_weights(weights["rvqvae"], config.mel, config.rvqvae).to(device),
        Texture.from_weights(weights["texture"], config.mel, config.rvqvae, config.texture).to(
            device
        ),
        Prior.from_weights(weights["prior"], config.prior).to(device),
        vocoder,
        int(record["longest_frames"]),
    )


def restlessness(
    instrument: Instrument, train: Sequence[Tensor], config: BuildConfig
) -> dict[float, float]:
    """Of new sounds, as a multiple of the training sounds', at each temperature.

    What was drawn wrongly makes what is drawn next a little wronger, and how much so hangs on
    the sounds: 50 of all kinds were 1.24 times as restless as real ones at 0.9 and 1.05 times
    at 0.7, where 195 were 0.83 times.
    """
    real = frame_delta(train)
    seeds = [step_seed(config.seed, n, "temperature") for n in range(config.validate.generated)]
    found = {}
    for one in TEMPERATURES:
        _, new = drawn_mels(dataclasses.replace(instrument, temperature=one), seeds)
        found[one] = frame_delta(new) / real
    return found


def fitting_temperature(restless: Mapping[float, float]) -> float:
    """The usual temperature where its sounds are like real ones, else that whose are nearest.

    Of two as near it is the lower. 64 sounds are few: picked by the nearest alone, a model of
    195 sounds got 1.0, and the next 64 were 1.17 times as restless, 1.02 times at 0.9.
    """
    if abs(restless[USUAL] - 1) <= TOLD_BY_64:
        return USUAL
    return min(restless, key=lambda one: (abs(restless[one] - 1), one))


def judged_seeds(config: BuildConfig) -> list[int]:
    """Of the new sounds that a model is judged by; the first are its previews."""
    return [step_seed(config.seed, n, "validate") for n in range(config.validate.generated)]


def drawn_mels(instrument: Instrument, seeds: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
    """Codes (F', L) and log mels (F, M) of new sounds, on the CPU."""
    codes: list[Tensor] = []
    mels: list[Tensor] = []
    with bar("judge", len(seeds)) as progress:
        for first in range(0, len(seeds), BATCH_SOUNDS):
            batch = seeds[first : first + BATCH_SOUNDS]
            for one in drawn_sounds(instrument, batch, Request()):
                codes.append(one.codes)
                mels.append(one.whole().cpu())
            progress.update(len(codes), "new sounds")
    return codes, mels


def quartiles(frames: Sequence[int]) -> list[float]:
    """Lower quartile, median and upper quartile of lengths in mel frames."""
    return [float(one) for one in np.quantile(frames, (0.25, 0.5, 0.75))]
