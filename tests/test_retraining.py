"""A deployed run below Prefect: real git, real DVC; what it begins with, commits, pushes, and leaves alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import ENVIRONMENT, Tree
from trunkline.errors import MissingData, ProjectError, StageFailed, UsageError
from trunkline.retraining import Retrained, Retraining, found_or_made
from trunkline.store.worktree import Worktree

BRANCH = "trunkline/letters"
PAGE = Path(__file__).parents[1] / "docs/how-to/deployed-runs.md"
Deploy = Callable[..., Retrained]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    monkeypatch.setenv("PATH", path)


@pytest.fixture
def home(project: Tree) -> Tree:
    """The project `letters`, committed, not yet run."""
    return project


@pytest.fixture
def remotes(home: Tree, tmp_path: Path) -> Path:
    """Origins for both: a bare repository, and a directory that is the default DVC remote."""
    home.git("init", "-q", "--bare", "-b", "main", str(tmp_path / "origin.git"))
    home.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    home.dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    home.commit("Add remotes")
    home.git("push", "-q", "origin", "main")
    return tmp_path


def deploy(home: Tree, say: Callable[[str], None] = print, **params: dict[str, Any]) -> Retrained:
    """One run of the deployment."""
    place = Worktree(str(home.root), "letters")
    place.track("main")
    return Retraining(place, params, "deployed run of letters", say).run()


def inside(home: Tree) -> Tree:
    return Tree(home.root / ".trunkline/worktrees/letters")


def tip(home: Tree, rev: str = BRANCH) -> str:
    return home.git("rev-parse", rev).out.strip()


def put(home: Tree, name: str, text: str) -> str:
    """More data on main."""
    home.write(f"data/letters_raw/{name}.txt", text)
    home.dvc("add", "-q", "data/letters_raw")
    home.commit(f"Put {name}")
    return tip(home, "main")


def edit(home: Tree, path: str, old: str, new: str) -> str:
    text = home.read(path)
    assert old in text
    home.write(path, text.replace(old, new))
    home.commit(f"Edit {path}")
    return tip(home, "main")


def characters(home: Tree, rev: str = BRANCH) -> int:
    """The metric in the version of the dataset that dvc.lock of a commit names, from the cache alone."""
    lock = home.git("show", f"{rev}:dvc.lock").out
    oid = lock.partition("path: data/letters/total\n")[2].partition("md5: ")[2].split()[0]
    cache = home.root / ".dvc/cache/files/md5"
    listing = json.loads((cache / oid[:2] / oid[2:]).read_text())
    md5 = listing[0]["md5"]
    return int(json.loads((cache / md5[:2] / md5[2:]).read_text())["characters"])


def parents(home: Tree) -> list[str]:
    return home.git("rev-parse", f"{BRANCH}^@").out.split()


def counts(home: Tree) -> dict[str, tuple[int, int, int]]:
    return home.counts("latest")


# ---------------------------------------------------------------- one run, and one with nothing new


def test_results_are_committed_and_the_user_s_tree_stays_as_it_is(home: Tree) -> None:
    first = tip(home, "main")
    home.write("stages/helper.py", "staged = 1\n")
    home.git("add", "stages/helper.py")
    home.write("stages/letters.py", "broken(\n")
    home.write("data/letters_raw/a.txt", "not versioned")
    home.write("notes.txt", "untracked")
    before = home.git("status", "--porcelain=v2").out
    done = deploy(home)
    assert home.git("status", "--porcelain=v2").out == before
    assert home.read("data/letters_raw/a.txt") == "not versioned"
    assert not (home.root / "data/letters/upper").exists()
    assert (done.cached, done.commit) == (False, tip(home))
    assert parents(home) == [first]
    assert home.git("diff", "--name-only", "main", BRANCH).out == "dvc.lock\n"
    assert characters(home) == 17
    message = home.git("log", "-1", "--format=%B", BRANCH).out
    assert message.startswith("letters: results with letters_raw ")
    for line in (f"run: {done.run}", "pipeline: letters", f"tracked: main {first[:8]}"):
        assert f"{line}\n" in message
    assert "metrics: total: characters 17\n" in message
    assert inside(home).dvc("status").out == "Data and pipelines are up to date.\n"
    assert inside(home).git("rev-parse", "HEAD").out.strip() == first


def test_the_run_is_among_those_of_the_user_s_checkout(home: Tree) -> None:
    done = deploy(home)
    record = home.trunkline("show", "latest", "--json").data
    assert record["id"] == done.run
    assert record["git"]["branch"] == "main"
    assert record["git"]["worktree"] == "letters"
    assert record["git"]["commit"] == tip(home, "main")
    assert not record["git"]["dirty"]
    assert "in the worktree of the deployment letters" in home.trunkline("show").out
    assert "3 run" in home.trunkline("logs").out
    assert not (inside(home).root / ".trunkline").exists()
    home.git("merge", "-q", "--ff-only", BRANCH)
    home.dvc("checkout", "-q")
    lineage = home.trunkline("lineage", "data/letters/total/metrics.json").out
    assert done.run in lineage
    assert inside(home).trunkline("runs", "--json").data[0]["id"] == done.run


def test_nothing_new_is_told_and_commits_nothing(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    done = deploy(home)
    assert (done.cached, done.commit, tip(home)) == (True, None, first)
    assert done.message == f"nothing new: every stage is up to date with main {tip(home, 'main')[:8]}"
    shutil.rmtree(inside(home).root)
    assert deploy(home).cached, "a new worktree has what the cache has"
    home.write("notes.txt", "a thought")
    home.commit("Nothing that a stage reads")
    assert deploy(home).cached
    assert tip(home) == first


def test_nothing_new_starts_no_dvc(home: Tree) -> None:
    deploy(home)
    guard = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event == 'subprocess.Popen' and args[1][0] != 'git':\n"
        "        raise SystemExit(f'{event} {args}')\n"
        "sys.addaudithook(hook)\n"
        "from trunkline.retraining import Retraining\n"
        "from trunkline.store.worktree import Worktree\n"
        "assert Retraining(Worktree(sys.argv[1], 'letters'), {}, '').run().cached\n"
        "assert not {'prefect', 'dvc', 'pandas', 'pyarrow'} & set(sys.modules)\n"
    )
    assert home.command(sys.executable, "-c", guard, str(home.root)).code == 0


# ---------------------------------------------------------------- what moved


def test_main_moved_with_new_data_only(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    moved = put(home, "d", "delta")
    done = deploy(home)
    assert counts(home) == {
        "letters.upper": (1, 3, 0),
        "letters.count": (1, 3, 0),
        "letters.total": (1, 0, 0),
    }
    assert parents(home) == [first, moved]
    assert characters(home) == 23
    assert home.git("show", f"{BRANCH}:data/letters_raw.dvc").out == home.read("data/letters_raw.dvc")
    assert done.commit == tip(home)
    assert deploy(home).cached


def test_main_moved_with_other_code_and_stages(home: Tree) -> None:
    deploy(home)
    text = home.read("pipelines/letters.yaml").replace('suffix: "!"', 'suffix: "??"')
    home.write("pipelines/letters.yaml", text.replace("  total:", "  sum:"))
    home.trunkline("compile")
    home.commit("Other stages")
    done = deploy(home)
    assert set(counts(home)) == {"letters.upper", "letters.count", "letters.sum"}
    assert "letters-total" not in home.git("show", f"{BRANCH}:dvc.lock").out, "main has it no longer"
    assert done.commit == tip(home)
    assert deploy(home).cached
    assert inside(home).dvc("status").out == "Data and pipelines are up to date.\n"


def test_what_main_has_not_compiled_is_compiled_and_committed(home: Tree) -> None:
    edit(home, "pipelines/letters.yaml", "  total:", "  sum:")
    deploy(home)
    changed = home.git("diff", "--name-only", "main", BRANCH).out.split()
    assert changed == [
        "data/letters/.gitignore",
        "data/letters/.manifests/.gitignore",
        "dvc.lock",
        "dvc.yaml",
    ]
    assert "letters-sum" in home.git("show", f"{BRANCH}:dvc.yaml").out
    assert deploy(home).cached


def test_a_clock_goes_on_from_the_ticks_on_the_result_branch(home: Tree) -> None:
    clock = "  clock:\n    run: stages.letters:count\n    input: {cron: {name: texts, spec: '@every 1s'}}\n"
    edit(home, "pipelines/letters.yaml", "stages:\n", f"stages:\n{clock}")
    assert deploy(home).commit is not None
    assert "data/letters_texts.dvc" not in home.git("ls-files").out
    first = ticks(home)
    assert len(first) == 1
    Worktree(str(home.root), "letters").remove()  # what is in its workspace must not be needed
    while time.time() < datetime.fromisoformat(first[0]).timestamp() + 1:
        time.sleep(0.05)

    assert deploy(home).commit is not None
    second = ticks(home)
    assert second[0] == first[0]
    assert len(second) > 1, "every missed tick, one by one"


def ticks(home: Tree) -> list[str]:
    """The ticks in the version that the pointer on the result branch names."""
    pointer = home.git("show", f"{BRANCH}:data/letters_texts.dvc").out
    oid = pointer.partition("md5: ")[2].split()[0]
    listing = json.loads((home.root / ".dvc/cache/files/md5" / oid[:2] / oid[2:]).read_text())
    return [row["relpath"] for row in listing]


def test_main_has_merged_the_results(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    home.git("merge", "-q", "--no-ff", "-m", "Merge the results", BRANCH)
    assert deploy(home).cached
    assert tip(home) == first
    moved = put(home, "d", "delta")
    deploy(home)
    assert parents(home) == [moved]
    assert home.git("diff", "--name-only", "main", BRANCH).out == "dvc.lock\n"


def test_main_has_the_results_squashed(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    home.git("merge", "-q", "--squash", BRANCH)
    home.commit("The results")
    assert deploy(home).cached
    assert tip(home) == first


def test_both_have_moved(home: Tree) -> None:
    deploy(home)
    home.git("checkout", "-q", BRANCH)
    home.write("by_hand.txt", "theirs")
    home.commit("By hand")
    home.git("checkout", "-q", "main")
    by_hand = tip(home)
    assert deploy(home).cached, "nothing of it is the pipeline's"
    moved = put(home, "d", "delta")
    deploy(home)
    assert parents(home) == [by_hand, moved]
    assert "by_hand.txt" not in home.git("ls-tree", "-r", "--name-only", BRANCH).out


def test_people_have_run_it_themselves_and_committed_that(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    home.write("data/letters_raw/d.txt", "delta")
    home.trunkline("run")
    home.commit("Run by hand")
    done = deploy(home)
    assert done.cached
    assert characters(home) == 23
    assert parents(home) == [first, tip(home, "main")]
    assert home.git("diff", "main", BRANCH).out == ""


def test_entries_of_other_pipelines_are_main_s(home: Tree) -> None:
    home.write(
        "pipelines/other.yaml",
        "pipeline: other\nstages:\n  again:\n    run: stages.letters:upper\n"
        '    params: {suffix: "."}\n    input: {raw: letters_raw/*}\n',
    )
    home.trunkline("run", "other")
    home.commit("Another pipeline")
    deploy(home)
    home.write("pipelines/other.yaml", home.read("pipelines/other.yaml").replace('"."', '","'))
    home.trunkline("run", "other")
    home.commit("Another result")
    put(home, "d", "delta")
    deploy(home)
    entry = home.read("dvc.lock").partition("other-again:")[2].partition("\n  letters-")[0]
    assert entry in home.git("show", f"{BRANCH}:dvc.lock").out
    assert characters(home) == 23


# ---------------------------------------------------------------- data


def test_data_that_are_not_in_the_cache_are_fetched(home: Tree, remotes: Path) -> None:
    deploy(home)
    shutil.rmtree(home.root / ".dvc/cache/files")
    shutil.rmtree(inside(home).root)
    said: list[str] = []
    assert deploy(home, said.append).cached, "what was pushed is not made again"
    assert len(said) == 1
    assert said[0].startswith("fetching what is not in the cache: data/letters_raw.dvc, letters-upper")


def test_data_that_are_nowhere_are_told(home: Tree) -> None:
    shutil.rmtree(home.root / ".dvc/cache/files")
    with pytest.raises(MissingData, match="neither in the cache nor at the DVC remote") as raised:
        deploy(home)
    assert raised.value.where == "data/letters_raw.dvc"
    assert "dvc push data/letters_raw.dvc" in raised.value.hint


def test_outputs_that_are_nowhere_are_made_again(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    shutil.rmtree(inside(home).root)
    shutil.rmtree(home.root / ".dvc/cache/files")
    home.dvc("commit", "-q", "-f", "data/letters_raw.dvc")  # the source alone is in the cache again
    done = deploy(home)
    assert not done.cached
    assert done.message == f"the results are those that {BRANCH} has already"
    assert (characters(home), tip(home)) == (17, first)


def test_what_a_hand_written_stage_makes_comes_as_locked(home: Tree) -> None:
    home.dvc("stage", "add", "-q", "-n", "words", "-o", "words.txt", "echo one > words.txt")
    home.write(
        "pipelines/letters.yaml",
        home.read("pipelines/letters.yaml")
        + "  words:\n    run: stages.letters:count\n    input: {texts: words.txt}\n",
    )
    home.dvc("repro", "-q", "words")
    home.commit("A stage by hand")
    deploy(home)
    assert inside(home).read("words.txt") == "one\n"
    home.write("dvc.yaml", home.read("dvc.yaml").replace("echo one", "echo three"))
    home.dvc("repro", "-q", "words")
    home.commit("Another word")
    deploy(home)
    assert inside(home).read("words.txt") == "three\n"
    assert json.loads(inside(home).read("data/letters/words/words.json")) == {"characters": 6}


# ---------------------------------------------------------------- parameters for one run


def test_other_parameters_for_one_run(home: Tree) -> None:
    edit(home, "pipelines/letters.yaml", 'params: {suffix: "!"}', 'params: {suffix: "!"}  # how loud')
    deploy(home)
    deploy(home, upper={"suffix": "???"})
    assert "params: {suffix: '???'}  # how loud" in home.git("show", f"{BRANCH}:pipelines/letters.yaml").out
    assert home.git("diff", "--name-only", "main", BRANCH).out.split() == [
        "dvc.lock",
        "pipelines/letters.yaml",
    ]
    assert 'params: upper.suffix = "???"' in home.git("log", "-1", "--format=%B", BRANCH).out
    assert characters(home) == 23
    assert home.trunkline("show", "--json").data["git"]["dirty_files"] == ["pipelines/letters.yaml"]
    assert deploy(home, upper={"suffix": "???"}).cached
    done = deploy(home)
    assert not done.cached, "the next run has the parameters of the file again"
    assert characters(home) == 17
    assert all(run == 0 for run, _, _ in counts(home).values()), "all of it is known"
    assert home.git("diff", "--name-only", "main", BRANCH).out == "dvc.lock\n"


def test_a_parameter_that_is_not_there(home: Tree) -> None:
    with pytest.raises(UsageError, match="no parameter of upper 'sufix'") as raised:
        deploy(home, upper={"sufix": "?"})
    assert raised.value.hint == "did you mean suffix?"
    assert home.git("branch", "--list", BRANCH).out == ""


# ---------------------------------------------------------------- other data for one run


def test_an_earlier_version_of_the_data(home: Tree) -> None:
    first = home.trunkline("versions", "letters_raw", "--json").data[0]
    before = deploy(home)
    put(home, "more", "more of it")
    deploy(home)
    now = characters(home)
    place = Worktree(str(home.root), "letters")
    for wanted in (first["version"][:8], first["commit"][:10]):
        Retraining(place, {}, "back", data={"letters_raw": wanted}).run()
        assert characters(home) < now
        assert home.git("diff", "--name-only", "main", BRANCH).out.split() == [
            "data/letters_raw.dvc",
            "dvc.lock",
        ]
    assert before.commit is not None
    assert home.git("show", f"{BRANCH}:dvc.lock").out == home.git("show", f"{before.commit}:dvc.lock").out
    deploy(home)
    assert characters(home) == now, "the next run has the branch's data again"


def test_data_that_there_is_not(home: Tree) -> None:
    place = Worktree(str(home.root), "letters")
    place.track("main")
    with pytest.raises(UsageError, match="letters_raw has no version 'feed'") as raised:
        Retraining(place, {}, "back", data={"letters_raw": "feed"}).run()
    assert "trunkline versions letters_raw" in raised.value.hint
    with pytest.raises(UsageError, match="no source dataset 'leters'"):
        Retraining(place, {}, "back", data={"leters": "feed"}).run()


# ---------------------------------------------------------------- what goes wrong


def test_a_pipeline_that_is_not_on_the_branch(home: Tree) -> None:
    place = Worktree(str(home.root), "others")
    place.track("main")
    with pytest.raises(UsageError, match="no pipeline or stage 'others'"):
        Retraining(place, {}, "").run()


def test_a_branch_that_is_checked_out_is_refused_before_anything_runs(home: Tree) -> None:
    deploy(home)
    put(home, "d", "delta")
    home.git("checkout", "-q", BRANCH)
    before = home.trunkline("runs", "--json").data
    with pytest.raises(ProjectError, match=f"{BRANCH} is checked out"):
        deploy(home)
    assert home.trunkline("runs", "--json").data == before


def test_a_failed_stage_commits_nothing_and_keeps_what_is_done(home: Tree) -> None:
    deploy(home)
    first = tip(home)
    put(home, "d", "delta")
    edit(home, "stages/letters.py", "import json", "import json\n    raise ValueError('no')")
    with pytest.raises(StageFailed):
        deploy(home)
    assert tip(home) == first
    assert home.trunkline("show", "--json").data["state"] == "failed"
    edit(home, "stages/letters.py", "raise ValueError('no')", "pass")
    deploy(home)
    assert characters(home) == 23


_SLOW = "    import os, time\n    open(os.environ['MARK'], 'w').close()\n    time.sleep(float(os.environ['SLOW']))\n"
_RUN = """
import sys
from trunkline.retraining import Retraining
from trunkline.store.worktree import Worktree

