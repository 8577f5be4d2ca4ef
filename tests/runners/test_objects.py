"""A DVC remote by content; here it is a directory, in test_dask an S3 API."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.digest import md5_bytes
from trunkline.errors import CorruptData, MissingData, ProjectError, StoreError
from trunkline.runners.objects import Remote


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote({"url": str(tmp_path / "remote")})


def filled(remote: Remote, folder: Path, *contents: bytes) -> list[str]:
    """Put these contents; their md5s."""
    files = []
    for content in contents:
        path = folder / md5_bytes(content)
        path.write_bytes(content)
        files.append((str(path), path.name))
    remote.put(files)
    return [md5 for _, md5 in files]


def test_what_is_put_is_there_and_comes_back(remote: Remote, tmp_path: Path) -> None:
    one, two = filled(remote, tmp_path, b"one", b"two")
    assert remote.missing([one, two, "0" * 32]) == {"0" * 32}
    remote.get([(one, str(tmp_path / "x/y/one")), (two, str(tmp_path / "x/two"))])
    assert (tmp_path / "x/y/one").read_bytes() == b"one"
    remote.put([])
    remote.get([])
    assert remote.missing([]) == set()


def test_dvc_reads_what_is_put_and_the_other_way_round(remote: Remote, tree: Tree, tmp_path: Path) -> None:
    (pushed,) = filled(remote, tmp_path, b"1\n")
    tree.dvc("remote", "add", "-d", "store", str(tmp_path / "remote"))
    tree.write("data/ours", "1\n")
    tree.write("data/theirs", "2\n")
    tree.dvc("add", "-q", "data/ours", "data/theirs")
    assert "new:                data/theirs" in (status := tree.dvc("status", "-c").out)
    assert "data/ours" not in status
    tree.dvc("push", "-q")
    assert remote.missing([pushed, md5_bytes(b"2\n")]) == set()


def test_an_object_is_there_at_every_moment_while_others_put_it_again(remote: Remote, tmp_path: Path) -> None:
    (md5,) = filled(remote, tmp_path, b"one" * 1000)
    place = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    stop = threading.Event()
    seen: set[int] = set()

    def look() -> None:
        while not stop.is_set():
            seen.add(len(place.read_bytes()) if place.exists() else -1)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(200):
        remote.add([(str(tmp_path / md5), md5, 3000)])
    stop.set()
    looking.join()
    assert seen == {3000}


def test_what_is_large_is_not_put_again(remote: Remote, tmp_path: Path) -> None:
    (md5,) = filled(remote, tmp_path, b"x" * ((1 << 20) + 1))
    place = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    before = place.stat().st_ino
    remote.add([(str(tmp_path / md5), md5, (1 << 20) + 1)])
    assert place.stat().st_ino == before
    assert place.stat().st_mode & 0o777 == 0o444


def test_an_object_that_is_not_there(remote: Remote, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"the DVC remote .* lacks an object"):
        remote.get([("0" * 32, str(tmp_path / "x"))])


def test_an_object_with_other_content_does_not_come_in(remote: Remote, tmp_path: Path) -> None:
    (md5,) = filled(remote, tmp_path, b"one")
    place = tmp_path / "remote/files/md5" / md5[:2] / md5[2:]
    place.chmod(0o644)
    place.write_bytes(b"two")
    with pytest.raises(CorruptData, match=f"the object {md5} of the DVC remote"):
        remote.get([(md5, str(tmp_path / "x"))])
    assert not (tmp_path / "x").exists()


def test_a_remote_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remote = Remote({"url": str(tmp_path / "file" / "below")})
    with pytest.raises(StoreError, match="cannot be written to: NotADirectoryError"):
        filled(remote, tmp_path, b"one")


def test_credentials_and_paths_of_this_machine_do_not_cross() -> None:
    remote = Remote(
        {
            "url": "ssh://me:secret@host:2222/data",
            "port": "2222",
            "password": "secret",
            "keyfile": "/srv/keys/id",
            "secret_access_key": "secret",
            "credentialpath": "/srv/keys/aws",
            "ssl_verify": "/srv/keys/ca.pem",
            "profile": "mine",
            "endpointurl": "http://host:9000",
            "unheard_of": "secret",
        }
    )
    crosses = {"url": "ssh://me@host:2222/data", "port": "2222", "endpointurl": "http://host:9000"}
    assert remote.portable == crosses
    assert Remote({"url": "s3://data", "ssl_verify": "false"}).portable["ssl_verify"] == "false"


def test_a_projects_remotes() -> None:
    remotes = {"base": {"url": "s3://data", "region": "eu"}, "store": {"url": "remote://base/x", "jobs": "2"}}
    assert Remote.of(remotes, "store").config == {"url": "s3://data/x", "region": "eu", "jobs": "2"}


@pytest.mark.parametrize(
    ("remotes", "name", "said"),
    [
        ({}, "", "`pool: dask` needs a DVC remote: it is what the workers have in common with this machine"),
        ({}, "store", "the DVC remote store cannot be used: config file error: remote 'store' doesn't exist"),
        (
            {"store": {"url": "s3://data", "version_aware": "true"}},
            "store",
            "the DVC remote store keeps files by version, not by content",
        ),
    ],
)
def test_a_project_without_a_remote_that_would_do(
    remotes: dict[str, dict[str, str]], name: str, said: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        Remote.of(remotes, name)
    assert caught.value.message == said
    assert caught.value.where == ".dvc/config"
