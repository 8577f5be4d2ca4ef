"""The objects of a project wherever they are: in the cache, else brought there from the DVC remote.

An object is trusted as the cache trusts it (a remembered stat, else its content is hashed); one that is
damaged is put aside and fetched again. What comes from the remote is hashed before it gets its name.
"""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from threading import Lock

from trunkline.errors import MissingData
from trunkline.model import File
from trunkline.runners.objects import Remote
from trunkline.store.store import DvcStore


class Objects:
    """The objects of one project. Every method may be called from any thread."""

    def __init__(self, store: DvcStore) -> None:
        self._store = store
        self._lock = Lock()
        self._each: dict[str, Lock] = {}  # by md5: who fetches it

    def at_hand(self, md5: str) -> bool:
        """Whether the cache has an object of that name."""
        return os.path.exists(self._store.object_path(md5))

    def path(self, md5: str, where: str = "") -> str:
        """The absolute path of an object, fetched where it is not here. Raises MissingData, StoreError.

        `where` is what people call it.
        """
        if self._missing(md5):
            with self._lock:
                own = self._each.setdefault(md5, Lock())
            with own:
                if self._missing(md5):
                    self._fetch(md5, where)
        return self._store.object_path(md5)

    def listing(self, oid: str) -> tuple[File, ...]:
        """The files of a `.dir` object, sorted. Raises MissingData, CorruptData, StoreError."""
        self.path(oid)
        return tuple(sorted(self._store.listing(oid)))

    def _missing(self, md5: str) -> bool:
        return bool(self._store.evicted([File("", md5, -1)]))

    def _fetch(self, md5: str, where: str) -> None:
        if not self._store.config.remote:
            raise MissingData(
                f"the object {md5[:8]} is not in the cache, and there is no DVC remote to fetch it from",
                where=where,
                hint="type `dvc remote add -d NAME URL`, or run the stage that makes it again",
            )
        with self._lock:
            remote = self._remote
        folder = self._store.scratch()
        file = os.path.join(folder, "object")
        try:
            remote.get([(md5, file)])
            self._store.adopt(folder, [File("object", md5, os.path.getsize(file))])
        except MissingData as error:
            hint = "`dvc push` sends it there, typed where it is; or run the stage that makes it again"
            raise MissingData(error.message, where=where, hint=hint) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @cached_property
    def _remote(self) -> Remote:
        config = self._store.config
        return Remote.of(config.remotes or {}, config.remote)
