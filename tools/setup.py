"""Build the environment that tools/setup.sh found missing or out of date, and say how far it is.

    [1/3] environment  .venv, Python 3.11.7                           4 s
    [2/3] packages     122 of 122 from requirements.lock             55 s
    [3/3] trunkline    this checkout, editable                        2 s

Only the standard library is used: this runs before anything is installed. Every file that pip
fetches must have a hash that the lock names, and nothing is fetched that it does not name: what
must be built is built with the lock's own setuptools and hatchling, all of it by the lock's own pip. Where to fetch from is pip's
configuration alone.

An environment without the file `ready` is in an unknown state and is built from nothing, so a
set-up may be interrupted at any moment. `ready` is written last:

    lock 1364587412 233123          cksum of requirements.lock: differs, all is built anew
    project 2043215519 2870         cksum of pyproject.toml: differs, only phase 3 is repeated
    root /where/the/checkout/is     an environment cannot be moved
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

LOCK = Path("requirements.lock")
LOG = "setup.log"
READY = "ready"
AGAIN = "what was fetched so far is in pip's cache, so type make again once it can be."
CAUSES = (
    (
        "DO NOT MATCH THE HASHES",
        "A package is not the one that requirements.lock names: ask who runs the package index.",
    ),
    ("No space left on device", "The disk is full: the environment takes about 1 GB."),
    (
        r"new connection|name resolution|Max retries|Connection\w*Error|Timeout|ProxyError|SSLError|unreachable",
        f"The package index could not be reached. Look at network, proxy and `pip config list`;\n{AGAIN}",
    ),
    (
        "No matching distribution",
        f"The package index does not have it, or could not be reached: see `pip config list`;\n{AGAIN}",
    ),
)


class SetupError(Exception):
    """A step failed; the message is what the user reads."""


class Phase:
    """One line of progress: rewritten in place on a terminal, a new line every 15 s elsewhere."""

    def __init__(self, number: int, title: str) -> None:
        self.head = f"[{number}/3] {title:<12} "
        self.start = time.monotonic()
        self.terminal = sys.stdout.isatty()
        self.shown = 0.0

    def show(self, text: str) -> None:
        """Say how far the phase is, not more often than the reader needs."""
        now = time.monotonic() - self.start
        if now - self.shown >= (0.5 if self.terminal else 15):
            self.shown = now
            self._print(text, end="" if self.terminal else "\n")

    def done(self, text: str) -> None:
        """Say that the phase is finished."""
        self._print(text, end="\n")

    def _print(self, text: str, end: str) -> None:
        seconds = time.monotonic() - self.start
        print(f"{chr(13) if self.terminal else ''}{self.head}{text:<48}{seconds:5.0f} s", end=end, flush=True)


class Environment:
    """The directory that is being made, the log beside its programs, and the lock it is made under."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock
        self.python = path / "bin" / "python"
        own = importlib.util.find_spec("ensurepip") is not None  # Debian packs it apart from Python
        self.venv = [sys.executable, "-m", "venv", *([] if own else ["--without-pip"]), str(path)]
        if own:
            self.own_pip()
        else:
            self._call([sys.executable, "-m", "pip", "--python", str(self.python)])

    def own_pip(self) -> None:
        """From here on install with the environment's own pip."""
        self._call([str(self.python), "-m", "pip"])

    def _call(self, pip: list[str]) -> None:
        self.pip = [*pip, "--disable-pip-version-check", "--no-input"]

    def create(self, phase: Phase) -> None:
        """An empty environment with pip, whatever was at the path before."""
        ours = any((self.path / name).exists() for name in ("pyvenv.cfg", LOG))
        if self.path.exists() and not ours and any(self.path.iterdir()):
            raise SetupError(f"{self.path} is something else: move it away, then type make again")
        (self.path / READY).unlink(missing_ok=True)  # first: half an environment must not look whole
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True, exist_ok=True)
        self.run(self.venv, phase)

    def install(
        self, arguments: list[str], phase: Phase, progress: Callable[[str], str] | None = None
    ) -> None:
        """`pip install` of these arguments into the environment, without any isolated build."""
        self.run([*self.pip, "install", "--no-build-isolation", *arguments], phase, progress)

    def run(self, command: list[str], phase: Phase, progress: Callable[[str], str] | None = None) -> None:
        """Run a step, its output going to the log. Raises SetupError with the end of that log."""
        log = self.path / LOG
        with log.open("a") as stream:
            stream.write(f"\n$ {' '.join(command)}\n")
            stream.flush()
            begin = stream.tell()
            # The lock goes along, so that a pip that outlives us keeps a second set-up waiting.
            child = subprocess.Popen(command, stdout=stream, stderr=stream, pass_fds=(self.lock,))
            try:
                while child.poll() is None:
                    time.sleep(0.2)
                    phase.show(progress(_tail(log, begin)) if progress else "")
            finally:
                child.terminate()
                child.wait()
        if child.returncode:
            raise SetupError(_advice(_tail(log, begin), log))


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as stream:
        stream.seek(begin)
        return stream.read().decode(errors="replace")


