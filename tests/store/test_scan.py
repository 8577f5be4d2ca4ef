from __future__ import annotations

import os
from pathlib import Path

import pytest

from trunkline.errors import StoreError
from trunkline.store.scan import scan


def names(path: Path) -> list[str]:
    found = scan(str(path))
    assert found is not None
    return sorted(row[0] for row in found.rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b/c", "b/d/e"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def test_rows_and_signature(folder: Path) -> None:
    found = scan(str(folder))
    assert found is not None
    assert found.directory
    status = (folder / "b/c").stat()
    assert ("b/c", status.st_ino, 3, status.st_mtime_ns) in found.rows
    assert scan(str(folder)) == found


def test_a_single_file_and_nothing(folder: Path) -> None:
    found = scan(str(folder / "a"))
    assert found is not None
    assert (found.rows[0][0], found.directory) == ("", False)
    assert scan(str(folder / "missing")) is None
    assert scan(str(folder / "a/below")) is None


@pytest.mark.parametrize("change", ["content", "touch", "rename", "add", "remove", "replace"])
def test_every_change_changes_the_signature(folder: Path, change: str) -> None:
    before = scan(str(folder))
    path = folder / "b/c"
    match change:
        case "content":
            path.write_text("other")
        case "touch":
            os.utime(path, ns=(0, 1))
        case "rename":
            path.rename(folder / "b/x")
        case "add":
            (folder / "b/new").touch()
        case "remove":
            path.unlink()
        case "replace":
            status = path.stat()
            (folder / "b/new").write_text("B/C")
            (folder / "b/new").replace(path)
            os.utime(path, ns=(0, status.st_mtime_ns))
    after = scan(str(folder))
    assert before is not None
    assert after is not None
    assert before.signature != after.signature


def test_empty_directories_do_not_count(folder: Path) -> None:
    before = scan(str(folder))
    (folder / "empty/inside").mkdir(parents=True)
    assert sorted(scan(str(folder)).rows) == sorted(before.rows)  # type: ignore[union-attr]


def test_what_is_no_data_is_left_out(folder: Path) -> None:
    for name in (".git/x", ".hg/x", ".dvc/x", "nested/.dvc/config", "nested/n", "nested/deep/n", "b/.git"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "link").symlink_to(folder / "a")
    (folder / "linked").symlink_to(folder / "b")
    assert names(folder) == ["a", "b/c", "b/d/e", "link"]


def test_rules_are_asked_for_directories_and_files(folder: Path) -> None:
    found = scan(
        str(folder), lambda: lambda path, directory: (path, directory) in {("b/d", True), ("a", False)}
    )
    assert found is not None
    assert [row[0] for row in found.rows] == ["b/c"]
    single = scan(str(folder / "a"), lambda: lambda *_: True)
    assert single is not None


def test_what_cannot_be_versioned_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "b/pipe")
    with pytest.raises(StoreError, match="neither a file nor a directory") as caught:
        scan(str(folder))
    assert caught.value.where == str(folder / "b/pipe")
    (folder / "b/pipe").unlink()
    (folder / "b/link").symlink_to("nowhere")
    with pytest.raises(StoreError, match="cannot be read") as caught:
        scan(str(folder))
    assert "leads nowhere" in caught.value.hint
    (folder / "b/link").unlink()
    (folder / "b/.dvcignore").touch()
    with pytest.raises(StoreError, match=r"\.dvcignore file stands inside a dataset"):
        scan(str(folder))
