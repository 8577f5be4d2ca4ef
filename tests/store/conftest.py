"""A store over an empty project, and short ways to fill it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.digest import md5_bytes
from trunkline.model import File, ManifestRow
from trunkline.store.store import DvcStore

Contents = Mapping[str, bytes]
Adopt = Callable[[Contents], list[File]]


def write_manifest(
    directory: str, rows: Sequence[ManifestRow], transform: str, packages: Mapping[str, str]
) -> tuple[File, ...]:
    """Stands for the Parquet manifest, which is not this folder's matter."""
    data = f"{transform} {len(rows)}".encode()
    Path(directory, "manifest.txt").write_bytes(data)
    return (File("manifest.txt", md5_bytes(data), len(data)),)


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))


@pytest.fixture
def store(tree: Tree) -> Iterator[DvcStore]:
    store = DvcStore(str(tree.root), write_manifest=write_manifest, patience=0.2)
    yield store
    store.close()


@pytest.fixture
def adopt(store: DvcStore) -> Adopt:
    """Write files into a scratch directory and let the cache adopt them."""

    def adopt(contents: Contents) -> list[File]:
        scratch = store.scratch()
        files = []
        for name, data in contents.items():
            path = os.path.join(scratch, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_bytes(data)
            files.append(File(name, md5_bytes(data), len(data)))
        store.adopt(scratch, files)
        return files

    return adopt
