"""Cache truth: what one change makes again, for every setting and every input.

The tables are written by hand from what each thing means; nothing here asks the line how
it hangs together. Real are ingest, the keys, the memos, the store and
flows.build_model.run_build. What every later step makes is a few bytes that name its key,
so that whoever is handed something new shows it.
"""

import dataclasses
import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
from broken_sounds import tone

from artifacts.library import Library
from artifacts.refs import Kind, Ref
from artifacts.store import Store
from core.config import BuildConfig, SplitConfig
from tasks.encode_codes import encode_codes
from tasks.ingest import Ingested, gather_sounds, ingest_folder
from tasks.judge import judge
from tasks.mels import analyse_mels
from tasks.memory import compare_with_parent
from tasks.package import package_model
from tasks.step import Made, Run, Step
from tasks.train_prior import train_prior
from tasks.train_rvqvae import train_rvqvae
from tasks.train_texture import train_texture
from tasks.train_vocoder import train_freev, train_hifigan
from tasks.validate import validate

Stages = frozenset[str]

# A stage and all that comes of it. "decode" reads the files, "ingest" makes one set of them.
NONE: Stages = frozenset()
PACKAGE: Stages = frozenset({"package"})  # holds every setting, so every setting is in its key
VALIDATED = PACKAGE | {"validate"}
JUDGED = VALIDATED | {"judge"}
PRIOR = JUDGED | {"prior"}
CODES = PRIOR | {"codes"}
TEXTURE = JUDGED | {"texture"}
FREEV = VALIDATED | {"freev"}
HIFIGAN = VALIDATED | {"hifigan"}
RVQVAE = CODES | TEXTURE | FREEV | HIFIGAN | {"rvqvae"}
MELS = RVQVAE | {"mels"}
SPLIT = RVQVAE  # a mel is a whole sound's, whichever side of the split it is on
SOUNDS = MELS | {"ingest"}
PARENT = RVQVAE | {"memory"}  # every training begins with it
FILES = SOUNDS | {"decode"}


def rows(stages: Stages, section: str, names: str) -> dict[str, Stages]:
    """One row for each of a section's settings."""
    return {f"{section}.{name}": stages for name in names.split()}


# Setting -> what must be made again when it changes, and nothing else may be.
SETTINGS: dict[str, Stages] = {
    "preset": PACKAGE,  # a name; what it stands for are the other settings
    "seed": RVQVAE,  # sounds are split by their digests, not by chance
    **rows(MELS, "mel", "mel_type sample_rate fft_samples hop_samples mel_bands"),
    **rows(MELS, "mel", "lowest_hz highest_hz floor"),
    **rows(FILES, "ingest", "sample_rate shortest_seconds silence_dbfs"),
    **rows(SOUNDS, "ingest", "peak"),  # the set's one gain; no file is read for it
    **rows(SPLIT, "split", "held_out_fraction few_files tail_fraction"),
    **rows(RVQVAE, "augment", "equaliser_terms equaliser_nats gain_nats chunk_frames"),
    **rows(RVQVAE, "rvqvae", "stack_frames latent_dim codebook_size most_levels fewest_levels"),
    **rows(RVQVAE, "rvqvae", "augmented_copies kmeans_iterations codebook_passes hidden blocks"),
    **rows(RVQVAE, "rvqvae", "dropout learning_rate batch_windows window_frames decoder_steps"),
    **rows(RVQVAE, "rvqvae", "joint_steps vae_steps vae_dim vae_beta evaluate_every_steps"),
    **rows(TEXTURE, "texture", "hidden blocks learning_rate batch_windows window_frames steps"),
    **rows(TEXTURE, "texture", "evaluate_every_steps sampling_steps"),
    **rows(CODES, "prior", "speeds equalisers"),  # the copies that it learns from
    **rows(PRIOR, "prior", "hidden dropout corruption augmented_share learning_rate"),
    **rows(PRIOR, "prior", "weight_decay batch_frames window_frames steps evaluate_every_steps"),
    **rows(PRIOR, "prior", "told_share late_augmented_share"),
    **rows(VALIDATED, "griffinlim", "iterations momentum inversion_updates"),  # none is judged
    **rows(VALIDATED, "freev", "train"),  # from on to off: one player less
    **rows(FREEV, "freev", "channels hidden blocks learning_rate batch_segments segment_frames"),
    **rows(FREEV, "freev", "stft_weight inversion_updates steps evaluate_every_steps"),
    **rows(VALIDATED, "hifigan", "train"),
    **rows(HIFIGAN, "hifigan", "upsample_rates upsample_kernels channels resblock_kernels"),
    **rows(HIFIGAN, "hifigan", "resblock_dilations mel_bands discriminator_divisor"),
    **rows(HIFIGAN, "hifigan", "discriminator_scales discriminator_periods mel_weight"),
    **rows(HIFIGAN, "hifigan", "stft_weight feature_weight learning_rate last_rate_share"),
    **rows(HIFIGAN, "hifigan", "warm_up_rate_factor"),
    **rows(HIFIGAN, "hifigan", "last_critic_rate_share patience_evaluations batch_segments"),
    **rows(HIFIGAN, "hifigan", "segment_frames warm_up_steps steps evaluate_every_steps"),
    **rows(VALIDATED, "validate", "most_sounds most_seconds report_sounds previews"),
    **rows(JUDGED, "validate", "generated"),
}

