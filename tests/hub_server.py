"""A hub on this machine that speaks what huggingface_hub asks for, and misbehaves on demand.

As on the real one, a small file is served by the hub itself with the ETag of a git blob; a
large one is a redirect to a store under another address, with the file's sha256 as linked
ETag. The store knows ranges.
"""

import hashlib
import os
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from artifacts.pinned import HubFile, HubModel

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    first_byte: int | None  # that a Range began with
    headers: dict[str, str]  # names in lower case


class HubServer:
    """Serves `files`; attributes may be changed between requests.

    Attributes:
        cuts: after how many bytes each of the next answers of the store breaks off.
        resets: a cut is a reset connection, not a closed one.
        ranges: whether the store knows ranges.
        busy: how many of the next answers of the store are 503.
        lies: what the hub says instead of a large file's sha256.
        asked: every request so far.
    """

    def __init__(self, files: dict[str, bytes], large: set[str]):
        self.files, self.large = files, large
        self.cuts: list[int] = []
        self.resets = False
        self.ranges = True
        self.busy = 0
        self.lies = ""
        self.asked: list[Asked] = []

    def __enter__(self) -> "HubServer":
        hub = self

        class Handler(_Handler):
            server_state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def store(self) -> str:
        return f"http://localhost:{self._server.server_port}"

    def model(self) -> HubModel:
        """What is served now, pinned."""
        return HubModel(
            "someone/model",
            REVISION,
            tuple(
                HubFile(name, len(data), hashlib.sha256(data).hexdigest(), name in self.large)
                for name, data in self.files.items()
            ),
            "--model-dir",
        )

    def from_store(self) -> list[int | None]:
        """The first bytes of the ranges asked of the store so far."""
        return [one.first_byte for one in self.asked if one.path.startswith("/store/")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: HubServer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, wanted = self.server_state, self.headers.get("Range", "")
        first = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.asked.append(Asked(self.command, self.path, first, headers))
        where, _, name = self.path.rpartition("/")
        if where == f"/someone/model/resolve/{REVISION}" and name in hub.files:
            self._resolve(name)
        elif where == "/store" and name in hub.files:
            self._store(hub.files[name], first)
        else:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": REVISION})

    def _resolve(self, name: str) -> None:
        hub, data = self.server_state, self.server_state.files[name]
        if name not in hub.large:
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            self._send(200, {"X-Repo-Commit": REVISION, "ETag": f'"{blob}"'}, data)
            return
        sha256 = hub.lies or hashlib.sha256(data).hexdigest()
        self._send(
            302,
            {
                "X-Repo-Commit": REVISION,
                "X-Linked-Etag": f'"{sha256}"',
                "X-Linked-Size": str(len(data)),
                "Location": f"{hub.store}/store/{name}",
            },
        )

    def _store(self, data: bytes, first: int | None) -> None:
        hub = self.server_state
        if hub.busy:
            hub.busy -= 1
            self._send(503, {})
            return
        if first is None or not hub.ranges:
            self._send(200, {"Accept-Ranges": "bytes"}, data)
            return
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._send(206, {"Content-Range": span}, data[first:])

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cuts = self.server_state.cuts
        if not (self.path.startswith("/store/") and cuts):
            self.wfile.write(body)
            return
        self.wfile.write(body[: cuts.pop(0)])
        self.close_connection = True
        if self.server_state.resets:  # to linger for 0 s: closing sends RST
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(self.connection.detach())
