"""A real browser without a window, driven through its own debugging protocol."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

PATIENCE = 60.0  # seconds for a page to show something
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program() -> str | None:
    """The browser of this machine."""
    found = (shutil.which(name) for name in _NAMES)
    return next((path for path in found if path), None)


class Browser:
    """One page of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    def open(self, url: str) -> None:
        """Go to a page."""
        self._call("Page.navigate", url=url)

    def shows(self, *texts: str) -> str:
        """The text of the page, once it has all of these; fails where it never does."""
        deadline = time.monotonic() + PATIENCE
        text = ""
        while time.monotonic() < deadline:
            text = str(self._value("document.body ? document.body.innerText : ''"))
            if all(each in text for each in texts):
                return text
            time.sleep(0.2)
        raise AssertionError(
            f"the page does not show {[each for each in texts if each not in text]}:\n{text}"
        )

    def click(self, text: str) -> None:
        """Click what has exactly this text."""
        found = f"[...document.querySelectorAll('button, a, li, [role=tab]')].find(e => e.innerText.trim() === {json.dumps(text)})"
        deadline = time.monotonic() + PATIENCE
        while not self._value(f"(e => e ? (e.click(), true) : false)({found})"):
            assert time.monotonic() < deadline, f"there is nothing to click that says {text}"
            time.sleep(0.2)

    def _value(self, expression: str) -> Any:
        return self._call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get(
            "value"
        )

    def _call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._connection.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._connection.recv(timeout=PATIENCE))
            if answer.get("id") == number:
                return answer["result"]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with this directory as its profile; gone afterwards."""
    path = program()
    assert path is not None
    process = subprocess.Popen(
        [
            path, "--headless", "--disable-gpu", "--no-first-run", "--window-size=1400,1600", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else []), "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connect(_page(profile), max_size=None, proxy=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait()


def _page(profile: Path) -> str:
    """The address at which the page listens, once the browser has said its port."""
    import urllib.request

    port = profile / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    while not (port.exists() and port.read_text().strip()):
        assert time.monotonic() < deadline, "the browser does not start"
        time.sleep(0.1)
    number = port.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{number}/json", timeout=PATIENCE) as answer:
        pages = json.load(answer)
    address: str = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
    return address