# Six sounds are enough here for whole ones to be held out, and few there.
BASE = BuildConfig(split=SplitConfig(few_files=6))
TAILS = BuildConfig(split=SplitConfig(few_files=7))
# Where ingest itself must see a difference; any other value does elsewhere.
VALUES: dict[str, object] = {
    "preset": "high",
    "ingest.sample_rate": 22_050,
    "ingest.shortest_seconds": 0.15,  # leaves out short.wav
    "ingest.silence_dbfs": -20.0,  # leaves out quiet.wav
    "split.held_out_fraction": 0.6,  # four of six sounds, not two
}
# Settings that make no difference to the six sounds of BASE at these values.
NO_DIFFERENCE: dict[str, tuple[object, Stages]] = {
    "ingest.shortest_seconds": (0.06, PACKAGE | {"decode", "ingest"}),  # all are longer
    "split.few_files": (5, PACKAGE),  # they are not few now either
    "split.held_out_fraction": (0.2, PACKAGE),  # two, the least, as before
    "split.tail_fraction": (0.3, PACKAGE),  # whole sounds are held out
}

# Setting -> those who use it themselves, whatever the results they are handed do.
USERS: dict[str, Stages] = {
    "seed": RVQVAE,
    "mel.floor": MELS - {"prior"},
    "ingest.peak": SOUNDS - {"prior"},
    "split.tail_fraction": SPLIT - {"prior"},
    "augment.gain_nats": PACKAGE | {"rvqvae", "codes", "texture"},
    "rvqvae.hidden": RVQVAE - {"prior"},  # whoever loads the nets needs their shape
    "texture.hidden": TEXTURE,
    "texture.sampling_steps": JUDGED,
    "prior.speeds": PACKAGE | {"codes"},
    "prior.equalisers": PACKAGE | {"codes"},
    "prior.hidden": PRIOR,
    "griffinlim.momentum": VALIDATED,
    "freev.hidden": FREEV,
    "hifigan.channels": HIFIGAN,
    "validate.generated": JUDGED,
}

# Step -> those who are handed its result, and run again when it comes out otherwise.
READERS: dict[str, Stages] = {
    "ingest": frozenset(
        {"mels", "rvqvae", "codes", "texture", "judge", "freev", "hifigan", "validate"}
    ),
    "mels": frozenset({"rvqvae", "codes", "texture", "judge", "freev", "hifigan", "validate"}),
    "rvqvae": JUDGED | {"codes", "texture", "prior", "freev", "hifigan"},
    "codes": frozenset({"prior", "judge"}),
    "texture": JUDGED,
    "prior": JUDGED,
    "judge": VALIDATED,
    "freev": VALIDATED,
    "hifigan": VALIDATED,
    "validate": PACKAGE,
    "package": NONE,
}
FAKED: list[tuple[Step, Kind]] = [
    (analyse_mels, "mels"),
    (train_rvqvae, "rvqvae"),
    (encode_codes, "codes"),
    (train_texture, "texture"),
    (train_prior, "prior"),
    (judge, "judgement"),
    (train_freev, "vocoder"),
    (train_hifigan, "vocoder"),
    (validate, "validation"),
    (compare_with_parent, "memory"),
    (package_model, "package"),
]


