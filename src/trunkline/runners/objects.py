"""Data by content in a DVC remote: what machines have in common that share nothing else.

    <url>/files/md5/ab/cdef…        an object, as `dvc push` leaves it and `dvc pull` finds it

DVC's own file systems and object database do the work, so that every kind of remote which DVC knows will
do. What of a remote's configuration crosses to other machines is listed here: where it is and how it is
spoken to. Credentials, and paths of this machine, are not on the list: the other side has its own.

Whatever comes in is hashed before it gets its name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

from trunkline.digest import md5_file
from trunkline.errors import CorruptData, MissingData, ProjectError, StoreError, TrunklineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CROSSES = {
    "url", "jobs", "checksum_jobs", "verify", "shared", "type", "region", "endpointurl", "use_ssl",
    "ssl_verify", "listobjects", "allow_anonymous_login", "sse", "sse_kms_key_id", "acl", "grant_read",
    "grant_read_acp", "grant_write_acp", "grant_full_control", "cache_regions", "read_timeout",
    "connect_timeout", "connection_timeout", "timeout", "port", "user", "gss_auth", "allow_agent",
    "max_sessions", "projectname", "account_name", "tenant_id", "client_id",
    "exclude_environment_credential", "exclude_visual_studio_code_credential",
    "exclude_shared_token_cache_credential", "exclude_managed_identity_credential", "oss_endpoint",
    "auth", "method", "kerberos", "kerberos_principal", "use_https", "proxy_to", "data_proxy_target",
    "replication", "gdrive_use_service_account", "gdrive_service_account_user_email",
    "gdrive_trash_only", "gdrive_acknowledge_abuse",
}  # fmt: skip
_FEW = 64
_SMALL = 1 << 20  # bytes
_BY_VERSION = ("worktree", "version_aware")


class Remote:
    """One DVC remote. `config` is DVC's, as text or as values."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self.config = dict(config)
        self.url = _without_password(str(config["url"]))

    @classmethod
    def of(cls, remotes: Mapping[str, Mapping[str, str]], name: str) -> Remote:
        """The remote `name` among a project's. Raises ProjectError."""
        if not name:
            raise ProjectError(
                "`pool: dask` needs a DVC remote: it is what the workers have in common with this machine",
                where=".dvc/config",
                hint="type `dvc remote add -d NAME URL`; what is there: "
                + (", ".join(sorted(remotes)) or "none"),
            )
        from dvc.fs import get_fs_config

        try:
            found = cls(get_fs_config({"remote": remotes}, name=name))
        except Exception as error:
            raise ProjectError(
                f"the DVC remote {name} cannot be used: {error}", where=".dvc/config"
            ) from error
        if any(str(found.config.get(key, "")).lower() == "true" for key in _BY_VERSION):
            raise ProjectError(
                f"the DVC remote {name} keeps files by version, not by content",
                where=".dvc/config",
                hint="`pool: dask`, and reading at a version, need a remote without `version_aware` and `worktree`",
            )
        return found

    @property
    def portable(self) -> dict[str, object]:
        """The configuration as it may cross to other machines."""
        kept = {key: value for key, value in self.config.items() if key in _CROSSES}
        if str(kept.get("ssl_verify", "")).startswith(("/", "~")):
            del kept["ssl_verify"]  # a certificate's path on this machine
        return {**kept, "url": self.url}

    def missing(self, md5s: Iterable[str]) -> set[str]:
        """Those among `md5s` that the remote lacks. Raises StoreError."""
        asked = set(md5s)
        if not asked:
            return asked
        with self._border("looked at"):
            # Each by itself where they are few, or where DVC would hash every file; else as DVC thinks best.
            each = len(asked) <= _FEW or self._odb.fs.protocol == "local"
            return asked - set(
                self._odb.list_oids_exists(list(asked)) if each else self._odb.oids_exist(asked)
            )

    def put(self, files: Sequence[tuple[str, str]]) -> None:
        """Upload (path, md5) pairs, also where others are reading or uploading the same. Raises StoreError."""
        if not files:
            return
        from dvc_objects.fs import generic
        from dvc_objects.fs.local import localfs

        fs = self._odb.fs
        unique = {self._odb.oid_to_path(md5): path for path, md5 in files}
        with self._border("written to"):
            for folder in {fs.parent(target) for target in unique}:
                fs.makedirs(folder, exist_ok=True)
            # Not the object database's own `add`: where it tries links, an object that is there goes for a moment.
            generic.copy(localfs, list(unique.values()), fs, list(unique))
            for target in unique:
                self._odb.protect(target)

    def add(self, files: Sequence[tuple[str, str, int]]) -> None:
        """Upload what the remote lacks of these (path, md5, bytes). Raises StoreError.

        Where writing an object once more does no harm, a small one is written without asking.
        """
        from dvc_objects.fs.base import ObjectFileSystem

        harmless = isinstance(self._odb.fs, ObjectFileSystem) or self._odb.fs.protocol == "local"
        asked = {md5 for _, md5, size in files if size > _SMALL or not harmless}
        there = asked - self.missing(asked)
        self.put([(path, md5) for path, md5, _ in files if md5 not in there])

    def get(self, wanted: Sequence[tuple[str, str]]) -> None:
        """Download (md5, path) pairs. Raises MissingData, CorruptData, StoreError."""
        if not wanted:
            return
        from dvc_objects.fs import generic
        from dvc_objects.fs.local import localfs

        for folder in {os.path.dirname(path) for _, path in wanted}:
            os.makedirs(folder, exist_ok=True)
        sources = [self._odb.oid_to_path(md5) for md5, _ in wanted]
        with self._border("read from"):
            generic.copy(self._odb.fs, sources, localfs, [path for _, path in wanted])
        for md5, path in wanted:
            if md5_file(path) != md5.removesuffix(".dir"):
                os.unlink(path)
                raise CorruptData(
                    f"the object {md5} of the DVC remote {self.url} does not have the content of its name",
                    where=self._odb.oid_to_path(md5),
                    hint="remove it there; it is pushed again when it is needed",
                )

    @cached_property
    def _odb(self) -> Any:
        from dvc.fs import get_cloud_fs
        from dvc_data.hashfile import db

        open_db: Any = db.get_odb
        kind, config, path = get_cloud_fs({}, **self.config)
        fs = kind(**config)
        return open_db(fs, fs.join(path, "files", "md5"), hash_name="md5")

    @contextmanager
    def _border(self, done: str) -> Iterator[None]:
        try:
            yield
        except TrunklineError:
            raise
        except Exception as error:
            self._refused(done, error)

    def _refused(self, done: str, error: Exception) -> NoReturn:
        from dvc.fs import RemoteMissingDepsError

        name, reason = type(error).__name__, str(error).strip() or type(error).__name__
        if isinstance(error, FileNotFoundError):
            raise MissingData(f"the DVC remote {self.url} lacks an object: {reason}") from error
        if isinstance(error, RemoteMissingDepsError):
            kind = urlsplit(self.url).scheme
            hint = f'type `pip install "dvc[{kind}]"`, there too where the workers are'
            raise StoreError(
                f"the DVC remote {self.url} cannot be used without dvc-{kind}", hint=hint
            ) from error
        raise StoreError(
            f"the DVC remote {self.url} cannot be {done}: {name}: {reason}",
            hint="each machine has its own credentials for the remote, in its environment",
        ) from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))
