"""A headless Chromium, steered over a pipe: no driver to install, no port, no network.

Chromium speaks its DevTools protocol on file descriptors 3 and 4: JSON, each message
ended by a zero byte. Source: https://chromedevtools.github.io/devtools-protocol.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser")
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--mute-audio", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
MOST_SECONDS = 120  # then a browser that hangs is killed, and its test fails
PIPED = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])"""


def program() -> str | None:
    """The first Chromium or Chrome on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """One page, and all that happened in it since it began to open."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self.requests, self.answers = requests, answers
        self.asked = 0
        self.session = ""
        self.events: list[tuple[str, dict[str, Any]]] = []

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers; events on the way are kept."""
        self.asked += 1
        message = {"id": self.asked, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.requests.write(json.dumps(message).encode() + b"\0")
        self.requests.flush()
        while True:
            heard = self._heard()
            if heard.get("id") == self.asked:
                assert "error" not in heard, heard["error"]
                result: dict[str, Any] = heard["result"]
                return result

    def open(self, path: Path) -> None:
        """Load a file and wait until all of it is there."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=path.as_uri())
        while not any(name == "Page.loadEventFired" for name, _ in self.events):
            self._heard()

    def value(self, script: str) -> Any:
        """What a JavaScript expression gives, a promise's value too."""
        found = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def of(self, event: str) -> list[dict[str, Any]]:
        """The details of every event of this name."""
        return [details for name, details in self.events if name == event]

    def _heard(self) -> dict[str, Any]:
        read = bytearray()
        while (byte := self.answers.read(1)) != b"\0":
            assert byte, "the browser has gone"
            read += byte
        message: dict[str, Any] = json.loads(read)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message


@contextlib.contextmanager
def opened(path: Path, profile: Path) -> Iterator[Tab]:
    """A tab with this file; its browser is closed at the end.

    Args:
        profile: an empty folder for what the browser writes.
    """
    chromium = program()
    assert chromium is not None
    requests, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    pipes = [str(requests), str(answers)]
    browser = subprocess.Popen(
        [sys.executable, "-c", PIPED, *pipes, chromium, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(requests, answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(requests)
    os.close(answers)
    watchdog = threading.Timer(MOST_SECONDS, browser.kill)
    watchdog.start()
    with browser, os.fdopen(to_browser, "wb") as sent, os.fdopen(from_browser, "rb") as heard:
        try:
            tab = Tab(sent, heard)
            tab.open(path)
            yield tab
        finally:
            browser.terminate()
            browser.wait()
            watchdog.cancel()
