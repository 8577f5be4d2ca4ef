from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.store import links
from trunkline.store.links import Linker, copy


def refuse(code: int) -> links.Method:
    def method(source: str, target: str) -> None:
        calls.append(code)
        raise OSError(code, os.strerror(code), source, None, target)

    calls: list[int] = []
    method.calls = calls  # type: ignore[attr-defined]
    return method


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    path.chmod(0o444)
    return str(path)


def test_what_is_refused_once_is_not_tried_again(source: str, tmp_path: Path) -> None:
    method = refuse(errno.EOPNOTSUPP)
    linker = Linker((method, os.link, copy))
    for name in ("a", "b"):
        linker(source, str(tmp_path / name))
    assert method.calls == [errno.EOPNOTSUPP]  # type: ignore[attr-defined]
    assert os.stat(source).st_nlink == 3


def test_at_the_limit_of_links_this_file_is_copied(source: str, tmp_path: Path) -> None:
    method = refuse(errno.EMLINK)
    linker = Linker((method, copy))
    for name in ("a", "b"):
        linker(source, str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == b"content"
        assert os.access(tmp_path / name, os.W_OK)
    assert len(method.calls) == 2  # type: ignore[attr-defined]


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
def test_across_file_systems_files_are_copied(source: str) -> None:
    target = Path("/dev/shm", f"trunkline-test-{os.getpid()}")
    try:
        Linker(links.TO_WORKSPACE)(source, str(target))
        assert target.read_bytes() == b"content"
        assert os.stat(source).st_nlink == 1
    finally:
        target.unlink(missing_ok=True)


def test_empty_files_are_never_linked(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    Linker(links.TO_WORKSPACE)(str(tmp_path / "empty"), str(tmp_path / "other"), empty=True)
    assert (tmp_path / "empty").stat().st_nlink == 1
    assert (tmp_path / "other").stat().st_size == 0


def test_other_errors_are_not_swallowed(source: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Linker(links.TO_WORKSPACE)(source + "x", str(tmp_path / "a"))
    (tmp_path / "there").touch()
    with pytest.raises(FileExistsError):
        Linker(links.TO_WORKSPACE)(source, str(tmp_path / "there"))
    with pytest.raises(OSError, match="space"):
        Linker((refuse(errno.ENOSPC), copy))(source, str(tmp_path / "a"))


def test_a_copy_into_the_cache_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    links.copy_object(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").stat().st_mode & 0o222 == 0


def test_a_reflink_is_a_copy_or_is_refused(source: str, tmp_path: Path) -> None:
    target = tmp_path / "target"
    try:
        links.reflink(source, str(target))
    except OSError:
        assert not target.exists()
    else:
        assert target.read_bytes() == b"content"
        assert os.stat(source).st_nlink == 1


def test_a_file_that_another_process_replaces_by_an_equal_one_is_there(source: str, tmp_path: Path) -> None:
    """Linux refuses to link the one that has just gone: two runs may put the same object into the cache."""
    code = "import os, sys\nwhile True:\n    open(sys.argv[1] + '.new', 'wb').write(b'content')\n    "
    code += "os.rename(sys.argv[1] + '.new', sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", code, source]) as other:
        try:
            before = os.stat(source).st_ino
            while os.stat(source).st_ino == before:
                pass
            linker = Linker((os.link, copy))
            for number in range(2000):
                linker(source, str(tmp_path / f"{number}"))
        finally:
            other.kill()
    assert len(list(tmp_path.glob("[0-9]*"))) == 2000
