from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from trunkline.errors import StoreError
from trunkline.store import hashing


@pytest.mark.parametrize("size", [0, 1, 4096, hashing.LARGE - 1, hashing.LARGE, 3 * hashing.LARGE + 5])
def test_hash_file(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    status = path.stat()
    expected = ((status.st_ino, size, status.st_mtime_ns), hashlib.md5(data).hexdigest())
    assert hashing.hash_file(str(path)) == expected
    assert hashing.copy_hashed(str(path), str(tmp_path / "copy")) == expected
    assert (tmp_path / "copy").read_bytes() == data


def test_many_files_large_and_small_keep_their_order(tmp_path: Path) -> None:
    sizes = [5, 2 * hashing.LARGE, 0, hashing.LARGE + 1, 7, hashing.LARGE + 2]
    paths = []
    for index, size in enumerate(sizes):
        path = tmp_path / str(index)
        path.write_bytes(bytes([index]) * size)
        paths.append(str(path))
    found = [md5 for _, md5 in hashing.hash_files(paths, sizes)]
    assert found == [hashlib.md5(Path(path).read_bytes()).hexdigest() for path in paths]


def test_a_young_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    (_, _, mtime), _ = hashing.hash_file(str(path))
    assert time.time_ns() - mtime >= hashing.SETTLED


def test_a_time_in_the_future_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    future = time.time_ns() + 10**15
    os.utime(path, ns=(future, future))
    assert hashing.hash_file(str(path))[0][2] == future


def test_a_file_that_is_written_to_all_the_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(8 << 20))
    stop = threading.Event()

    def write() -> None:
        with path.open("r+b") as stream:
            while not stop.is_set():
                stream.seek(0)
                stream.write(os.urandom(8))
                stream.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(StoreError, match="being written to") as caught:
            hashing.hash_file(str(path))
    finally:
        stop.set()
        writer.join()
    assert caught.value.where == str(path)
