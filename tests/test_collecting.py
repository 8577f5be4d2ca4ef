"""What `trunkline gc` keeps and what goes; `runs forget`; what a plain `dvc gc` leaves. Real git, DVC, remotes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.collecting import FORGOTTEN, NOTHING, OLD_COMMITS, OLD_RUNS, Policy
from trunkline.errors import LockedError
from trunkline.points import Point
from trunkline.project import Project

NOW = Policy(grace=0.0)
EVERY = Policy(all_commits=True, grace=0.0)


@pytest.fixture(scope="module")
def _lived(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs over `one` (a branch has it), `two` (a record alone), `three` (an older commit too), `four` (main)."""
    place = tmp_path_factory.mktemp("lived")
    tree = Tree(_letters).copy(place / "project")
    tree.command("git", "init", "-q", "-b", "main", "--bare", str(place / "origin.git"))
    tree.git("remote", "add", "origin", "../origin.git")
    tree.dvc("remote", "add", "-q", "-d", "store", "../store")
    for text in ("one", "two", "three", "four"):
        tree.write("data/letters_raw/a.txt", f"{text}, " * len(text) * 7)
        tree.trunkline("run")
        if text != "two":
            tree.commit(text)
        if text == "one":
            tree.git("branch", "first")
    tree.git("push", "-q", "-u", "origin", "main", "first")
    return place


@pytest.fixture
def lived(_lived: Path, tmp_path: Path) -> Tree:
    return Tree(Path(shutil.copytree(_lived, tmp_path / "lived", symlinks=True)) / "project")


def objects(tree: Tree, folder: str = ".dvc/cache/files/md5") -> set[str]:
    """The objects of a cache or a remote."""
    top = tree.root / folder
    return {path.parent.name + path.name for path in top.rglob("*") if path.is_file()}


def ids(tree: Tree) -> list[str]:
    """The runs, newest first."""
    return [row["id"] for row in tree.trunkline("runs", "--json").data]


def reasons(tree: Tree, policy: Policy) -> dict[str, int]:
    """How many objects would go, by reason."""
    with Project.find(str(tree.root)) as project:
        goes = project.collector.plan(policy).goes
    return {reason: sum(why == reason for _, why in goes) for reason in {why for _, why in goes}}


def collect(tree: Tree, policy: Policy = NOW) -> None:
    with Project.find(str(tree.root)) as project, project.collector.alone():
        project.collector.apply(project.collector.plan(policy))


def raw(tree: Tree, text: str) -> bool:
    """Whether the cache has what the source file was when it said so."""
    wanted = (f"{text}, " * len(text) * 7).encode()
    return any(
        (tree.root / ".dvc/cache/files/md5" / oid[:2] / oid[2:]).read_bytes() == wanted
        for oid in objects(tree)
    )


def test_what_is_needed_stays_and_the_reason_of_the_rest_is_told(lived: Tree) -> None:
    assert reasons(lived, NOW) == {OLD_COMMITS: 2}, "of the commit before the first run; every run is kept"
    lived.write(".dvc/cache/files/md5/ab/" + "c" * 30, "of a run that was killed")
    assert reasons(lived, EVERY) == {NOTHING: 1}
    assert reasons(lived, Policy()) == {}, "it is younger than an hour"
    found = reasons(lived, Policy(keep_runs=1, grace=0.0))
    assert found.keys() == {NOTHING, OLD_RUNS, OLD_COMMITS}
    assert reasons(lived, Policy(True, days=1.0, grace=0.0)) == {NOTHING: 1}, "all runs are of today"
    both = reasons(lived, Policy(all_commits=True, keep_runs=1, grace=0.0))
    assert both == {NOTHING: 1, OLD_RUNS: found[OLD_RUNS]}


