"""What a person names is found: now, at a commit, at a run, by content."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Tree
from trunkline.artifacts import Named
from trunkline.errors import TrunklineError, UsageError
from trunkline.project import Project


@pytest.fixture(scope="module")
def past(_letters: object, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Two versions of everything, committed; a third run that nobody committed."""
    from pathlib import Path

    tree = Tree(Path(str(_letters))).copy(tmp_path_factory.mktemp("past") / "project")
    for text in ("one", "two"):
        tree.write("data/letters_raw/a.txt", text)
        tree.trunkline("run")
        tree.commit(text)
        tree.git("tag", text)
    tree.write("data/letters_raw/a.txt", "three")
    tree.trunkline("run")
    return tree


@pytest.fixture
def project(past: Tree) -> Iterator[Project]:
    with Project.find(str(past.root)) as found:
        yield found


def content(past: Tree, named: Named) -> bytes:
    assert not named.md5.endswith(".dir")
    return (past.root / ".dvc/cache/files/md5" / named.md5[:2] / named.md5[2:]).read_bytes()


def test_what_is_there_now(past: Tree, project: Project) -> None:
    source = project.artifacts.find("letters_raw")
    assert (source.dataset, source.inside, source.stage, source.when) == ("data/letters_raw", "", "", "")
    made = project.artifacts.find("letters.upper")
    assert (made.dataset, made.stage) == ("data/letters/upper", "letters.upper")
    assert made.entry == project.store.lock_entry("letters-upper")
    for name in ("letters.upper/a.txt", "letters/upper/a.txt", "data/letters/upper/a.txt"):
        assert content(past, project.artifacts.find(name)) == b"THREE!"
    assert project.artifacts.find("data/letters_raw/").md5 == source.md5


def test_what_a_commit_has(past: Tree, project: Project) -> None:
    assert content(past, project.artifacts.find("letters.upper/a.txt@one")) == b"ONE!"
    assert content(past, project.artifacts.find("letters.upper/a.txt@HEAD")) == b"TWO!"
    assert content(past, project.artifacts.find("letters_raw/a.txt@HEAD~1")) == b"one"


def test_what_a_run_left(past: Tree, project: Project) -> None:
    last, second, first = project.runs.ids()
    for run, text in ((last, b"THREE!"), (second, b"TWO!"), (first, b"ONE!"), ("latest", b"THREE!")):
        assert content(past, project.artifacts.find(f"letters.upper/a.txt@{run}")) == text
    assert content(past, project.artifacts.find(f"letters_raw/a.txt@{first}")) == b"one"
    assert project.artifacts.find(f"letters.upper@{first}").when == first


def test_by_content(past: Tree, project: Project) -> None:
    old = project.artifacts.find("letters.upper@one")
    assert project.artifacts.find(f"letters.upper@{old.oid[:12]}").oid == old.oid
    assert project.artifacts.find(old.oid).dataset == "data/letters/upper"
    file = project.artifacts.find("letters.upper/a.txt@one")
    assert project.artifacts.find(file.md5[:10]).path == "data/letters/upper/a.txt"
    assert project.artifacts.find(f"letters.upper/a.txt@{file.md5[:8]}").md5 == file.md5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("letters.uper", "did you mean letters.upper?"),
        ("letters.upper/aa.txt", "did you mean a.txt?"),
        ("letters.upper@nowhere", "no commit, no run and no version"),
        ("letters.upper@one~9", "no commit, no run and no version"),
        ("letters.upper@aaaaaaaa", "`trunkline versions` lists"),
        ("aaaaaaaaaa", "`trunkline versions` lists"),
        ("nothing", "there are: "),
    ],
)
def test_what_there_is_not(project: Project, name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        project.artifacts.find(name)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_before_there_was_anything(past: Tree, project: Project) -> None:
    with pytest.raises(TrunklineError, match="had no version at"):
        project.artifacts.find("letters.upper@one~1")
