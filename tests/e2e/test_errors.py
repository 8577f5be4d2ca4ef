"""What a user is told when something is wrong, and what is then still right. Goldens: tests/golden/errors."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.errors.transcript import HERE, ask, compare, transcript
from tests.support import Tree

STAGES = '''\
"""Stages that go wrong when they are asked to."""

import os
from pathlib import Path

import pandas as pd


def first(raw: Path):
    return {raw.name: check(raw)}


def check(raw: Path) -> str:
    if os.environ.get("FAIL") in (raw.stem, "all"):
        raise ValueError(f"no {raw.stem} today")
    return raw.read_text()[:1]


def count(texts: list[Path]):
    return {"count.txt": str(len(texts))}


def last(raw: Path):
    return {"last.txt": raw.read_text()}


def scribble(raw: Path):
    with open(raw, "a") as stream:
        stream.write("more")
    return {raw.name: "done"}


def frame(raw: pd.DataFrame):
    return raw


def large(raw: Path):
    return {raw.name: raw.stem * 900_000}
'''

PIPELINES = {
    "alone": "  first: {run: 'stages.wrong:first', input: {raw: letters_raw/*}}\n",
    "heads": (
        "  first: {run: 'stages.wrong:first', input: {raw: letters_raw/*}}\n"
        "  count: {run: 'stages.wrong:count', input: {texts: first}}\n"
    ),
    "same": "  last: {run: 'stages.wrong:last', input: {raw: letters_raw/*}}\n",
    "silent": "  first: {run: 'stages.wrong:first', input: {raw: letters_raw/*}, metrics: [metrics.json]}\n",
    "scribble": "  here: {run: 'stages.wrong:scribble', input: {raw: letters_raw/a.txt}}\n",
    "shell": "  here: {cmd: [sh, -c, 'echo more >> $raw; cp $raw pfs/out/'], input: {raw: letters_raw/a.txt}}\n",
    "below": (
        "  first: {run: 'stages.wrong:first', input: {raw: letters_raw/*}}\n"
        "  here: {cmd: [sh, -c, 'echo more >> $raw; cp $raw pfs/out/'], input: {raw: first/a.txt}}\n"
    ),
    "parquet": "  read: {run: 'stages.wrong:frame', input: {raw: tables_raw/a.parquet}}\n",
    "csv": "  read: {run: 'stages.wrong:frame', input: {raw: tables_raw/b.csv}}\n",
    "large": "  write: {run: 'stages.wrong:large', input: {raw: letters_raw/*}}\n",
}


def add(tree: Tree, *names: str) -> Tree:
    """Declare these pipelines, too."""
    tree.write("stages/wrong.py", STAGES)
    for name in names:
        tree.write(f"pipelines/{name}.yaml", f"pipeline: {name}\nstages:\n{PIPELINES[name]}")
    tree.trunkline("compile")
    return tree


def the_object(tree: Tree, path: str) -> Path:
    """The cache object of a file of the workspace."""
    md5 = hashlib.md5((tree.root / path).read_bytes()).hexdigest()
    return tree.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def intact(tree: Tree) -> bool:
    """Whether every object of the cache is what its name says, and none was put aside."""
    objects = [path for path in (tree.root / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    assert objects
    wrong = [
        path
        for path in objects
        if hashlib.md5(path.read_bytes()).hexdigest() != path.parent.name + path.name.removesuffix(".dir")
    ]
    return not wrong and not (tree.root / ".dvc/cache/trunkline/quarantine").exists()


# ---------------------------------------------------------------- stages


def test_a_stage_that_raises(project: Tree) -> None:
    add(project, "heads")
    project.trunkline("run")
    good = project.contents("data/heads")
    for name in "abc":
        project.write(f"data/letters_raw/{name}.txt", f"new {name}")

    done = ask("raises", project, "run", "heads", FAIL="b")
    assert done.code == 3
    assert project.contents("data/heads") == good, "the last good version is what the workspace shows"
    assert project.trunkline("run", check=False, FAIL="b").code == 3
    assert project.read("data/letters/upper/b.txt") == "NEW B!", "a pipeline beside it has run"
    log = re.search(r"log: +(\S+)", done.out)
    assert log is not None
    assert "ValueError: no b today" in Path(log[1]).read_text()

    again = re.search(r"again: trunkline (.*)", done.out)
    assert again is not None
    assert ask("raises_again", project, *again[1].split(), FAIL="b").code == 3
    repaired = project.trunkline(*again[1].split())
    assert "b.txt" in repaired.out
    assert project.contents("data/heads") == good, "a datum that is run by hand publishes nothing"

    project.trunkline("run")
    assert project.counts() == {"heads.first": (1, 2, 0), "heads.count": (1, 0, 0)}
    assert "up to date" in project.dvc("status").out


def test_many_datums_that_raise(project: Tree) -> None:
    for name in "defgh":
        project.write(f"data/letters_raw/{name}.txt", name)
    add(project, "alone")
    ask("raises_often", project, "run", "alone", FAIL="all")
    answer = json.loads(project.trunkline("run", "alone", "--json", check=False, FAIL="all").out)
    assert answer["error"]["code"] == "stage_failed"


def test_two_datums_write_one_path(project: Tree) -> None:
    add(project, "same")
    assert ask("one_path", project, "run", "same").code == 3
    assert not (project.root / "data/same/last").exists()
    assert not (project.root / "dvc.lock").exists()


def test_metrics_that_were_declared_and_not_written(project: Tree) -> None:
    add(project, "silent")
    assert ask("not_written", project, "run", "silent").code == 3
    assert not (project.root / "data/silent/first").exists()


@pytest.mark.parametrize("name", ["scribble", "shell"])
def test_a_stage_that_writes_to_its_inputs(project: Tree, name: str) -> None:
    add(project, name)
    done = project.trunkline("run", name, check=False)
    assert done.code == 3
    if name == "shell" or os.geteuid() == 0:  # others get a PermissionError of their own
        compare(f"writes_to_input_{name}", transcript(project, ("run", name), done))
    assert project.read("data/letters_raw/a.txt") == "alpha"
    assert intact(project)


def test_a_stage_that_writes_to_another_stages_output(project: Tree) -> None:
    add(project, "below")
    done = project.trunkline("run", "below", check=False)
    assert done.code == 3
    assert "it wrote to its input below.first/a.txt" in done.out
    assert project.read("data/below/first/a.txt") == "a"
    assert intact(project)
    assert "below-first" not in project.dvc("status", "below-first").out


def test_files_that_are_not_what_their_suffix_says(project: Tree) -> None:
    project.write("data/tables_raw/a.parquet", "anything")
    project.write("data/tables_raw/b.csv", "name,value\ncafé,1\n".encode("latin-1"))
    project.dvc("add", "-q", "data/tables_raw")
    add(project, "parquet", "csv")
    assert ask("not_parquet", project, "run", "parquet").code == 3
    assert ask("not_utf8", project, "run", "csv").code == 3


def test_a_stage_module_that_is_no_python(project: Tree) -> None:
    project.write("stages/letters.py", "def upper(:\n")
    for command in ("check", "run", "plan"):
        done = project.trunkline(command, check=False)
        assert done.code == 2
        assert done.err.startswith("stages/letters.py:1:11: this is not valid Python: ")
        assert "    def upper(:\n              ^\n" in done.err


# ---------------------------------------------------------------- data


def test_a_missing_dataset(project: Tree) -> None:
    project.write("data/other_raw/a.txt", "other")
    project.dvc("add", "-q", "data/other_raw")
    add(project, "alone")
    project.write(
        "pipelines/alone.yaml", project.read("pipelines/alone.yaml").replace("letters_raw", "other_raw")
    )
    shutil.rmtree(project.root / "data/letters_raw")
    assert ask("missing_dataset", project, "run").code == 3
    assert project.read("data/alone/first/a.txt") == "o", "what does not need it has run"
    assert ask("missing_dataset_json", project, "run", "letters", "--json").code == 3
    assert ask("missing_dataset_plan", project, "plan", "letters").code == 3


def test_a_missing_and_a_damaged_object_of_an_input(project: Tree) -> None:
    missing, damaged = (the_object(project, f"data/letters_raw/{name}.txt") for name in "ab")
    missing.unlink()
    damaged.chmod(0o644)
    damaged.write_text("bata")
    assert ask("damaged_input", project, "run").code == 0
    assert (missing.read_text(), damaged.read_text()) == ("alpha", "beta"), "brought back from the workspace"
    assert "up to date" in project.dvc("status").out


def test_a_missing_and_a_damaged_object_of_a_result(project: Tree) -> None:
    project.trunkline("run")
    good = project.published()
    missing, damaged = (the_object(project, f"data/letters/upper/{name}.txt") for name in "ab")
    missing.unlink()
    damaged.chmod(0o644)
    damaged.write_text("BOTA!")  # the workspace's file is a link to it
    project.write("data/letters_raw/c.txt", "gamma")
    assert ask("damaged_result", project, "run").code == 0
    assert project.counts()["letters.upper"] == (2, 1, 0), "what is lost is made again"
    assert project.published() == good
    assert "up to date" in project.dvc("status").out


# ---------------------------------------------------------------- locks


GATE = """\
: > "$MARKS/$(basename "$raw").$$"
while [ ! -e "$MARKS/go" ]; do sleep 0.05; done
cp "$raw" pfs/out/
"""


@pytest.fixture
def gated(project: Tree, tmp_path: Path) -> Iterator[Tree]:
    """A project with a stage that waits until the file `marks/go` is there; it is at the end."""
    project.write("scripts/gate.sh", GATE)
    project.write(
        "pipelines/gate.yaml",
        "pipeline: gate\nstages:\n  wait: {cmd: [sh, scripts/gate.sh], input: {raw: letters_raw/*}}\n",
    )
    project.trunkline("compile")
    marks = tmp_path / "marks"
    marks.mkdir()
    yield project
    (marks / "go").touch()


def begin(tree: Tree, *command: str) -> subprocess.Popen[str]:
    """Start a command and wait until the gate's first datum is at work."""
    marks = tree.root.parent / "marks"
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=tree.root, env=tree.environment(MARKS=str(marks)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while not any(marks.iterdir()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    return process


def end(tree: Tree, process: subprocess.Popen[str]) -> None:
    """Open the gate; the process must end well."""
    (tree.root.parent / "marks/go").touch()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out


def test_a_stage_that_a_run_is_at_work_on(gated: Tree) -> None:
    process = begin(gated, "trunkline", "run", "gate")
    assert ask("locked_by_run", gated, "run", "gate").code == 3
    assert ask("locked_by_run_json", gated, "run", "gate", "--json").code == 3
    done = gated.trunkline("exec", "gate.wait", check=False)
    assert done.code == 3
    assert "is being written by process" in done.err
    assert gated.trunkline("status", "gate", check=False).code == 1, "looking is allowed"
    gated.trunkline("run", "letters")
    end(gated, process)
    assert gated.trunkline("status").code == 0
    assert "up to date" in gated.dvc("status").out


def test_a_stage_that_dvc_is_at_work_on(gated: Tree) -> None:
    process = begin(gated, "dvc", "repro", "gate-wait")
    assert ask("locked_by_repro", gated, "run", "gate").code == 3
    end(gated, process)
    assert gated.trunkline("status", "gate").code == 0


# ---------------------------------------------------------------- projects


def test_no_git(project: Tree, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = project.command(
        sys.executable, "-m", "trunkline", "run", "letters.upper", check=False, PATH=str(tmp_path / "bin")
    )
    assert done.code == 2
    compare("no_git", transcript(project, ("run", "letters.upper"), done))


def test_no_project(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    tree = Tree(tmp_path / "nothing")
    assert ask("no_project", tree, "run").code == 2
    assert ask("no_project_json", tree, "status", "--json").code == 2
    (tree.root / ".dvc").mkdir()
    assert ask("no_git_repository", tree, "run").code == 2


def test_files_that_are_no_yaml(project: Tree) -> None:
    project.trunkline("run")
    before = project.published()
    for name in ("dvc.yaml", "dvc.lock", "data/letters_raw.dvc", "pipelines/letters.yaml"):
        text = project.read(name)
        project.write(name, text + "  outs: [\n")
        assert ask(f"no_yaml_{Path(name).name}", project, "run").code == 2
        project.write(name, text)
    assert project.published() == before


def test_names_that_do_not_exist(project: Tree) -> None:
    asked = [
        ("run", "lettrs"),
        ("run", "letters.uper"),
        ("run", "nothing"),
        ("exec", "letters.uper"),
        ("exec", "letters.upper", "--datum", "z"),
        ("why", "letters.uper"),
        ("rnu",),
        ("rnu", "--json"),
        ("run", "--force-all"),
        ("run", "--force-all", "--json"),
        ("run", "lettrs", "--json"),
        ("versions", "letters_rw"),
        ("show", "0000"),
    ]
    parts = []
    for arguments in asked:
        done = project.trunkline(*arguments, check=False)
        assert done.code in (2, 3), arguments
        parts.append(transcript(project, arguments, done))
    compare("names", "\n".join(parts))


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("run", "lettrs"), "usage", 2),
        (("nothing",), "usage", 2),
        (("run", "--nothing"), "usage", 2),
        (("show",), "usage", 2),
        (("compile", "--check"), "stale", 1),
    ],
)
def test_errors_as_json(project: Tree, arguments: tuple[str, ...], code: str, exit_code: int) -> None:
    project.write("dvc.yaml", "stages: {}\n")
    done = project.trunkline(*arguments, "--json", check=False)
    error = json.loads(done.out)["error"]
    assert done.code == exit_code
    assert error["code"] == code
    assert error.keys() == {"code", "message", "where", "hint"}
    assert all(isinstance(value, str) for value in error.values())


def test_a_traceback_is_shown_to_those_who_ask(project: Tree) -> None:
    assert "Traceback" not in project.trunkline("run", "lettrs", check=False).err
    assert "Traceback" in project.trunkline("run", "lettrs", "--debug", check=False).err


# ---------------------------------------------------------------- disks


class Disk:
    """A small file system of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def mount(self, options: str) -> None:
        """Mount it, or mount it anew with other options."""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(self.place)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.decode()}")


@pytest.fixture
def disk(project: Tree) -> Iterator[Disk]:
    """A tmpfs as the project's `cache.dir`."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root, and Linux")
    place = project.root.parent / "cache"
    place.mkdir()
    found = Disk(place)
    found.mount("size=3m")
    project.write(".dvc/config", f"[cache]\n    dir = {place}\n")
    yield found
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(project: Tree, disk: Disk) -> None:
    for name in "de":
        project.write(f"data/letters_raw/{name}.txt", name)
    add(project, "large")
    done = project.trunkline("run", "large", check=False)
    assert done.code == 3
    assert "DiskError: No space left on device" in done.out
    assert "free some space and run again" in done.out
    assert "Traceback" not in done.out + done.err
    kept = project.counts()["large.write"][0]
    assert 0 < kept < 5
    assert project.trunkline("plan", "large").code == 0

    disk.mount("remount,size=40m")
    project.trunkline("run", "large")
    assert project.counts()["large.write"] == (5 - kept, kept, 0)
    assert "large" not in project.dvc("status", "large-write").out


def test_a_cache_that_cannot_be_written_to(project: Tree, disk: Disk) -> None:
    project.trunkline("run")
    disk.mount("remount,ro")
    assert project.trunkline("status").code == 0
    assert "up to date" in project.trunkline("run").out
    project.write("data/letters_raw/a.txt", "changed")
    assert project.trunkline("status", check=False).code == 1
    assert ask("read_only", project, "run").code == 3
    disk.mount("remount,rw")
    project.trunkline("run")
    assert "up to date" in project.dvc("status").out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written(project: Tree) -> None:
    for arguments in (("plan",), ("plan", "--json"), ("run", "lettrs", "--json")):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "trunkline", *arguments], cwd=project.root, stdout=full,
                env=project.environment(), stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.returncode != 0
        assert "the answer cannot be written: No space left on device" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_run_whose_reader_goes_away(project: Tree) -> None:
    project.command("sh", "-c", f"'{sys.executable}' -m trunkline run | true")
    assert project.trunkline("status").code == 0, "it went on to its end"


def test_no_golden_file_is_left_over() -> None:
    source = Path(__file__).read_text() + (Path(__file__).parent / "test_crashes.py").read_text()
    used = set(re.findall(r'(?:ask|compare)\(\s*f?"([a-z0-9_]+)', source))
    left = {path.stem for path in HERE.glob("*.txt")} - used
    assert not {name for name in left if not name.startswith(("no_yaml_", "writes_to_input_"))}