print(Retraining(Worktree(sys.argv[1], "letters"), {}, "").run())
"""


def _start(home: Tree, slow: str) -> subprocess.Popen[str]:
    mark = home.root.parent / "mark"
    mark.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(home.root)],
        env=home.environment(MARK=str(mark), SLOW=slow),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not mark.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def _end(process: subprocess.Popen[str]) -> str:
    """Kill it with all that it started; what it printed."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]


def test_kill_9_in_the_middle_loses_nothing(home: Tree) -> None:
    edit(home, "stages/letters.py", "    import json\n", f"    import json\n{_SLOW}")
    Worktree(str(home.root), "letters").track("main")
    process = _start(home, "600")
    _end(process)
    assert home.git("branch", "--list", BRANCH).out == ""
    second = _start(home, "0")
    try:
        said = second.communicate(timeout=60)[0]
    finally:
        _end(second)
    assert f"committed {tip(home)[:8]} to {BRANCH}" in said
    assert counts(home) == {
        "letters.upper": (0, 3, 0),
        "letters.count": (0, 3, 0),
        "letters.total": (1, 0, 0),
    }
    assert [run["state"] for run in home.trunkline("runs", "--json").data] == ["done", "interrupted"]
    assert inside(home).dvc("status").out == "Data and pipelines are up to date.\n"