def test_refs_worktrees_and_records_keep_their_data(lived: Tree) -> None:
    collect(lived, Policy(keep_runs=1, grace=0.0))
    assert [raw(lived, text) for text in ("one", "two", "three", "four")] == [True, False, False, True]
    lived.git("branch", "-D", "-q", "first")
    lived.git("worktree", "add", "-q", "--detach", "../beside", "origin/first")
    lived.git("branch", "-r", "-d", "origin/first")
    collect(lived, Policy(keep_runs=1, grace=0.0))
    assert raw(lived, "one"), "a worktree stands there"
    lived.git("worktree", "remove", "--force", "../beside")
    collect(lived, Policy(keep_runs=1, grace=0.0))
    assert not raw(lived, "one")
    assert lived.trunkline("status").out == "everything is up to date\n"
    assert lived.dvc("status").out == "Data and pipelines are up to date.\n"


def test_gc_shows_first_and_does_on_demand(lived: Tree) -> None:
    before = objects(lived)
    shown = lived.trunkline("gc", "--grace", "0", "--keep-runs", "1")
    assert "nothing is done without --yes" in shown.out
    assert objects(lived) == before
    told = lived.trunkline("gc", "--grace", "0", "--keep-runs", "1", "--json").data
    done = lived.trunkline("gc", "--grace", "0", "--keep-runs", "1", "--yes", "--json").data
    gone = before - objects(lived)
    assert (done["done"], told["done"]) == (True, False)
    assert {**told, "done": True} == done
    assert done["objects"] == len(gone) == sum(row["objects"] for row in done["reasons"]) > 0
    assert done["bytes"] == sum(row["bytes"] for row in done["reasons"]) > 0
    assert done["results"] > 0, "of datums whose outputs went"
    lived.write("data/letters_raw/a.txt", "two, " * 21)
    lived.trunkline("run")
    counts = {stage: ran for stage, (ran, _, _) in lived.counts().items()}
    assert counts["letters.upper"] == 1, "what was collected is made again, and nothing else"


def test_a_forgotten_run_loses_its_data_at_the_next_gc(lived: Tree) -> None:
    lived.trunkline("push")
    two = ids(lived)[2]
    said = lived.trunkline("runs", "forget", two[:-3])
    assert "origin still has 1 record" in said.out
    assert two not in ids(lived)
    assert two not in lived.git("for-each-ref").out
    assert raw(lived, "two"), "the data stay until gc"
    assert reasons(lived, EVERY).keys() == {FORGOTTEN}
    collect(lived)
    assert not raw(lived, "two")
    assert raw(lived, "three")
    lived.trunkline("pull", "--all")
    assert two in ids(lived), "origin had it"
    assert raw(lived, "two"), "and the remote its data"
    lived.trunkline("runs", "forget", two, "--everywhere")
    assert two not in lived.git("ls-remote", "origin").out
    assert lived.trunkline("pull", "--json").data["records"] == 0
    assert "there is no run" in lived.trunkline("runs", "forget", "0000", check=False).err


def test_with_remote_it_keeps_there_what_others_have_recorded(lived: Tree) -> None:
    lived.trunkline("push")
    two, stored = ids(lived)[2], objects(lived, "../store/files/md5")
    lived.trunkline("runs", "forget", two)
    lived.trunkline("gc", "--grace", "0", "--yes", "--remote")
    assert two in ids(lived), "origin has the record"
    assert objects(lived, "../store/files/md5") == stored
    lived.trunkline("runs", "forget", two, "--everywhere")
    lived.trunkline("gc", "--grace", "0", "--yes")
    assert objects(lived, "../store/files/md5") == stored, "never by default"
    done = lived.trunkline("gc", "--grace", "0", "--yes", "--remote", "store", "--json").data
    left = objects(lived, "../store/files/md5")
    assert done["remote"]["objects"] == len(stored - left) > 0
    assert left <= objects(lived), "each of these is needed here"
    shutil.rmtree(lived.root / ".dvc/cache/files")
    assert lived.trunkline("pull", "--all", "--json").data["checkout"] == ""
    assert lived.trunkline("status").out == "everything is up to date\n"


