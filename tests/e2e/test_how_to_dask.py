"""The page about Dask does what it says: every command of it, typed in its order."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runners.machines import needs_dask, until
from tests.support import Tree

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/dask.md"


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language ("": what commands print)."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


class Shell:
    """Somebody who types: the working directory and exported variables stay from line to line."""

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / "work").mkdir()
        (home / "state").write_text("cd work\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = Tree(home / "x").environment(
            PREFECT_HOME=str(home / "prefect"),
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120",
            DO_NOT_TRACK="1",
        )

    def real(self, text: str) -> str:
        """A text of the page with the address that the scheduler has here."""
        return text.replace("tcp://scheduler:8786", self.address)

    def type(self, line: str) -> str:
        """What it prints."""
        line = self.real(line).replace(
            "--port 8786", f"--host 127.0.0.1 --port {self.address.rpartition(':')[2]}"
        )
        if line.startswith("dask "):
            self._start(shlex.split(line))
            return ""
        keep = '{ export -p; echo "cd \\"$PWD\\""; } > "$HOME/state"'
        done = subprocess.run(
            ["sh", "-ec", f'. "$HOME/state"; {line}\n{keep}'],
            cwd=self._home,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _start(self, command: list[str]) -> None:
        """In another window, on another machine as it were."""
        here = self._home / f"window-{len(self.started)}"
        here.mkdir()
        environment = {**self.environment, "HOME": str(here)}
        with open(here / "said", "wb") as said:
            self.started.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command, "--no-dashboard"],
                    cwd=here,
                    env=environment,
                    stdout=said,
                    stderr=said,
                    start_new_session=True,
                )
            )
        if "scheduler" in command:
            until(lambda: self.address in (here / "said").read_text(), "the scheduler listens")

    def close(self) -> None:
        for process in reversed(self.started):
            os.killpg(process.pid, 9)
            process.wait()


@pytest.fixture
def shell(prefect_cache: Path, tmp_path: Path) -> Iterator[Shell]:
    needs_dask()
    (migrated,) = (prefect_cache / "trunkline").iterdir()  # which takes an ephemeral server a while
    shutil.copytree(migrated, tmp_path / "prefect")
    made = Shell(tmp_path)
    yield made
    made.close()


@pytest.mark.whole
def test_the_page_does_what_it_says(shell: Shell, tmp_path: Path) -> None:
    install, *lines = "".join(blocks("sh")).splitlines()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert install.startswith('pip install "trunkline[dask]"')
    assert "dask" in extras

    printed = "\n".join(shell.type(line) for line in lines)

    (shown,) = blocks("")
    first, again = (re.findall(r"^  example\.\w+ +\d+ run", part, re.MULTILINE) for part in halves(printed))
    assert [line.split() for line in first] == [line.split() for line in shown.splitlines()]
    assert again == first

    (written,) = blocks("yaml")
    pipeline = tmp_path / "work/machines/pipelines/example.yaml"
    pipeline.write_text(pipeline.read_text().replace("pool: dask\n", shell.real(written)))
    assert shell.type("trunkline check && trunkline plan").count("up to date") == 2

    (flow,) = blocks("python")
    (tmp_path / "nightly.py").write_text(flow)
    pipeline.write_text(pipeline.read_text().replace("drop_duplicates: true", "drop_duplicates: false"))
    printed = shell.type('python "$HOME/nightly.py" 2>&1')
    assert "fetched" in printed
    assert re.search(r"^  example\.tidy +2 run", printed, re.MULTILINE)


def halves(printed: str) -> tuple[str, str]:
    """What the first `trunkline run` printed, and what the second did."""
    starts = [match.start() for match in re.finditer(r"^run \S+$", printed, re.MULTILINE)]
    assert len(starts) == 2
    return printed[: starts[1]], printed[starts[1] :]