def test_two_at_once_train_once(home: Tree) -> None:
    edit(home, "stages/letters.py", "    import json\n", f"    import json\n{_SLOW}")
    Worktree(str(home.root), "letters").track("main")
    first = _start(home, "1")
    second = _start(home, "1")
    try:
        said = [process.communicate(timeout=60)[0] for process in (first, second)]
    finally:
        _end(first), _end(second)
    assert f"waiting for process {first.pid}" in said[1]
    assert "cached=False" in said[0]
    assert "cached=True" in said[1]
    assert home.git("rev-list", "--count", f"main..{BRANCH}").out == "1\n"


# ---------------------------------------------------------------- pushed


def test_data_and_branch_are_pushed(home: Tree, remotes: Path) -> None:
    deploy(home)
    home.git("clone", "-q", "-b", BRANCH, str(remotes / "origin.git"), str(remotes / "clone"))
    clone = Tree(remotes / "clone")
    assert tip(clone, "HEAD") == tip(home)
    clone.dvc("pull", "-q")
    assert json.loads(clone.read("data/letters/total/metrics.json")) == {"characters": 17}
    assert clone.dvc("status").out == "Data and pipelines are up to date.\n"
    assert clone.trunkline("status").out == "everything is up to date\n"


def test_what_could_not_be_pushed_is_pushed_by_the_next_run(home: Tree, remotes: Path) -> None:
    (remotes / "origin.git").rename(remotes / "elsewhere.git")
    done = deploy(home)
    assert done.commit == tip(home)
    assert "origin did not take" in done.unpushed
    assert "the next run will try again" in done.message
    (remotes / "elsewhere.git").rename(remotes / "origin.git")
    again = deploy(home)
    assert (again.cached, again.unpushed) == (True, "")
    assert home.git("ls-remote", "origin", BRANCH).out.split()[0] == tip(home)


