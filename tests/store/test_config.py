from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.errors import ProjectError
from trunkline.store import config


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def load(root: Path, project: str = "", local: str = "", **environ: str) -> config.Config:
    (root / ".dvc/config").write_text(project)
    (root / ".dvc/config.local").write_text(local)
    return config.load(
        str(root), {"XDG_CONFIG_DIRS": str(root / "etc"), "XDG_CONFIG_HOME": str(root / "home"), **environ}
    )


def test_the_cache_is_in_the_working_tree_by_default(root: Path) -> None:
    assert load(root) == config.Config(str(root / ".dvc/cache"), remotes={})


def test_a_later_file_overrides_and_paths_are_relative_to_their_file(root: Path) -> None:
    (root / "etc/dvc").mkdir(parents=True)
    (root / "etc/dvc/config").write_text("[cache]\ndir = one\nshared = group\n[core]\nno_scm = true\n")
    (root / "home/dvc").mkdir(parents=True)
    (root / "home/dvc/config").write_text("[cache]\ndir = two\n")
    found = load(root)
    assert (found.cache_dir, found.shared, found.no_scm) == (str(root / "home/dvc/two"), True, True)
    assert load(root, "[cache]\n    dir = ../three\n").cache_dir == str(root / "three")
    assert load(root, "[cache]\ndir = three\n", "[cache]\ndir = /four\n").cache_dir == "/four"
    other = load(
        root, DVC_GLOBAL_CONFIG_DIR=str(root / "nowhere"), DVC_SYSTEM_CONFIG_DIR=str(root / "etc/dvc")
    )
    assert other.cache_dir == str(root / "etc/dvc/one")


def test_remotes_comments_and_quotes(root: Path) -> None:
    found = load(
        root,
        "# a comment\n[core]\n    remote = store\n['remote \"store\"']\n    url = ../store # here\n"
        "    user = 'a # b'\n['remote \"s3\"']\nurl = s3://bucket/x\n",
    )
    assert found.remote == "store"
    assert found.remotes == {
        "store": {"url": str(root / "store"), "user": "a # b"},
        "s3": {"url": "s3://bucket/x"},
    }


def test_a_cache_by_the_name_of_a_remote(root: Path) -> None:
    assert load(root, "[cache]\nlocal = big\n['remote \"big\"']\nurl = /big\n").cache_dir == "/big"


def test_a_cache_that_is_not_on_this_machine_is_refused(root: Path) -> None:
    with pytest.raises(ProjectError, match="not a local directory"):
        load(root, "[cache]\ndir = s3://bucket\n")


def test_a_broken_line_is_shown(root: Path) -> None:
    with pytest.raises(ProjectError, match="line without `=`: oops") as caught:
        load(root, "[core]\noops\n")
    assert caught.value.where.endswith(".dvc/config:2:1")
