"""Ingest: a folder of sound files becomes a sound set in the store.

Each file is decoded once for all time: its result is remembered by the digest of
its bytes. Files not seen before are decoded in batches, one mapped task a batch.
"""

import dataclasses
import hashlib
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from artifacts.audio_decode import ReadError, decode, reading
from artifacts.audio_files import Rejected, SourceFile, printable, scan
from artifacts.parent import Parent
from artifacts.refs import Ref
from artifacts.sound_set import SoundSet, gathered
from artifacts.store import Store, json_bytes, sha256_of
from core.config import IngestConfig, SplitConfig
from core.errors import AudioError
from core.prior import UNKNOWN
from core.split import Split, split_more, split_sounds
from tasks.interrupt import asked_to_stop
from tasks.progress import bar
from tasks.step import Run, step

FEWEST_IN_BATCH = 12
MOST_BATCHES = 100  # Prefect keeps some 100 kB of every task
MOST_LABELS = 64  # the most common; sounds of others have none
VERSION = 1  # raise when the same bytes would decode to other samples


@dataclass(frozen=True)
class Ingested:
    """What became of a folder."""

    sounds: list[tuple[str, Ref]]  # (name, its decoded sound), usable files only
    rejected: list[Rejected]
    decoded_now: int  # files that had not been seen before
    outcomes: list[Ref]  # of usable and rejected files


def file_key(digest: str, config: IngestConfig) -> str:
    """Under which a file's outcome is remembered; the set's peak has no part in it."""
    used = [config.sample_rate, config.shortest_seconds, config.silence_dbfs]
    return hashlib.sha256(json_bytes([VERSION, digest, used])).hexdigest()


def ingest_batch(
    run: Run, batch: Sequence[tuple[str, str]], config: IngestConfig
) -> dict[str, str]:
    """Decode (path, digest) files and remember each outcome.

    Returns:
        digest -> reason of those that could not be read this time; nothing is remembered
        of them, since their bytes are not to blame.
    """
    store, unread = run.store, {}
    for path, digest in batch:
        if asked_to_stop():
            break  # who waits for the batches stops the work
        try:
            found = outcome(store, Path(path), config)
            with reading():
                unchanged = _is_still(Path(path), digest)
        except ReadError as error:
            unread[digest] = f"cannot be read ({error.strerror}); run the build again"
            continue
        if unchanged:
            store.remember("ingest", file_key(digest, config), found)
        else:
            unread[digest] = "was changed while it was read; run the build again"
    return unread


def _is_still(path: Path, digest: str) -> bool:
    """Whether it is the file that was scanned; a pipe in its place would never end."""
    return stat.S_ISREG(path.stat().st_mode) and sha256_of(path) == digest


def outcome(store: Store, path: Path, config: IngestConfig) -> Ref:
    """A decoded sound (its samples are the part `audio`), or the reason why not."""
    try:
        with store.new_file() as target:
            decoded = decode(path, target, config)
            audio = store.put_file(target)
    except AudioError as error:
        return store.put_json("sound", {"rejected": str(error)})
    record = store.put_json("sound", dataclasses.asdict(decoded))
    return Ref("sound", record.digest, {"audio": audio})


def ingest_folder(run: Run, folder: Path, config: IngestConfig, as_tasks: bool) -> Ingested:
    """Scan a folder, decode what is new, and sort the usable from the rejected.

    Args:
        as_tasks: run the batches as mapped Prefect tasks of the flow under way.
    Raises:
        AudioError: the folder cannot be read, or nothing in it is usable.
    """
    sources, rejected = scan(folder)
    store = run.store
    known: dict[str, Ref] = {}
    new: dict[str, SourceFile] = {}
    for source in sources:
        if source.digest in known or source.digest in new:
            continue
        ref = store.recall("ingest", file_key(source.digest, config))
        if ref is None:
            new[source.digest] = source
        else:
            known[source.digest] = ref
    unread = _decode_new(run, list(new.values()), config, as_tasks)
    usable: list[tuple[str, Ref]] = []
    outcomes: list[Ref] = []
    for source in sources:
        if source.digest in unread:
            rejected.append(Rejected(source.name, unread[source.digest]))
            continue
        ref = known.get(source.digest) or store.recall("ingest", file_key(source.digest, config))
        assert ref is not None
        outcomes.append(ref)
        if ref.parts:
            usable.append((source.name, ref))
        else:
            record = store.read_json(ref.digest)
            assert isinstance(record, dict)
            rejected.append(Rejected(source.name, record["rejected"]))
    rejected.sort(key=lambda one: one.file)
    if not usable:
        raise AudioError(none_usable(folder, rejected))
    return Ingested(usable, rejected, len(new), outcomes)