def test_the_branch_goes_nowhere_without_its_data(home: Tree, remotes: Path) -> None:
    (remotes / "store").write_text("no directory")
    done = deploy(home)
    assert "the data could not be pushed" in done.unpushed
    assert home.git("ls-remote", "origin", BRANCH).out == ""
    (remotes / "store").unlink()
    assert deploy(home).unpushed == ""
    assert home.git("ls-remote", "origin", BRANCH).out.split()[0] == tip(home)


def test_nothing_is_pushed_without_a_dvc_remote(home: Tree, remotes: Path) -> None:
    home.dvc("remote", "default", "-u")
    home.commit("No default")
    said: list[str] = []
    assert deploy(home, said.append).unpushed == ""
    assert "not pushed: no DVC remote is the default (`dvc remote default NAME`)" in said
    assert home.git("ls-remote", "origin", BRANCH).out == ""


# ---------------------------------------------------------------- where it works


def test_the_pull_step_makes_the_worktree(home: Tree) -> None:
    root = str(home.root)
    place = found_or_made("letters", "main", root=root)
    assert place.root == str(inside(home).root)
    first = tip(home, "main")
    put(home, "d", "delta")
    assert found_or_made("letters", "", root=root).branch == "main", "it is checked out"
    assert tip(inside(home), "HEAD") == first, "the run itself brings it up to date: it may have to wait"
    home.git("branch", "-q", "side")
    found_or_made("letters", "side", root=root)
    assert Worktree(root, "letters").branch == "side"
    shutil.rmtree(place.root)
    with pytest.raises(UsageError, match="no branch 'nowhere'"):
        found_or_made("letters", "nowhere", root=root)


