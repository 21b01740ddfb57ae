"""The DAG of a build behind ingest: which stage is handed what."""

import hashlib

from artifacts.refs import Ref
from artifacts.store import json_bytes
from core.config import BuildConfig, VocoderName
from core.split import Split
from tasks.encode_codes import encode_codes
from tasks.judge import judge, read_by_judge
from tasks.mels import analyse_mels
from tasks.memory import compare_with_parent, read_by_memory
from tasks.package import package_model
from tasks.step import Made, Run
from tasks.train_prior import train_prior
from tasks.train_rvqvae import train_rvqvae
from tasks.train_texture import train_texture
from tasks.train_vocoder import train_freev, train_hifigan
from tasks.validate import read_by_validation, validate


def make_stages(
    run: Run,
    name: str,
    sounds: Ref,
    labels: Ref,
    files: int,
    split: Split,
    config: BuildConfig,
    stages: dict[str, Made],
    parent: Ref | None,
) -> dict[VocoderName, Ref]:
    """Every stage after ingest, put into `stages` as soon as it is made; returns the vocoders.

    Args:
        parent: the model to go on from.
    """
    from_parent = () if parent is None else (parent,)  # without one, keys know nothing of it
    stages["mels"] = analyse_mels(run, sounds, config.mel)
    inputs = (sounds, stages["mels"].ref)
    stages["rvqvae"] = train_rvqvae(
        run, *inputs, config.mel, config.rvqvae, config.augment, split, config.seed, *from_parent
    )
    rvqvae = stages["rvqvae"].ref
    stages["codes"] = encode_codes(
        run,
        *inputs,
        rvqvae,
        config.mel,
        config.rvqvae,
        config.prior.speeds,
        config.prior.equalisers,
        config.augment,
        split,
        config.seed,
    )
    codes = stages["codes"].ref
    stages["texture"] = train_texture(
        run,
        *inputs,
        rvqvae,
        config.mel,
        config.rvqvae,
        config.texture,
        config.augment,
        split,
        config.seed,
        *from_parent,
    )
    texture = stages["texture"].ref
    stages["prior"] = train_prior(
        run, codes, rvqvae, labels, config.prior, config.seed, *from_parent
    )
    prior = stages["prior"].ref
    stages["judge"] = judge(
        run, *inputs, rvqvae, texture, codes, prior, split, read_by_judge(config)
    )
    judged = stages["judge"].ref
    vocoders, stages["vocoder"] = train_vocoders(run, inputs, rvqvae, split, config, from_parent)
    stages["validate"] = validate(
        run,
        *inputs,
        rvqvae,
        texture,
        prior,
        judged,
        vocoders,
        files,
        split,
        read_by_validation(config, vocoders),
    )
    checked = stages["validate"].ref
    remembered: tuple[Ref, ...] = ()
    if parent is not None:
        stages["memory"] = compare_with_parent(
            run, *inputs, rvqvae, prior, parent, split, read_by_memory(config)
        )
        remembered = (stages["memory"].ref,)
    stages["package"] = package_model(
        run, name, rvqvae, texture, prior, vocoders, judged, checked, config, *remembered
    )
    return vocoders


def train_vocoders(
    run: Run,
    inputs: tuple[Ref, Ref],
    rvqvae: Ref,
    split: Split,
    config: BuildConfig,
    from_parent: tuple[Ref, ...],
) -> tuple[dict[VocoderName, Ref], Made]:
    """Those that the config trains, and the stage as a whole."""
    made: dict[VocoderName, Made] = {}
    shared = (config.mel, config.rvqvae)
    if config.freev.train:
        made["freev"] = train_freev(
            run, *inputs, rvqvae, *shared, config.freev, split, config.seed, *from_parent
        )
    if config.hifigan.train:
        made["hifigan"] = train_hifigan(
            run, *inputs, rvqvae, *shared, config.hifigan, split, config.seed, *from_parent
        )
    refs = {name: one.ref for name, one in made.items()}
    every = json_bytes({name: ref.digest for name, ref in refs.items()})
    stage = Made(
        Ref("vocoder", hashlib.sha256(every).hexdigest()),
        all(one.cached for one in made.values()),
        sum(one.seconds for one in made.values()),
    )
    return refs, stage