def none_usable(folder: Path, rejected: Sequence[Rejected]) -> str:
    """One line about a folder that gives nothing."""
    where = printable(str(folder))
    if not rejected:
        return f"{where} holds no sound files; give a folder with WAV, FLAC, OGG, MP3 or AIFF files"
    first = rejected[0]
    return (
        f"none of the {len(rejected)} sound files in {where} is usable, the first, {first.file}, "
        f"{first.reason}"
    )


def _decode_new(
    run: Run, new: Sequence[SourceFile], config: IngestConfig, as_tasks: bool
) -> dict[str, str]:
    """Decode in batches; returns what `ingest_batch` does, of all of them."""
    size = max(FEWEST_IN_BATCH, -(-len(new) // MOST_BATCHES))
    batches = [
        [(str(source.path), source.digest) for source in new[first : first + size]]
        for first in range(0, len(new), size)
    ]
    results = _mapped(run, batches, config) if as_tasks else _plain(run, batches, config)
    unread: dict[str, str] = {}
    with bar("ingest", len(new)) as progress:
        done = 0
        for batch, result in zip(batches, results, strict=True):
            unread |= result
            done += len(batch)
            progress.update(done, "files")
    return unread


def _plain(
    run: Run, batches: Sequence[list[tuple[str, str]]], config: IngestConfig
) -> Iterator[dict[str, str]]:
    for batch in batches:
        yield ingest_batch(run, batch, config)


def _mapped(
    run: Run, batches: Sequence[list[tuple[str, str]]], config: IngestConfig
) -> Iterator[dict[str, str]]:
    from prefect import Task
    from prefect.cache_policies import NO_CACHE

    task = Task(ingest_batch, name="ingest-batch", cache_policy=NO_CACHE, persist_result=False)
    for future in [task.submit(run, batch, config) for batch in batches]:
        yield future.result()


@step("ingest", version=2)
def gather_sounds(run: Run, files: list[Ref], ingest: IngestConfig) -> Ref:
    """Join duplicates, choose the one gain."""
    store = run.store
    decoded = []
    for ref in files:
        record = store.read_json(ref.digest)
        assert isinstance(record, dict)
        decoded.append((ref.parts["audio"], int(record["samples"]), float(record["peak"])))
    return gathered(decoded, ingest).store(store)


def labels_of(run: Run, sounds: Ref, named: Sequence[tuple[str, Ref]]) -> Ref:
    """The sounds' labels: the names of the folders, in the one that was given, they lie in.

    Stored as `names` and `of`, one label's number for each sound of the set, -1 for none;
    both empty when there are not two labels.
    """
    folders: dict[str, str] = {}
    for name, ref in sorted(named, key=lambda one: one[0]):
        folder, slash, _ = name.partition("/")
        if slash:
            folders.setdefault(ref.parts["audio"], folder)
    common = sorted(Counter(folders.values()).items(), key=lambda one: (-one[1], one[0]))
    names = sorted(folder for folder, _ in common[:MOST_LABELS]) if len(common) > 1 else []
    number = {name: index for index, name in enumerate(names)}
    order = [one.digest for one in SoundSet.load(run.store, sounds).sounds] if names else []
    of = [number.get(folders.get(digest, ""), UNKNOWN) for digest in order]
    return Ref("labels", run.store.put_json("labels", {"names": names, "of": of}).digest)


def split_of(run: Run, sounds: Ref, config: SplitConfig, parent: Ref | None = None) -> Split:
    """What is held out: trainings depend on this, not on the settings behind it.

    Args:
        parent: the model to go on from, which has heard some of the sounds.
    """
    digests = [one.digest for one in SoundSet.load(run.store, sounds).sounds]
    if parent is None:
        return split_sounds(digests, config)
    return split_more(digests, config, Parent(run.store, parent).heard)
