"""Commands as processes of their own that need not import first what they are made of.

`python -m dvc status` takes half a second, four fifths of which go into imports. So a *template* of each of the
two programs imports the libraries that its commands need, once, and forks a process for each command:

    test                       template                      command
    argv, cwd, environment ->  fork, fork                ->  as `python -m dvc …`, from runpy on
    exit code              <-  waits for the command

A command is as much a process as ever: memory, working directory, environment, umask and descriptors are its
own, it ends by an exit code or a signal, what it starts is started as always, and all modules of trunkline it
imports itself. What differs: its parent is not the test, /proc shows the command line of the template, and the
commands of one template share a hash seed. Who tests that takes `Tree.command`, which forks nothing; so does
every command whose environment has what Python reads before its first line.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

#: What the commands of a program import, sooner or later; not Prefect, which reads its settings as it is imported.
LIBRARIES = {
    "dvc": """
        dvc.cli.parser dvc.daemon dvc.data_cloud dvc.dirs dvc.repo.artifacts dvc.repo.datasets
        dvc.repo.experiments.executor.local dvc.repo.experiments.queue.celery
        dvc.repo.experiments.queue.workspace dvc.repo.experiments.run dvc.repo.index dvc.repo.metrics.diff
        dvc.repo.open_repo dvc.repo.params.diff dvc.repo.plots dvc.repo.reproduce dvc.repo.stage
        dvc.repo.trie dvc.rwlock dvc.ui.table dvc.utils.strictyaml dvc._debug networkx pygit2 ruamel.yaml
    """,
    "trunkline": """
        argparse asyncio concurrent.futures ctypes difflib email.message fcntl http.client importlib.metadata
        inspect multiprocessing pyarrow.compute pyarrow.parquet resource sqlite3 tempfile urllib.request uuid
        yaml zoneinfo
    """,
}
LIBRARIES["flows"] = f"""{LIBRARIES["trunkline"]}
        anyio._backends._asyncio cachetools dateutil.rrule fsspec graphviz griffe h2.connection httpcore httpx
        humanize jinja2 jsonpatch jsonschema opentelemetry.trace pathspec pendulum prometheus_client pydantic
        pydantic_settings rich.console rich.table ruamel.yaml websockets.asyncio.client
    """  # the same program where it talks to a server
_START = ("PYTHON", "LC_", "LANG", "LD_")  # what the environment says to a process before it runs a line
_LARGEST = 1 << 18  # bytes of a request


class Template:
    """A template, from a test's side. It ends with its parent."""

    def __init__(self, program: str, libraries: str, environment: Mapping[str, str]) -> None:
        self._start = _of_start(environment)
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, program, libraries, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=dict(environment),
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.close)

    def close(self) -> None:
        """End it."""
        self._channel.close()
        self._process.wait()

    def takes(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with this environment would have begun as the template did."""
        return _of_start(environment) == self._start

    def run(self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """A command's exit code, or minus the signal that ended it, and what it said."""
        umask = os.umask(0)
        os.umask(umask)
        request = {"argv": [*argv], "cwd": str(cwd), "environment": dict(environment), "umask": umask}
        pipes = [os.pipe() for _ in range(3)]
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], [end for _, end in pipes])
        finally:
            for _, end in pipes:
                os.close(end)
        answer, out, err = _read_all([begin for begin, _ in pipes])
        _, *ended = answer.split() or [b""]
        assert ended, f"the template of {argv} was ended: {err.decode()}"
        return int(ended[0]), _text(out), _text(err)


def template(program: str, environment: Mapping[str, str]) -> Template | None:
    """What a command of a program with this environment is forked from, if it can be."""
    if sys.platform != "linux":  # where a fork is not to be relied on
        return None
    flows = program == "trunkline" and environment.get("TRUNKLINE_ENGINE") == "prefect"
    found = _template(program, "flows" if flows else program)
    return found if found.takes(environment) else None


@cache
def _template(program: str, libraries: str) -> Template:
    return Template(program, libraries, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


def _of_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_START)}


def _text(said: bytes) -> str:
    return said.decode().replace("\r\n", "\n").replace("\r", "\n")  # as subprocess does


def _read_all(descriptors: list[int]) -> list[bytes]:
    """What comes to each until it is closed. The first says whom to kill where nobody waits any longer."""
    read = dict.fromkeys(descriptors, b"")
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        try:
            while selector.get_map():
                for key, _ in selector.select():
                    chunk = os.read(key.fd, 1 << 16)
                    read[key.fd] += chunk
                    if not chunk:
                        selector.unregister(key.fd)
        except BaseException:
            _kill(read[descriptors[0]])
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
    return list(read.values())


def _kill(answer: bytes) -> None:
    pid, *ended = answer.split()
    if not ended:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


# ---------------------------------------------------------------- the template


def _serve(libraries: str, channel: socket.socket) -> list[str]:
    """Fork for each request until there is no more; returns in a command alone, with its arguments."""
    for name in LIBRARIES[libraries].split():
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those ended that wait for commands
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a ctrl-C is for the tests, and for commands
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, _LARGEST, 3)
        if not message:
            os._exit(0)
        if _fork() == 0:
            channel.close()
            return _become(json.loads(message), descriptors, interrupted)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork() -> int:
    with warnings.catch_warnings():  # of the threads of Arrow and OpenBLAS, which know about forks
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become(request: dict[str, object], descriptors: list[int], interrupted: Any) -> list[str]:
    answer, out, err = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = _fork()
    if pid:
        os.close(out)
        os.close(err)
        with suppress(OSError):  # nobody may want to know any longer
            os.write(answer, b"%d " % pid)
            _, status = os.waitpid(pid, 0)
            os.write(answer, b"%d" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    signal.signal(signal.SIGINT, interrupted)
    os.close(answer)
    for descriptor, place in ((out, 1), (err, 2)):
        os.dup2(descriptor, place)
        os.close(descriptor)
    os.umask(int(str(request["umask"])))
    os.chdir(str(request["cwd"]))
    environment, argv = request["environment"], request["argv"]
    assert isinstance(environment, dict)
    assert isinstance(argv, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    return argv


def _end(code: object) -> NoReturn:
    """Exit as Python does, save that what was imported is not taken apart one by one: the memory goes anyway."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if not isinstance(code, int | None):
        print(code, file=sys.stderr)
        code = 1
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    os._exit((code or 0) & 0xFF)


if __name__ == "__main__":
    _, program, libraries, descriptor = sys.argv
    sys.path[0] = "/"
    sys.argv = [program, *_serve(libraries, socket.socket(fileno=int(descriptor)))]
    sys.path[0] = os.getcwd()
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _end(end.code)
    _end(0)