@dataclass
class Line:
    """The line of one folder and one store."""

    flow: ModuleType
    sounds: Path
    store: Path
    name: str = "kit"
    device: str = "cpu"
    ran: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)  # of the last build
    otherwise: set[str] = field(default_factory=set)  # steps that come out otherwise from now on
    steady: bool = False  # results do not hang on keys
    parent: Path | None = None

    @property
    def library(self) -> Library:
        return Library.at(str(self.store))

    def build(self, config: BuildConfig) -> Stages:
        """What a build makes now, and has not made before; its answer must say the same."""
        self.ran.clear()
        self.keys.clear()
        built = self.flow.run_build(
            self.sounds, self.name, config, self.device, self.library, self.parent
        )
        assert len(self.ran) == len(set(self.ran))
        made = frozenset(self.ran) | ({"decode"} if built.ingested_now else NONE)
        part_of = {"decode": "ingest", "freev": "vocoder", "hifigan": "vocoder"}
        told = {stage for stage, one in built.stages.items() if not one["cached"]}
        assert told == {part_of.get(stage, stage) for stage in made}
        return made

    def lose(self, step: str) -> None:
        """What the step made is gone."""
        store = self.library.store
        ref = store.recall(step, self.keys[step])
        assert ref is not None
        store.path(ref.digest).unlink()

    def result(self, step: str, run: Run, ref: Ref) -> Ref:
        """Note that the step ran; a part more makes its result another one."""
        self.ran.append(step)
        more = {"more": run.store.put_bytes(b"more")} if step in self.otherwise else {}
        return dataclasses.replace(ref, parts={**ref.parts, **more})


@pytest.fixture(scope="module")
def flow_module(prefect_home: Path) -> ModuleType:
    """flows.build_model; Prefect makes its home when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(prefect_home))
        return importlib.import_module("flows.build_model")


@pytest.fixture
def line(flow_module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """Six small sounds, an empty store, and steps that only note that they ran."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    for hz, name in enumerate(["a", "b", "c", "d", "short", "quiet"], 200):
        wave = tone(0.1 if name == "short" else 0.2, 44_100, hz)
        soundfile.write(folder / f"{name}.wav", 0.05 * wave if name == "quiet" else wave, 44_100)
    line = Line(flow_module, folder, tmp_path / "store")
    gather = gather_sounds.body

    def noted(run: Run, *args: Any, **kwargs: Any) -> Ref:
        return line.result("ingest", run, gather(run, *args, **kwargs))

    def faked(name: str, kind: Kind) -> Callable[..., Ref]:
        def body(run: Run, *_args: Any, **_kwargs: Any) -> Ref:
            data = {"step": name, "key": "" if line.steady else run.key}
            return line.result(name, run, run.store.put_json(kind, data))

        return body

    def without_prefect(step: Step, run: Run, *args: Any, **kwargs: Any) -> Made:
        line.keys[step.name] = step.key(*args, **kwargs)
        return step.direct(run, *args, **kwargs)

    def ingest_without_prefect(*args: Any, as_tasks: bool) -> Ingested:
        assert as_tasks
        return ingest_folder(*args, as_tasks=False)

    monkeypatch.setattr(gather_sounds, "body", noted)
    for step, kind in FAKED:
        monkeypatch.setattr(step, "body", faked(step.name, kind))
    monkeypatch.setattr(Step, "__call__", without_prefect)
    monkeypatch.setattr(flow_module, "ingest_folder", ingest_without_prefect)

    def unpacked_without_looking(store: Store, path: Path) -> Ref:
        heard = {"trained": [], "held_out": [], "tail_fraction": 0.0}
        return store.put_json("parent", {"heard": heard, "bytes": path.read_text()})

    monkeypatch.setattr(flow_module, "unpacked", unpacked_without_looking)
    for shown in ("write_report", "show_metrics", "vocoder_speeds"):
        monkeypatch.setattr(flow_module, shown, lambda *_: "")
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power cut is tested here
    return line


# --- settings


def paths(config: Any, before: str = "") -> set[str]:
    """Every setting as SECTION.FIELD."""
    found: set[str] = set()
    for one in dataclasses.fields(config):
        value, path = getattr(config, one.name), f"{before}{one.name}"
        found |= paths(value, f"{path}.") if dataclasses.is_dataclass(value) else {path}
    return found


def other(value: object) -> object:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value + 0.25
        case str():
            return f"{value}, another"
        case tuple():
            return value[:-1]
    raise TypeError(f"no other value for {value!r}")


def changed(config: Any, path: str, value: object = None) -> Any:
    """The config with this one setting changed; without a value, to any other."""
    name, _, rest = path.partition(".")
    old = getattr(config, name)
    new = changed(old, rest, value) if rest else other(old) if value is None else value
    assert new != old
    return dataclasses.replace(config, **{name: new})


def base_of(setting: str) -> BuildConfig:
    """Where the setting makes a difference."""
    return TAILS if setting == "split.tail_fraction" else BASE


def test_every_setting_is_in_the_table_and_every_row_is_a_setting() -> None:
    assert set(SETTINGS) == paths(BuildConfig())
    assert set(VALUES) | set(USERS) | set(NO_DIFFERENCE) <= set(SETTINGS)