def _advice(output: str, log: Path) -> str:
    lines = [line for line in output.splitlines() if line.strip() and "WARNING" not in line]
    text = "\n".join(f"    {line}" for line in lines[-8:])
    causes = [cause for pattern, cause in CAUSES if re.search(pattern, output)]
    cause = causes[0] if causes else "Type make again once the cause is gone."
    return f"{text}\n{cause}\nAll of it: {log}"


def _pinned(name: str) -> str:
    """The lock's lines about one package: the pin and its hashes."""
    match = re.search(rf"^{re.escape(name)}==.*(?:\n[ ].*)*", LOCK.read_text(), re.MULTILINE)
    if match is None:
        raise SetupError(f"{LOCK} does not pin {name}: type make lock")
    return match.group() + "\n"


def _collected(total: int) -> Callable[[str], str]:
    """What pip is doing, from its output so far."""

    def describe(output: str) -> str:
        names = set(re.findall(r"^(?:Collecting|Processing) (\S+)", output, re.MULTILINE))
        if "Installing collected packages" in output:
            return f"installing {total}"
        return f"{min(len(names), total)} of {total} fetched"

    return describe


def _build(target: Environment) -> None:
    phase = Phase(1, "environment")
    target.create(phase)
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "first.txt"
        first.write_text(_pinned("setuptools") + _pinned("pip"))
        target.install(["--require-hashes", "-r", str(first)], phase)
    target.own_pip()  # an older one does not see that `package==1` pins `package[extra]` too
    phase.done(f"{target.path}, Python {sys.version.split()[0]}")
    phase = Phase(2, "packages")
    total = len(re.findall(r"^[a-z0-9][^\s=]*==", LOCK.read_text(), re.MULTILINE))
    target.install(["--require-hashes", "-r", str(LOCK)], phase, _collected(total))
    phase.done(f"{LOCK}: {total}")


def _link(target: Environment) -> None:
    phase = Phase(3, "trunkline")
    target.install(["--no-deps", "--editable", "."], phase)
    # As pip does for all others: where Python is told not to write bytecode, it would compile us each time.
    target.run([str(target.python), "-m", "compileall", "-q", "src/trunkline"], phase)
    phase.done("this checkout, editable")


def set_up(path: Path, key: str) -> None:
    """Bring the environment at `path` to the state that `key` describes, alone."""
    with LOCK.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("setup: another set-up of this checkout is under way; waiting for it", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        ready = path / READY
        minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
        have = ready.read_text() if ready.exists() and (path / "bin" / minor).exists() else ""
        if have == key:
            return
        target = Environment(path, stream.fileno())
        if _without_project(have) != _without_project(key):
            print(f"Setting up {path} (once; the next make finds it ready)", flush=True)
            _build(target)
        else:
            ready.unlink()
        _link(target)
        ready.write_text(key)


def _without_project(key: str) -> list[str]:
    return [line for line in key.splitlines() if not line.startswith("project ")]


def main() -> int:
    """Run as `python tools/setup.py DIR KEY`, by tools/setup.sh."""
    path, key = Path(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.pop("PYTHONHOME", None)
    try:
        set_up(path, key)
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the next make begins it anew", file=sys.stderr)
        return 130
    except (SetupError, OSError) as error:
        print(f"\nsetup: this step failed:\n{error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
