from __future__ import annotations

import os
from pathlib import Path

import pytest

from trunkline.store import files


def test_replace_bytes_keeps_the_mode_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.replace_bytes(str(path), b"one", mode=0o640)
    files.replace_bytes(str(path), b"two", durable=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_replace_bytes_leaves_the_old_content_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "inside").touch()
    with pytest.raises(OSError, match="directory"):
        files.replace_bytes(str(tmp_path / "file"), b"x")
    assert os.listdir(tmp_path) == ["file"]


def test_copy_content_shows_every_block(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "a").write_bytes(data)
    seen: list[bytes] = []
    files.copy_content(str(tmp_path / "a"), str(tmp_path / "b"), seen.append)
    assert (tmp_path / "b").read_bytes() == data == b"".join(seen)
    with pytest.raises(FileExistsError):
        files.copy_content(str(tmp_path / "a"), str(tmp_path / "b"))


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
def test_move_crosses_file_systems(tmp_path: Path) -> None:
    source = Path("/dev/shm", f"trunkline-test-{os.getpid()}")
    source.write_bytes(b"x" * 3_000_000)
    try:
        files.move(str(source), str(tmp_path / "target"))
        assert not source.exists()
    finally:
        source.unlink(missing_ok=True)
    assert (tmp_path / "target").stat().st_size == 3_000_000
    assert os.listdir(tmp_path) == ["target"]


def test_sync_filesystem_returns(tmp_path: Path) -> None:
    files.sync_filesystem(str(tmp_path))