def test_a_first_build_makes_everything_and_a_second_nothing(line: Line) -> None:
    assert line.build(BASE) == FILES
    assert set(line.keys) == FILES - {"decode"}
    assert line.build(BASE) == NONE


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_makes_again_what_hangs_on_it(line: Line, setting: str) -> None:
    base = base_of(setting)
    line.build(base)
    before = dict(line.keys)
    assert line.build(changed(base, setting, VALUES.get(setting))) == SETTINGS[setting]
    rekeyed = {step for step, key in line.keys.items() if before[step] != key}
    assert rekeyed == SETTINGS[setting] - {"decode"}


@pytest.mark.parametrize("setting", USERS)
def test_a_setting_reaches_those_who_use_it_themselves(line: Line, setting: str) -> None:
    line.steady = True
    base = base_of(setting)
    line.build(base)
    assert line.build(changed(base, setting, VALUES.get(setting))) >= USERS[setting]


def test_a_result_of_another_key_but_the_same_bytes_goes_no_further(line: Line) -> None:
    line.steady = True
    line.build(BASE)
    # The prior reads codes and codebooks; those are the same, and it has no mel setting.
    assert line.build(changed(BASE, "mel.floor")) == MELS - {"prior"}


@pytest.mark.parametrize("setting", NO_DIFFERENCE)
def test_a_setting_that_leaves_the_set_as_it_is_trains_nothing(line: Line, setting: str) -> None:
    value, again = NO_DIFFERENCE[setting]
    line.build(BASE)
    assert line.build(changed(BASE, setting, value)) == again


def test_a_setting_changed_back_makes_nothing(line: Line) -> None:
    line.build(BASE)
    line.build(changed(BASE, "seed"))
    assert line.build(BASE) == NONE


VOCODERS = pytest.mark.parametrize("vocoder", ["freev", "hifigan"])


@VOCODERS
def test_a_vocoder_switched_on_is_trained_alone(line: Line, vocoder: str) -> None:
    line.build(changed(BASE, f"{vocoder}.train", False))
    assert line.build(BASE) == VALIDATED | {vocoder}


@VOCODERS
def test_settings_of_a_vocoder_that_is_off_change_the_package_alone(
    line: Line, vocoder: str
) -> None:
    off = changed(BASE, f"{vocoder}.train", False)
    line.build(off)
    assert line.build(changed(off, f"{vocoder}.steps")) == PACKAGE


# --- results


@pytest.mark.parametrize("step", READERS)
def test_a_result_made_again_the_same_is_read_by_none(line: Line, step: str) -> None:
    line.build(BASE)
    line.lose(step)
    assert line.build(BASE) == {step}


@pytest.mark.parametrize("step", READERS)
def test_a_result_that_comes_out_otherwise_is_read_by_its_readers(line: Line, step: str) -> None:
    line.steady = True
    line.build(BASE)
    line.lose(step)
    line.otherwise.add(step)
    assert line.build(BASE) == READERS[step] | {step}


# --- inputs


def touched(line: Line) -> None:
    for path in line.sounds.iterdir():
        os.utime(path, (1, 1))


def file_renamed(line: Line) -> None:
    (line.sounds / "a.wav").rename(line.sounds / "z.wav")


def file_in_a_subfolder(line: Line) -> None:
    (line.sounds / "inner").mkdir()
    (line.sounds / "a.wav").rename(line.sounds / "inner" / "a.wav")


def sounds_sorted_into_folders(line: Line) -> None:
    for name, folder in {"a": "kick", "b": "kick", "c": "snare"}.items():
        (line.sounds / folder).mkdir(exist_ok=True)
        (line.sounds / f"{name}.wav").rename(line.sounds / folder / f"{name}.wav")


def folder_renamed(line: Line) -> None:
    line.sounds = line.sounds.rename(line.sounds.with_name("elsewhere"))


def store_moved(line: Line) -> None:
    line.store = line.store.rename(line.store.with_name("moved"))


def another_device(line: Line) -> None:
    line.device = "cuda"


def another_name(line: Line) -> None:
    line.name = "kit2"


def sound_changed(line: Line) -> None:
    wave, rate = soundfile.read(line.sounds / "a.wav", dtype="int16")
    wave[1000] += 1
    soundfile.write(line.sounds / "a.wav", wave, rate)


def same_samples_in_another_format(line: Line) -> None:
    wave, rate = soundfile.read(line.sounds / "a.wav", dtype="int16")
    (line.sounds / "a.wav").unlink()
    soundfile.write(line.sounds / "a.flac", wave, rate)


