"""Data and files between DVC's cache and a DVC remote, by content hash: DVC's own object databases do it.

    send(versions)             what these directories and files are, from the cache to the remote
    fetch(versions)            the other way
    fetch_listings(versions)   of directories what they list, not the files
    stored, read, remove       the remote's objects one by one
    put, get, names            small files of ours: <remote>/trunkline/<name>

Import late: DVC takes a second. Whatever of DVC's goes wrong becomes a StoreError that names the remote.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from trunkline.errors import MissingData, ProjectError, StoreError, TrunklineError
from trunkline.points import Point, reached
from trunkline.store.sweep import Stored

FOLDER = "trunkline"


class Transfer:
    """One DVC remote of the project at `root`: `name`, or its default one."""

    def __init__(self, root: str, name: str = "") -> None:
        self._root = root
        self._name = name

    def send(self, versions: Collection[str]) -> int:
        """Bring them to the remote; how many objects that were. Raises MissingData, StoreError."""
        return self._between(self._cache, self._remote, versions) if versions else 0

    def fetch(self, versions: Collection[str]) -> int:
        """Bring them into the cache; how many objects that were. Raises MissingData, StoreError."""
        if not versions:
            return 0
        listings = self.fetch_listings(versions)  # by them DVC knows what else to bring
        return listings + self._between(self._remote, self._cache, versions)

    def fetch_listings(self, versions: Collection[str]) -> int:
        """Bring the listings of directories into the cache, as far as the remote has them; how many."""
        found = 0
        with self._border():
            for oid in sorted(versions):
                if oid.endswith(".dir") and not self._cache.exists(oid) and self._remote.exists(oid):
                    self._cache.add(self._remote.oid_to_path(oid), self._remote.fs, oid)
                    found += 1
        return found

    def stored(self, needed: Collection[str] = ()) -> Iterator[Stored]:
        """The objects of the remote, but for these."""
        with self._border():
            for oid in self._remote.all():
                if oid not in needed:
                    path = self._remote.oid_to_path(oid)
                    info = self._remote.fs.info(path)
                    yield Stored(oid, path, info.get("size") or 0, _changed(info))

    def remove(self, oids: Sequence[str]) -> None:
        """Delete objects of the remote; what is not there is gone already."""
        if not oids:
            return
        with self._border():
            from dvc_data.hashfile.db import get_index

            fs = self._remote.fs
            for path in (self._remote.oid_to_path(oid) for oid in oids):
                if fs.exists(path):
                    fs.remove(path)
                    reached(Point.OBJECT_REMOVED)
            get_index(self._remote).clear()  # else DVC thinks that they are there, and sends them never again

    def read(self, oid: str) -> bytes:
        """An object of the remote."""
        with self._border(), self._remote.fs.open(self._remote.oid_to_path(oid), "rb") as stream:
            data: bytes = stream.read()
        return data

    def has_remote(self) -> bool:
        """Whether there is such a remote. Raises ProjectError where it was named, and there is none."""
        try:
            _ = self._remote
        except ProjectError:
            if self._name:
                raise
            return False
        return True

    # ------------------------------------------------------------ files of ours

    def names(self, folder: str) -> list[str]:
        """The names of what is in a folder of ours."""
        with self._border():
            fs, path = self._remote.fs, self._place(folder)
            return sorted(fs.name(each) for each in fs.find(path)) if fs.exists(path) else []

    def put(self, local: str, name: str) -> None:
        """Upload a file."""
        with self._border():
            fs, path = self._remote.fs, self._place(name)
            fs.makedirs(fs.parent(path), exist_ok=True)
            fs.put_file(local, path)

    def get(self, name: str, local: str) -> None:
        """Download a file."""
        with self._border():
            self._remote.fs.get_file(self._place(name), local)

    def _place(self, name: str) -> str:
        fs, objects = self._remote.fs, self._remote.path  # <remote>/files/md5
        place: str = fs.join(fs.parent(fs.parent(objects)), FOLDER, *name.split("/"))
        return place

    # ------------------------------------------------------------ DVC

    def _between(self, source: Any, target: Any, versions: Collection[str]) -> int:
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.transfer import transfer

        with self._border():
            wanted = {HashInfo("md5", oid) for oid in versions}
            done = transfer(source, target, wanted, jobs=target.fs.jobs, cache_odb=self._cache, shallow=False)
        if done.failed:
            some = ", ".join(sorted(str(each.value) for each in done.failed)[:3])
            raise MissingData(
                f"{len(done.failed)} objects are not where they should be: {some}", where=self._url
            )
        return len(done.transferred)

    @cached_property
    def _repo(self) -> Any:
        os.environ.setdefault("DVC_NO_ANALYTICS", "1")
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)
        with self._border():
            return Repo(self._root)

    @cached_property
    def _cache(self) -> Any:
        return self._repo.cache.local

    @cached_property
    def _remote(self) -> Any:
        from dvc.config import NoRemoteError, RemoteConfigError

        try:
            return self._repo.cloud.get_remote_odb(self._name or None, "push")
        except (NoRemoteError, RemoteConfigError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ProjectError(
                f"there is no DVC remote to use: {reason}",
                where=".dvc/config",
                hint="type `dvc remote add -d NAME URL`",
            ) from error

    @property
    def _url(self) -> str:
        return self._name or "the default DVC remote"

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except TrunklineError:
            raise
        except FileNotFoundError as error:
            raise MissingData(f"{self._url} lacks {error.filename or error}", where=".dvc/config") from error
        except Exception as error:
            reason = str(error).strip() or type(error).__name__
            raise StoreError(
                f"{self._url} cannot be used: {reason}",
                where=".dvc/config",
                hint="`dvc push` says more; credentials belong into `dvc remote modify --local`",
            ) from error


def _changed(info: Mapping[str, Any]) -> float:
    """When an object of a remote was written, as far as its file system tells; else now."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(key)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, datetime):
            return value.timestamp()
    return time.time()