def test_a_worker_without_the_project_clones_it(
    home: Tree, remotes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.dvc("push", "-q")
    (remotes / "worker").mkdir()
    monkeypatch.chdir(remotes / "worker")
    with pytest.raises(UsageError, match="not known where the project is"):
        found_or_made("letters", "main")
    place = found_or_made("letters", "main", str(remotes / "origin.git"))
    assert place.fetches
    assert place.root.startswith(f"{remotes}/worker/.trunkline/clones/origin-")
    done = Retraining(place, {}, "").run()
    assert home.git("ls-remote", "origin", BRANCH).out.split()[0] == done.commit
    put(home, "d", "delta")
    home.dvc("push", "-q")
    home.git("push", "-q", "origin", "main")
    done = Retraining(place, {}, "").run()
    home.git("fetch", "-q", "origin")
    assert home.git("rev-parse", f"origin/{BRANCH}^@").out.split()[1] == tip(home, "main")
    assert done.commit == tip(home, f"origin/{BRANCH}")
    # the container is gone, another one begins
    shutil.rmtree(remotes / "worker/.trunkline")
    again = found_or_made("letters", "main", str(remotes / "origin.git"))
    assert Retraining(again, {}, "").run().cached


# ---------------------------------------------------------------- the page


def test_what_the_page_types_does_what_it_says(home: Tree) -> None:
    text = PAGE.read_text().replace("trunkline/flights", BRANCH)
    blocks = [
        block for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) if "prefect " not in block
    ]
    deploy(home)
    said = [home.command("sh", "-ec", block).out for block in blocks]
    assert len(said) == 4
    assert "letters: results with letters_raw " in said[0]
    assert said[1].splitlines()[0].startswith(" dvc.lock | ")
    assert said[2].endswith("everything is up to date\n")
    put(home, "d", "delta")
    deploy(home)
    home.command("sh", "-ec", blocks[-1])
    assert characters(home) == 23
    assert deploy(home).cached
    home.git("switch", "-q", "--detach", BRANCH)
    put(home, "e", "epsilon")
    home.git("branch", "-qf", "main", "HEAD")
    assert deploy(home).commit == tip(home)


def test_a_conflict_in_the_lock_costs_no_computation(home: Tree) -> None:
    deploy(home)
    put(home, "d", "delta")
    home.trunkline("run")
    home.commit("Run by hand")
    merge = home.git("merge", BRANCH, check=False)
    assert merge.code == 1
    assert "dvc.lock" in merge.out
    home.git("checkout", "-q", "--theirs", "dvc.lock")
    home.trunkline("run")
    assert all(run == 0 for run, _, _ in counts(home).values())
    home.commit("Merge")
    assert characters(home, "main") == 23