def sound_added(line: Line) -> None:
    soundfile.write(line.sounds / "e.wav", tone(0.2, 44_100, 900), 44_100)


def sound_removed(line: Line) -> None:
    (line.sounds / "a.wav").unlink()


def sound_copied(line: Line) -> None:
    shutil.copy(line.sounds / "a.wav", line.sounds / "b2.wav")


def silence_added(line: Line) -> None:
    soundfile.write(line.sounds / "silent.wav", np.zeros(9000), 44_100)


INPUTS: dict[Callable[[Line], None], Stages] = {
    touched: NONE,
    file_renamed: NONE,
    file_in_a_subfolder: NONE,  # one folder tells no sounds apart
    sounds_sorted_into_folders: PRIOR,
    folder_renamed: NONE,
    store_moved: NONE,
    another_device: NONE,
    another_name: PACKAGE,
    sound_changed: FILES,
    same_samples_in_another_format: frozenset({"decode"}),
    sound_added: FILES,
    sound_removed: SOUNDS,
    sound_copied: VALIDATED | {"ingest"},  # one file more to tell of, not one sound more
    silence_added: frozenset({"decode"}),  # it is left out
}


@pytest.mark.parametrize("change", INPUTS, ids=lambda change: change.__name__)
def test_an_input_makes_again_what_hangs_on_it(line: Line, change: Callable[[Line], None]) -> None:
    line.build(BASE)
    change(line)
    assert line.build(BASE) == INPUTS[change]
    assert line.build(BASE) == NONE


def test_labels_are_read_by_the_prior_alone(line: Line) -> None:
    line.steady = True
    line.build(BASE)
    sounds_sorted_into_folders(line)
    assert line.build(BASE) == {"prior"}


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda sounds: (sounds / "kick").rename(sounds / "bass drum"), PRIOR),
        (lambda sounds: (sounds / "c.wav").rename(sounds / "kick" / "c.wav"), PRIOR),
        (lambda sounds: (sounds / "kick" / "a.wav").rename(sounds / "kick" / "z.wav"), NONE),
    ],
    ids=["another name", "one sound more", "a sound renamed within"],
)
def test_labels_are_told_again_when_they_change(
    line: Line, change: Callable[[Path], object], again: Stages
) -> None:
    sounds_sorted_into_folders(line)
    (line.sounds / "snare" / "c.wav").rename(line.sounds / "c.wav")
    (line.sounds / "d.wav").rename(line.sounds / "snare" / "d.wav")
    line.build(BASE)
    change(line.sounds)
    assert line.build(BASE) == again


def test_only_the_new_sound_is_decoded(line: Line) -> None:
    line.build(BASE)
    sound_added(line)
    built = line.flow.run_build(line.sounds, line.name, BASE, line.device, line.library)
    assert built.ingested_now == 1


def test_a_renamed_file_has_its_new_name_in_the_record(line: Line) -> None:
    line.build(BASE)
    file_renamed(line)
    line.build(BASE)
    names = sorted(line.library.record("kit")["names"].values())
    assert names == ["b.wav", "c.wav", "d.wav", "quiet.wav", "short.wav", "z.wav"]


def test_a_model_under_two_names_is_two_models(line: Line) -> None:
    line.build(BASE)
    another_name(line)
    line.build(BASE)
    assert line.library.names() == ["kit", "kit2"]


# --- a model to go on from


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Stands for a model file."""
    path = tmp_path / "old.distill"
    path.write_text("old")
    return path


def test_a_parent_makes_every_training_again_and_is_compared_with(line: Line, parent: Path) -> None:
    line.build(BASE)
    line.parent = parent
    assert line.build(BASE) == PARENT
    assert line.build(BASE) == NONE


def test_without_a_parent_no_key_knows_of_any(line: Line, parent: Path) -> None:
    line.build(BASE)
    before = dict(line.keys)
    line.parent = parent
    line.build(BASE)
    line.parent = None
    assert line.build(BASE) == NONE
    assert line.keys == before


def test_another_parent_makes_every_training_again_and_a_moved_one_nothing(
    line: Line, parent: Path
) -> None:
    line.parent = parent
    line.build(BASE)
    line.parent = parent.rename(parent.with_name("moved.distill"))
    assert line.build(BASE) == NONE
    line.parent.write_text("another")
    assert line.build(BASE) == PARENT


def test_what_is_remembered_is_read_by_the_package_alone(line: Line, parent: Path) -> None:
    line.steady, line.parent = True, parent
    line.build(BASE)
    line.lose("memory")
    line.otherwise.add("memory")
    assert line.build(BASE) == {"memory", "package"}
