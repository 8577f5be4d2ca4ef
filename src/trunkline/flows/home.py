"""Where everything of the project's own Prefect lies, and what its processes must be told.

    .trunkline/prefect/
        .gitignore             so that neither git nor DVC looks into any of it
        home/                  PREFECT_HOME of every process that we start
        server/prefect.db      the server's database; `server/migrated` names the Prefect that made it
        server.json            what runs: see `state`
        wanted/                what people asked for: see `state`
        keeper.lock            held by the keeper while it lives
        flows/<flow run>.json  the process of a flow run that has no record yet
        *.log                  what keeper, server and worker printed; an older one is *.log.old

The user's own Prefect home and profiles are never written and, without PREFECT_HOME, never read.
Nothing here imports Prefect.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import NamedTuple
from urllib.parse import urlsplit

FOLDER = ".trunkline/prefect"
LOOPBACK = "127.0.0.1"
POOL = "trunkline"  # the work pool of deployed runs, and its worker
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}


class Home(NamedTuple):
    """The paths below `.trunkline/prefect/` of the project at `root`."""

    root: str

    @property
    def folder(self) -> str:
        """Where all of it lies."""
        return os.path.join(self.root, *PurePath(FOLDER).parts)

    @property
    def prefect(self) -> str:
        """PREFECT_HOME."""
        return os.path.join(self.folder, "home")

    @property
    def database(self) -> str:
        """The directory that the server works in, with its database."""
        return os.path.join(self.folder, "server")

    @property
    def state(self) -> str:
        """What runs."""
        return os.path.join(self.folder, "server.json")

    @property
    def lock(self) -> str:
        """What the keeper holds."""
        return os.path.join(self.folder, "keeper.lock")

    @property
    def flows(self) -> str:
        """The marks of flow runs."""
        return os.path.join(self.folder, "flows")

    def wanted(self, name: str) -> str:
        """The file that says that people want `name`."""
        return os.path.join(self.folder, "wanted", name)

    def log(self, name: str) -> str:
        """What `keeper`, `server` or `worker` printed."""
        return os.path.join(self.folder, f"{name}.log")

    def make(self) -> None:
        """Make the directories. Raises OSError."""
        for path in (self.folder, self.prefect, self.database, self.flows, self.wanted("")):
            os.makedirs(path, exist_ok=True)
        ignore = os.path.join(self.folder, ".gitignore")
        if not os.path.exists(ignore):
            with open(ignore, "w", encoding="ascii") as stream:
                stream.write("*\n")


def foreign(environ: Mapping[str, str] = os.environ) -> str:
    """The API address of the user's own server, "" where the project's is to be used."""
    return environ.get("PREFECT_API_URL", "").rstrip("/")


def environment(root: str, url: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of every process that talks to the server at `url`, beyond those it has."""
    values = {**_QUIET, "PREFECT_API_URL": url, "PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
    if not environ.get("PREFECT_HOME"):
        values["PREFECT_HOME"] = Home(root).prefect
        if environ.get("PREFECT_PROFILE") and environ.get("PREFECT_PROFILE") != "ephemeral":
            values["PREFECT_PROFILE"] = "ephemeral"  # a profile of the user's home is none of ours
    if urlsplit(url).hostname in (LOOPBACK, "localhost"):
        for name in ("NO_PROXY", "no_proxy"):  # a proxy would look for the server on its own machine
            values[name] = ",".join(filter(None, [environ.get(name, ""), LOOPBACK, "localhost"]))
    return values


def server_environment(root: str, url: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """All variables of the project's own server: nothing that the user set for another one."""
    kept = {name: value for name, value in environ.items() if not name.startswith("PREFECT_")}
    origin = url.removesuffix("/api")
    return {
        **kept,
        **environment(root, url, kept),
        # Prefect lets the pages of every site call its API; a browser has no business here but our own.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"{origin},{origin.replace(LOOPBACK, 'localhost')}",
        # Relative, so that no path needs quoting and every project's server has the same address.
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///./prefect.db",
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(urlsplit(url).port),
        "PREFECT_SERVER_UI_API_URL": url,
        "PREFECT_SERVER_UI_ENABLED": "true",
    }


def pages_of(url: str, environ: Mapping[str, str] = os.environ) -> str:
    """The address of the pages of the server whose API is at `url`."""
    if given := environ.get("PREFECT_UI_URL", ""):
        return given.rstrip("/")
    if "api.prefect.cloud/api/accounts/" in url:
        return (
            url.replace("api.prefect.cloud/api/accounts/", "app.prefect.cloud/account/")
            .replace("/workspaces/", "/workspace/")
            .rstrip("/")
        )
    return url.rstrip("/").removesuffix("/api")