@pytest.mark.parametrize("flags", [("--workspace",), ("--all-branches",), ("--all-commits",)])
def test_a_plain_dvc_gc_breaks_no_promise(lived: Tree, flags: tuple[str, ...]) -> None:
    lived.trunkline("push")
    lived.dvc("gc", "-q", "-f", *flags)
    assert not raw(lived, "two"), f"records are nothing to DVC, also with {flags}: the page says so"
    assert lived.trunkline("status").out == "everything is up to date\n"
    graph = lived.trunkline("lineage", "letters.total", "--json").data
    assert any(node["type"] == "run" for node in graph["nodes"])
    lived.write("data/letters_raw/a.txt", "two, " * 21)
    lived.trunkline("run")
    assert lived.counts()["letters.upper"][:2] == (1, 2), "only what went is made again"
    lived.trunkline("pull", "--all")
    assert raw(lived, "two")
    assert raw(lived, "three")


def test_what_killed_commands_and_old_deployments_left_goes_too(lived: Tree) -> None:
    left = (
        ".trunkline/runs/019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e/log.txt",
        ".trunkline/worktrees/ghost/data/a.txt",
        f".dvc/cache/trunkline/quarantine/{'a' * 32}.1.0",
    )
    for path in (*left, ".trunkline/worktrees/living/data/a.txt", ".trunkline/worktrees/living.json"):
        lived.write(path, "{}")
    collect(lived)
    assert not any((lived.root / path).exists() for path in left)
    assert (lived.root / ".trunkline/worktrees/living/data/a.txt").exists()
    assert not (lived.root / ".trunkline/worktrees/ghost").exists()


def test_what_is_at_work_is_not_disturbed(lived: Tree) -> None:
    with (
        Project.find(str(lived.root)) as project,
        project.store.holding("trunkline exec letters.upper", [], ["data/letters"]),
    ):
        assert "trunkline exec letters.upper" in lived.trunkline("gc", "--yes", check=False).err
    mark = lived.root / ".trunkline/runs/.open" / ids(lived)[0]
    stat = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    mark.write_text(f'{{"pid": {os.getpid()}, "started": "{stat[19]}", "boot": "{boot}"}}')
    with Project.find(str(lived.root)) as project, pytest.raises(LockedError), project.collector.alone():
        pass
    said = lived.trunkline("runs", "forget", mark.name, check=False)
    assert "is under way" in said.err


def test_a_cache_that_others_may_use_is_left_alone(lived: Tree) -> None:
    shutil.move(lived.root / ".dvc/cache", lived.root.parent / "cache")
    lived.dvc("cache", "dir", "-q", "--local", str(lived.root.parent / "cache"))
    refused = lived.trunkline("gc", "--yes", "--grace", "0", "--keep-runs", "1", check=False)
    assert refused.code == 2
    assert "--shared-cache-is-mine" in refused.err
    before = objects(lived, "../cache/files/md5")
    assert "what other projects need of it is not known" in lived.trunkline("gc").out
    lived.trunkline("gc", "--yes", "--grace", "0", "--keep-runs", "1", "--shared-cache-is-mine")
    assert objects(lived, "../cache/files/md5") < before


@pytest.mark.parametrize("crash", [f"{Point.RESULTS_FORGOTTEN}", f"{Point.OBJECT_REMOVED}:14"])
def test_a_kill_in_the_middle_breaks_nothing(lived: Tree, crash: str) -> None:
    asked = ("gc", "--grace", "0", "--keep-runs", "1", "--yes")
    expected = lived.copy(lived.root.parent / "other")
    expected.trunkline(*asked)
    killed = lived.trunkline(*asked, check=False, TRUNKLINE_CRASH=crash)
    assert killed.code == -signal.SIGKILL
    assert objects(lived) > objects(expected)
    with Project.find(str(lived.root)) as project:
        rows = [file.md5 for _, _, _, files in project.ledger.rows() for file in files]
        assert set(rows) <= objects(lived), "no result is without its files"
    assert lived.trunkline("status").out == "everything is up to date\n"
    lived.trunkline(*asked)
    assert objects(lived) == objects(expected)
