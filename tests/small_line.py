"""One small model, made by every step in turn without Prefect."""

from dataclasses import dataclass
from pathlib import Path

from artifacts.library import Library
from artifacts.parent import unpacked
from artifacts.refs import Ref
from artifacts.store import Store
from core.config import BuildConfig, VocoderName
from core.presets import configured
from core.split import Split
from flows.report import write_report
from tasks.encode_codes import encode_codes
from tasks.ingest import Ingested, gather_sounds, ingest_folder, labels_of, split_of
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

# Far below tiny: every stage for real, in seconds.
SMALL = [
    "rvqvae.latent_dim=8", "rvqvae.codebook_size=8", "rvqvae.most_levels=3",
    "rvqvae.fewest_levels=2", "rvqvae.hidden=16", "rvqvae.blocks=1", "rvqvae.batch_windows=4",
    "rvqvae.vae_steps=6", "rvqvae.decoder_steps=6", "rvqvae.joint_steps=2",
    "rvqvae.evaluate_every_steps=2", "rvqvae.learning_rate=0.01",
    "texture.hidden=16", "texture.blocks=1", "texture.batch_windows=4",
    "texture.window_frames=8", "texture.steps=6", "texture.evaluate_every_steps=2",
    "prior.hidden=16", "prior.batch_frames=128", "prior.steps=20", "prior.evaluate_every_steps=2",
    "prior.equalisers=1", "prior.speeds=[0.9]",
    "freev.channels=16", "freev.hidden=16", "freev.blocks=1", "freev.batch_segments=2",
    "freev.steps=4", "freev.evaluate_every_steps=2",
    "hifigan.steps=2", "hifigan.warm_up_steps=1", "hifigan.batch_segments=1",
    "hifigan.segment_frames=4", "hifigan.evaluate_every_steps=1",
    "griffinlim.iterations=2", "griffinlim.inversion_updates=3",
    "validate.most_sounds=2", "validate.report_sounds=1", "validate.generated=3",
    "validate.previews=1",
]  # fmt: skip


@dataclass(frozen=True)
class Line:
    """What each step of a build gave."""

    run: Run
    config: BuildConfig
    sounds: Ref
    split: Split
    mels: Ref
    rvqvae: Ref
    codes: Ref
    texture: Ref
    labels: Ref
    prior: Ref
    judgement: Ref
    vocoders: dict[VocoderName, Ref]
    validation: Ref
    package: Ref
    files: Ingested
    made: dict[str, Made]  # by step, in their order

    @property
    def store(self) -> Store:
        return self.run.store


def built(
    folder: Path, store: Path, device: str, seed: int = 0, parent: Path | None = None
) -> Line:
    """Every step in the order of flows.build_model.

    Args:
        parent: a model file to go on from.
    """
    config = configured("tiny", seed, SMALL)
    run = Run(str(store), device)
    known = None if parent is None else unpacked(run.store, parent)
    from_parent = () if known is None else (known,)
    mel = config.mel
    found = ingest_folder(run, folder, config.ingest, as_tasks=False)
    files = sorted((ref for _, ref in found.sounds), key=lambda ref: ref.digest)
    steps: dict[str, Made] = {}

    def kept(step: str, made: Made) -> Ref:
        steps[step] = made
        return made.ref

    sounds = kept("ingest", gather_sounds.direct(run, files, config.ingest))
    split = split_of(run, sounds, config.split, known)
    mels = kept("mels", analyse_mels.direct(run, sounds, mel))
    inputs = (sounds, mels)
    trained = train_rvqvae.direct(
        run, *inputs, mel, config.rvqvae, config.augment, split, seed, *from_parent
    )
    rvqvae = kept("rvqvae", trained)
    encoded = encode_codes.direct(
        run,
        *inputs,
        rvqvae,
        mel,
        config.rvqvae,
        config.prior.speeds,
        config.prior.equalisers,
        config.augment,
        split,
        seed,
    )
    codes = kept("codes", encoded)
    grain = (config.texture, config.augment)
    drawn = train_texture.direct(
        run, *inputs, rvqvae, mel, config.rvqvae, *grain, split, seed, *from_parent
    )
    texture = kept("texture", drawn)
    labels = labels_of(run, sounds, found.sounds)
    learnt = train_prior.direct(run, codes, rvqvae, labels, config.prior, seed, *from_parent)
    prior = kept("prior", learnt)
    trained_so_far = (rvqvae, texture, codes, prior)
    judged = judge.direct(run, *inputs, *trained_so_far, split, read_by_judge(config))
    judgement = kept("judge", judged)
    shared = (*inputs, rvqvae, mel, config.rvqvae)
    freev = train_freev.direct(run, *shared, config.freev, split, seed, *from_parent)
    hifigan = train_hifigan.direct(run, *shared, config.hifigan, split, seed, *from_parent)
    vocoders: dict[VocoderName, Ref] = {
        "freev": kept("freev", freev),
        "hifigan": kept("hifigan", hifigan),
    }
    asked = (len(files), split, read_by_validation(config, vocoders))
    measured = validate.direct(run, *inputs, rvqvae, texture, prior, judgement, vocoders, *asked)
    checked = kept("validate", measured)
    remembered: tuple[Ref, ...] = ()
    if known is not None:
        beside = (split, read_by_memory(config))
        compared = compare_with_parent.direct(run, *inputs, rvqvae, prior, known, *beside)
        remembered = (kept("memory", compared),)
    packed = (rvqvae, texture, prior, vocoders, judgement, checked)
    package = kept("package", package_model.direct(run, "kit", *packed, config, *remembered))
    return Line(
        run,
        config,
        sounds,
        split,
        mels,
        rvqvae,
        codes,
        texture,
        labels,
        prior,
        judgement,
        vocoders,
        checked,
        package,
        found,
        steps,
    )


def shelved(line: Line) -> Path:
    """The model in the library, its report beside it: the end of flows.build_model."""
    library = Library(line.store)
    names = {ref.parts["audio"]: source for source, ref in line.files.sounds}
    record = {"validation": line.validation.to_json(), "names": names}
    every = [*line.files.outcomes, line.labels, *(made.ref for made in line.made.values())]
    path = library.add("kit", line.package, record, every)
    write_report(library, "kit")
    return path
