"""Pinned models from the Hugging Face hub: fetched once, checked every time.

Files lie in the hub client's own cache (HF_HOME), where other programs may have put them
already. Once all are there no request is made. HF_ENDPOINT may name a mirror.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils.tqdm import disable_progress_bars

from artifacts.locks import locked
from artifacts.pinned import HubFile, HubModel, by_hand, problem_with
from artifacts.resumable import Progress, bring, bytes_in
from artifacts.store import disk_is_full, flush
from core.errors import HubError

AGENT = f"distill/{version('distill')}"


def fetched(
    model: HubModel, progress: Progress, cache: Path | None = None, endpoint: str | None = None
) -> Path:
    """The folder with all files of the model, every byte as pinned.

    A download that was cut off goes on where it stopped, in this run or the next.

    Args:
        progress: told of every piece of a large file, also while another process brings it.
        cache: the hub client's cache folder; None is its own.
        endpoint: the hub's address; None is the client's own.
    Raises:
        HubError: the files are not here and cannot be had.
    """
    folder = cache or Path(constants.HF_HUB_CACHE)
    with _plain_client(), _named_errors(model, folder, endpoint or constants.ENDPOINT):
        paths = [_file(model, file, progress, folder, endpoint) for file in model.files]
    return paths[0].parent


def _file(
    model: HubModel, file: HubFile, progress: Progress, cache: Path, endpoint: str | None
) -> Path:
    """One file's path in the cache, fetched if it is not there or not as pinned."""
    try:
        path = _in_cache(model, file, cache, endpoint, ask=False)
        if problem_with(path, file) is None:
            return path
        _forget(path, cache)
    except LocalEntryNotFoundError:
        pass
    url = hf_hub_url(model.repo, file.name, revision=model.revision, endpoint=endpoint)
    offered = get_hf_file_metadata(url, token=False, user_agent=AGENT, endpoint=endpoint)
    if file.large:
        if offered.etag != file.sha256 or offered.size not in (None, file.size_bytes):
            raise HubError(
                f"it offers another {file.name} ({offered.size} bytes, sha256 {offered.etag})"
            )
        _bring_large(model, file, url, progress, cache)
    path = _in_cache(model, file, cache, endpoint, ask=True)
    if problem := problem_with(path, file):
        _forget(path, cache)
        raise HubError(f"the {file.name} that came {problem}")
    return path


def _in_cache(model: HubModel, file: HubFile, cache: Path, endpoint: str | None, ask: bool) -> Path:
    """Where the client keeps a file; with `ask` it may bring it.

    Raises:
        LocalEntryNotFoundError: it is not there, and the hub was not asked.
    """
    return Path(
        hf_hub_download(
            model.repo,
            file.name,
            revision=model.revision,
            cache_dir=cache,
            endpoint=endpoint,
            token=False,
            user_agent=AGENT,
            local_files_only=not ask,
        )
    )


def _bring_large(model: HubModel, file: HubFile, url: str, progress: Progress, cache: Path) -> None:
    """Put a large file where the client looks for it: under its sha256, among the blobs."""
    folder = repo_folder_name(repo_id=model.repo, repo_type="model")
    blob = cache / folder / "blobs" / file.sha256
    part = blob.with_name(f"{blob.name}.incomplete")  # clients before 1.18 go on from it too
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock = cache / ".locks" / folder / f"{file.sha256}.distill.lock"
    with locked(lock, lambda: progress(bytes_in(part), file.size_bytes)):
        if blob.exists():
            return
        missing, free = file.size_bytes - bytes_in(part), shutil.disk_usage(blob.parent).free
        if free < missing:
            raise HubError(f"{missing / 1e6:.0f} MB are needed in {cache}, {free / 1e6:.0f} free")
        bring(url, {"User-Agent": AGENT}, part, file.size_bytes, progress)
        if problem := problem_with(part, file):
            part.unlink()
            raise HubError(f"the {file.name} that came {problem}")
        flush(part)
        part.replace(blob)


def _forget(path: Path, cache: Path) -> None:
    """Take a file out of the cache: the link in the snapshot and the blob it points to.

    What a link that someone else made points to outside the cache is theirs, and stays.
    """
    blob = path.resolve()
    path.unlink()
    if blob.is_relative_to(cache.resolve()):
        blob.unlink(missing_ok=True)


@contextmanager
def _plain_client() -> Iterator[None]:
    """The client without telemetry, without its own bar and warnings, over plain HTTP."""
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_DISABLE_XET = True  # its transfers cannot be resumed
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with disable_progress_bars():
        yield


@contextmanager
def _named_errors(model: HubModel, cache: Path, endpoint: str) -> Iterator[None]:
    """Whatever goes wrong inside becomes one HubError that says what to do."""
    try:
        yield
    except (HubError, OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = " ".join(_reason(error, cache, endpoint).split())  # the client's have many lines
        raise HubError(f"{model.repo} cannot be fetched: {reason}; {by_hand(model)}") from error


def _reason(error: Exception, cache: Path, endpoint: str) -> str:
    match error:
        case HubError():
            return str(error)
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set"
        case HfHubHTTPError() if error.response is not None:
            return f"{endpoint} answered {error.response.status_code}"
        case httpx2.HTTPError() | httpx2.InvalidURL():
            return f"{endpoint} cannot be reached ({error})"
        case OSError() if disk_is_full(error):
            return f"the disk of {cache} is full"
        case OSError() if error.strerror:
            return f"{cache} cannot be used ({error.strerror})"
    return f"{endpoint} is no hub ({error})"
