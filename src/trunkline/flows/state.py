"""What the keeper says of itself, and what people want of it: small files in `.trunkline/prefect/`.

    server.json     {"schema": 1, "state": "running", "url": "http://127.0.0.1:43121/api", "ours": true,
                     "pages": "http://127.0.0.1:43121", "port": 43121, "kept": true, "prefect": "3.8.8",
                     "keeper": {"pid": 4242, "started": "257268", "boot": "…"}, "server": {…},
                     "worker": {…}, "worker_ready": true, "error": "", "missed": [], "interrupted": [],
                     "undrained": 0}
    wanted/kept     `trunkline up`: keep it until `trunkline down`
    wanted/worker   a worker, too
    wanted/used     touched by everybody who uses the server: when it was last
    wanted/stop     the keeper that `trunkline down` asks to stop
    wanted/paused   the keeper itself: it paused the work pool before it stopped
    wanted/worked   the keeper itself: when a worker of it was last there
    flows/<id>.json {"pid": 4242, "started": "257268", "boot": "…"}: the process of a flow run

server.json is replaced as a whole, so that it can be read at every moment; a kill leaves one that
names dead processes. States: starting, running, stopping, stopped, failed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any

from trunkline.flows.home import Home
from trunkline.ledger.owner import Owner

SCHEMA = 1
KEPT, WORKER, USED, STOP, PAUSED, WORKED = "kept", "worker", "used", "stop", "paused", "worked"


@dataclass(frozen=True, slots=True)
class State:
    """The contents of server.json."""

    state: str = "stopped"
    url: str = ""
    pages: str = ""
    ours: bool = True
    port: int = 0
    kept: bool = False
    prefect: str = ""
    keeper: Owner | None = None
    server: Owner | None = None
    worker: Owner | None = None
    worker_ready: bool = False
    error: str = ""
    missed: tuple[str, ...] = ()
    interrupted: tuple[str, ...] = ()
    undrained: int = 0

    @property
    def lives(self) -> bool:
        """Whether the keeper that wrote this still lives."""
        return self.keeper is not None and self.keeper.lives()


def read_state(home: Home) -> State:
    """What the last keeper said; an empty state where none did, or nothing that can be read."""
    try:
        with open(home.state, encoding="utf-8") as stream:
            return _from_json(json.load(stream))
    except (OSError, ValueError, TypeError, KeyError):
        return State()


def write_state(home: Home, state: State) -> None:
    """Replace server.json. Raises OSError."""
    data = {"schema": SCHEMA, **asdict(state)}
    for name in ("keeper", "server", "worker"):
        owner = getattr(state, name)
        data[name] = None if owner is None else owner._asdict()
    _replace(home.state, json.dumps(data, indent=1) + "\n")


def _from_json(data: Mapping[str, Any]) -> State:
    if data["schema"] != SCHEMA:
        raise ValueError
    values = {field.name: data[field.name] for field in fields(State) if field.name in data}
    for name in ("keeper", "server", "worker"):
        values[name] = None if values.get(name) is None else Owner(**values[name])
    for name in ("missed", "interrupted"):
        values[name] = tuple(values.get(name, ()))
    return State(**values)


# ---------------------------------------------------------------- wishes


def wish(home: Home, name: str, text: str = "") -> None:
    """Say that people want `name`. Raises OSError."""
    _replace(home.wanted(name), text)


def wished(home: Home, name: str) -> bool:
    """Whether people want `name`."""
    return os.path.exists(home.wanted(name))


def unwish(home: Home, name: str) -> None:
    """Forget that people want `name`."""
    with suppress(OSError):
        os.unlink(home.wanted(name))


def touch(home: Home) -> None:
    """Say that the server is being used; where that cannot be written it may stop sooner."""
    with suppress(OSError):
        wish(home, USED)


def used(home: Home) -> float:
    """When the server was last used, in seconds since the epoch; now where nobody can say."""
    try:
        return os.stat(home.wanted(USED)).st_mtime
    except OSError:
        return time.time()


def note_worked(home: Home) -> None:
    """Say that a worker is there: what is due from now on is not missed."""
    with suppress(OSError):
        wish(home, WORKED)


def worked(home: Home) -> float | None:
    """When a worker was last there, in seconds since the epoch; None where nobody can say."""
    try:
        return os.stat(home.wanted(WORKED)).st_mtime
    except OSError:
        return None


def ask_to_stop(home: Home, keeper: Owner) -> None:
    """Ask this keeper, and none that comes after it, to stop. Raises OSError."""
    wish(home, STOP, json.dumps(keeper._asdict()))


def asked_to_stop(home: Home, keeper: Owner | None) -> bool:
    """Whether this keeper is asked to stop."""
    try:
        with open(home.wanted(STOP), encoding="utf-8") as stream:
            return Owner(**json.load(stream)) == keeper
    except (OSError, ValueError, TypeError):
        return False


# ---------------------------------------------------------------- the processes of flow runs


def marks(home: Home) -> list[str]:
    """The flow runs that have a mark."""
    try:
        names = os.listdir(home.flows)
    except OSError:
        return []
    return [name.removesuffix(".json") for name in names if name.endswith(".json")]


def read_mark(home: Home, flow_run: str) -> tuple[Owner, float] | None:
    """The process of a flow run and when it said so, in seconds since the epoch; None where it did not."""
    try:
        with open(os.path.join(home.flows, f"{flow_run}.json"), encoding="utf-8") as stream:
            return Owner(**json.load(stream)), os.fstat(stream.fileno()).st_mtime
    except (OSError, ValueError, TypeError):
        return None


def mark_flow(root: str, flow_run: str, owner: Owner) -> None:
    """Say that `owner` is the process of this flow run. What a flow process does first."""
    home = Home(root)
    with suppress(OSError):
        home.make()
        _replace(os.path.join(home.flows, f"{flow_run}.json"), json.dumps(owner._asdict()))


def unmark_flow(root: str, flow_run: str) -> None:
    """Forget the process of a flow run that has ended."""
    with suppress(OSError):
        os.unlink(os.path.join(Home(root).flows, f"{flow_run}.json"))


def _replace(path: str, text: str) -> None:
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise
