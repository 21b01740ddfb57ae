import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flows.prefect_api import reachable_api


@contextmanager
def answering(respond: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The API address of a server that answers so to every GET."""

    class Handler(http.server.BaseHTTPRequestHandler):
        do_GET = respond  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()


def prefect(request: http.server.BaseHTTPRequestHandler) -> None:
    """What Prefect 3.8.8's server answers at /api/health."""
    found = request.path == "/api/health"
    request.send_response(200 if found else 404)
    request.end_headers()
    request.wfile.write(b"true" if found else b'{"detail":"Not Found"}')


def web_page(request: http.server.BaseHTTPRequestHandler) -> None:
    """Angular's development server, whose port is 4200 too, has a page at every path."""
    request.send_response(200)
    request.end_headers()
    request.wfile.write(b"<!doctype html><title>My app</title>")


def no_http(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def failing(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(500)
    request.end_headers()
    request.wfile.write(b"true")


def test_a_running_prefect_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(prefect) as url:
        for given in (url, f"{url}/"):
            monkeypatch.setenv("PREFECT_API_URL", given)
            assert reachable_api() == given


@pytest.mark.parametrize("other", [web_page, no_http, failing])
def test_another_server_on_the_port_is_not_taken_for_prefect(
    other: Callable[[http.server.BaseHTTPRequestHandler], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(other) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        assert reachable_api() is None


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/api", "http://127.0.0.1:port/api", "nonsense", "http://", "/api"]
)
def test_an_address_where_nothing_answers_is_no_api(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert reachable_api() is None
