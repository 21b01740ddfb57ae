"""Fetching from a hub on this machine, with the real client, and what may go wrong."""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from failing_writes import FailingWrites
from hub_server import HubServer

from artifacts import hub, resumable
from artifacts.hub import fetched
from core.errors import HubError

CONFIG = b'{"num_mels": 128}\n'
WEIGHTS = np.random.default_rng(0).bytes(400_000)
FILES = {"config.json": CONFIG, "weights.pt": WEIGHTS}
Told = list[tuple[int, int]]


@pytest.fixture(autouse=True, scope="module")
def _plain_network() -> Iterator[None]:
    """No proxy, no impatience, no settings of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("NO_PROXY", "127.0.0.1,localhost")
        settings.setenv("HF_TOKEN", "hf_secret")
        settings.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        settings.setattr(resumable, "WAIT_SECONDS", (0.01, 0.01))
        huggingface_hub.close_session()  # the client reads its proxies when it is made
        yield
        huggingface_hub.close_session()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer(dict(FILES), {"weights.pt"}) as running:
        yield running


class Fetch:
    """Fetches what the server had at first, into one cache."""

    def __init__(self, server: HubServer, cache: Path):
        self.model, self.endpoint, self.cache = server.model(), server.endpoint, cache
        self.told: Told = []

    def __call__(self) -> Path:
        return fetched(self.model, self.tell, self.cache, self.endpoint)

    def tell(self, here: int, in_all: int) -> None:
        self.told.append((here, in_all))


@pytest.fixture
def fetch(server: HubServer, tmp_path: Path) -> Fetch:
    return Fetch(server, tmp_path / "cache")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def left_of_large_files(cache: Path) -> list[int]:
    """Sizes of the weights' blob and of parts of it."""
    return [path.stat().st_size for path in cache.rglob("blobs/*") if path.stat().st_size > 100]


def test_first_fetch_brings_both_files_and_shows_progress(fetch: Fetch) -> None:
    assert contents(fetch()) == FILES
    sizes = [here for here, _ in fetch.told]
    assert sizes == sorted(sizes)
    assert (fetch.told[0], fetch.told[-1]) == ((0, 400_000), (400_000, 400_000))
    assert len(set(sizes)) > 3


def test_second_run_makes_no_request(server: HubServer, fetch: Fetch) -> None:
    first = fetch()
    server.asked.clear()
    assert fetch() == first
    assert server.asked == []


def test_works_without_a_network_once_fetched(server: HubServer, fetch: Fetch) -> None:
    fetch()
    server.stop()
    assert contents(fetch()) == FILES


def test_a_cut_connection_goes_on_where_it_broke_off(server: HubServer, fetch: Fetch) -> None:
    server.cuts = [150_000, 100_000]
    assert contents(fetch()) == FILES
    assert server.from_store() == [0, 150_000, 250_000]


def test_a_reset_connection_goes_on_too(server: HubServer, fetch: Fetch) -> None:
    server.cuts, server.resets = [300_000], True
    assert contents(fetch()) == FILES
    assert len(server.from_store()) == 2  # how much had come through before varies


def test_a_busy_store_is_asked_again(server: HubServer, fetch: Fetch) -> None:
    server.busy = 2
    assert contents(fetch()) == FILES


def test_a_stopped_run_is_gone_on_with_by_the_next(server: HubServer, fetch: Fetch) -> None:
    def stop_half_way(here: int, in_all: int) -> None:
        if here > in_all // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetched(fetch.model, stop_half_way, fetch.cache, fetch.endpoint)
    (held,) = left_of_large_files(fetch.cache)
    assert contents(fetch()) == FILES
    assert server.from_store() == [0, held]
    assert fetch.told[0] == (held, 400_000)


def test_a_run_that_gave_up_is_gone_on_with_by_the_next(server: HubServer, fetch: Fetch) -> None:
    server.cuts = [150_000, 0, 0, 0]
    with pytest.raises(HubError, match="--model-dir"):
        fetch()
    assert contents(fetch()) == FILES
    assert server.from_store() == [0, 150_000, 150_000, 150_000, 150_000]


def test_a_store_without_ranges_is_read_from_the_start(server: HubServer, fetch: Fetch) -> None:
    server.cuts, server.ranges = [150_000], False
    assert contents(fetch()) == FILES


def test_wrong_bytes_are_refused_and_thrown_away(server: HubServer, fetch: Fetch) -> None:
    server.lies = hashlib.sha256(WEIGHTS).hexdigest()
    server.files["weights.pt"] = WEIGHTS[:-1] + b"?"
    with pytest.raises(HubError, match=r"the weights\.pt that came holds other bytes \(its sha256"):
        fetch()
    assert left_of_large_files(fetch.cache) == []
    server.files["weights.pt"] = WEIGHTS
    assert contents(fetch()) == FILES


def test_wrong_bytes_of_a_small_file_are_refused(server: HubServer, fetch: Fetch) -> None:
    server.files["config.json"] = CONFIG.replace(b"128", b"129")
    with pytest.raises(HubError, match=r"the config\.json that came holds other bytes"):
        fetch()
    server.files["config.json"] = CONFIG
    assert contents(fetch()) == FILES


def test_a_hub_that_offers_another_file_is_refused_before_it_is_brought(
    server: HubServer, fetch: Fetch
) -> None:
    server.files["weights.pt"] = WEIGHTS[::-1]
    with pytest.raises(HubError, match=r"it offers another weights\.pt \(400000 bytes, sha256"):
        fetch()
    assert server.from_store() == []


def test_a_file_damaged_in_the_cache_is_fetched_anew(server: HubServer, fetch: Fetch) -> None:
    weights = (fetch() / "weights.pt").resolve()
    weights.write_bytes(WEIGHTS[:-1] + b"?")
    server.asked.clear()
    assert contents(fetch()) == FILES
    assert server.from_store() == [0]


def test_a_file_outside_the_cache_that_a_link_in_it_names_is_left_alone(
    fetch: Fetch, tmp_path: Path
) -> None:
    own = tmp_path / "own.pt"
    own.write_bytes(b"someone's own weights")
    link = fetch() / "weights.pt"
    link.unlink()
    link.symlink_to(own)
    assert contents(fetch()) == FILES
    assert own.read_bytes() == b"someone's own weights"


def test_a_damaged_cache_without_a_network_is_refused(server: HubServer, fetch: Fetch) -> None:
    (fetch() / "weights.pt").resolve().write_bytes(WEIGHTS[:-1] + b"?")
    server.stop()
    with pytest.raises(HubError, match="cannot be reached"):
        fetch()


def test_two_at_once_bring_it_once(server: HubServer, fetch: Fetch) -> None:
    others = [threading.Thread(target=fetch) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert contents(fetch()) == FILES
    assert server.from_store() == [0]


def test_an_unreachable_hub_is_one_line_with_what_to_do(server: HubServer, fetch: Fetch) -> None:
    server.stop()
    with pytest.raises(HubError) as error:
        fetch()
    line = str(error.value)
    assert "\n" not in line
    assert re.fullmatch(
        r"someone/model cannot be fetched: http://127\.0\.0\.1:\d+ cannot be reached \(.*\); "
        r"download config\.json and weights\.pt from "
        r"https://huggingface\.co/someone/model/tree/[0-9a-f]{40} "
        r"into one folder and name it with --model-dir",
        line,
    )


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "http://127.0.0.1:99999"])
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str, fetch: Fetch) -> None:
    fetch.endpoint = endpoint
    with pytest.raises(HubError, match="cannot be fetched"):
        fetch()


def test_offline_mode_of_the_client_is_named(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        fetch()


def test_a_file_that_is_not_there_is_named_by_its_answer(server: HubServer, fetch: Fetch) -> None:
    del server.files["weights.pt"]
    with pytest.raises(HubError, match=r"http://127\.0\.0\.1:\d+ answered 404"):
        fetch()


def test_too_little_room_is_said_before_anything_is_brought(
    server: HubServer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(fetch.cache.parent)
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(HubError, match=r"0 MB are needed in .*cache, 0 free"):
        fetch()
    assert server.from_store() == []


def test_a_disk_that_fills_up_keeps_what_came(server: HubServer, fetch: Fetch) -> None:
    with FailingWrites(fetch.cache) as all_goes_well:
        fetch()
    pieces = [
        number
        for number, one in enumerate(all_goes_well.writes, 1)
        if one.startswith("write ") and one.endswith(".incomplete")
    ]
    shutil.rmtree(fetch.cache)
    full = FailingWrites(fetch.cache, pieces[len(pieces) // 2])
    with full, pytest.raises(HubError, match=r"the disk of .*cache is full; download"):
        fetch()
    assert left_of_large_files(fetch.cache)
    assert contents(fetch()) == FILES


def test_a_cache_that_cannot_be_written_is_named(fetch: Fetch) -> None:
    fetch.cache.write_bytes(b"no folder")
    with pytest.raises(HubError, match=r"cache cannot be used \(Not a directory\)"):
        fetch()


def test_nothing_personal_is_sent(server: HubServer, fetch: Fetch) -> None:
    fetch()
    for asked in server.asked:
        assert "authorization" not in asked.headers
        assert "torch" not in asked.headers["user-agent"]
    assert all(one.path.startswith(("/someone/model/", "/store/")) for one in server.asked)


def test_the_clients_own_bar_stays_off(fetch: Fetch, capfd: pytest.CaptureFixture[str]) -> None:
    fetch()
    assert capfd.readouterr() == ("", "")
