"""What a user sees of `run`: what is run, reused, dropped, relocked, and that the wave stops."""

from __future__ import annotations

import json

from tests.support import Tree


def test_a_cold_run_runs_everything_and_then_there_is_nothing_to_do(project: Tree) -> None:
    done = project.trunkline("run")
    assert project.counts() == {
        "letters.upper": (3, 0, 0),
        "letters.count": (3, 0, 0),
        "letters.total": (1, 0, 0),
    }
    assert json.loads(project.read("data/letters/total/metrics.json")) == {"characters": 17}
    first, last = done.out.splitlines()[0], done.out.splitlines()[-1]
    assert first.split()[0] == last.split()[0] == "run"
    assert first.split()[1] == last.split()[1], "the id is printed first and last"
    assert project.trunkline("status").code == 0
    again = project.trunkline("run")
    assert again.out.count("up to date") >= 3
    assert project.trunkline("plan", "--json").data["empty"]


def test_a_new_file_is_one_datum_in_each_stage(project: Tree) -> None:
    project.trunkline("run")
    project.write("data/letters_raw/d.txt", "delta")
    assert project.trunkline("status", check=False).code == 1
    project.trunkline("run")
    assert project.counts() == {
        "letters.upper": (1, 3, 0),
        "letters.count": (1, 3, 0),
        "letters.total": (1, 0, 0),
    }


def test_a_deleted_file_takes_its_outputs_with_it(project: Tree) -> None:
    project.trunkline("run")
    (project.root / "data/letters_raw/b.txt").unlink()
    project.trunkline("run")
    assert project.counts()["letters.upper"] == (0, 2, 1)
    assert not (project.root / "data/letters/upper/b.txt").exists()
    assert json.loads(project.read("data/letters/total/metrics.json")) == {"characters": 12}


def test_a_changed_comment_runs_nothing_and_refreshes_the_lock(project: Tree) -> None:
    project.trunkline("run")
    before = project.read("dvc.lock")
    project.write("stages/helper.py", project.read("stages/helper.py") + "\n# a thought\n")
    plan = project.trunkline("plan", "--json").data["stages"]
    assert {stage["decision"] for stage in plan} == {"relock"}
    project.trunkline("run")
    assert all(counts[0] == 0 for counts in project.counts().values())
    assert project.read("dvc.lock") != before
    assert project.trunkline("plan", "--json").data["empty"]


def test_changed_logic_in_a_helper_reruns_and_equal_results_stop_the_wave(project: Tree) -> None:
    project.trunkline("run")
    helper = project.read("stages/helper.py")
    project.write("stages/helper.py", helper.replace("return text.upper()", "return text.upper() + ''"))
    project.trunkline("run", "letters.upper")
    assert project.counts() == {"letters.upper": (3, 0, 0)}
    # `count` imports the same helper through its module, so it runs; `total` too. Their results are equal.
    project.trunkline("run")
    assert project.trunkline("plan", "--json").data["empty"]


def test_a_change_without_effect_upstream_leaves_downstream_up_to_date(project: Tree) -> None:
    project.write(
        "stages/other.py",
        "from pathlib import Path\n\n\ndef first(raw: Path):\n    return {raw.name: raw.read_text()[:1]}\n",
    )
    project.write(
        "pipelines/heads.yaml",
        "pipeline: heads\nstages:\n"
        "  first:\n    run: stages.other:first\n    input: {raw: letters_raw/*}\n"
        "  lengths:\n    run: stages.letters:count\n    input: {texts: first/*}\n",
    )
    project.trunkline("run", "heads")
    project.write("data/letters_raw/a.txt", "another text with the same first letter")
    project.trunkline("run", "heads")
    assert project.counts() == {"heads.first": (1, 2, 0)}, "lengths must not even start"


def test_going_back_reuses_earlier_results(project: Tree) -> None:
    project.trunkline("run")
    start = project.published()
    project.write("data/letters_raw/a.txt", "omega")
    project.trunkline("run")
    assert project.published() != start
    project.write("data/letters_raw/a.txt", "alpha")
    project.trunkline("run")
    assert all(counts[0] == 0 for counts in project.counts().values())
    assert project.published() == start


def test_a_changed_parameter_reruns_its_stage(project: Tree) -> None:
    project.trunkline("run")
    text = project.read("pipelines/letters.yaml")
    project.write("pipelines/letters.yaml", text.replace('suffix: "!"', 'suffix: "?"'))
    why = project.trunkline("why", "letters.upper").out
    assert "params.suffix" in why
    assert '"!"' in why
    assert '"?"' in why
    project.trunkline("run")
    # as many characters as before: the counts are equal, so `total` does not run
    assert project.counts() == {"letters.upper": (3, 0, 0), "letters.count": (3, 0, 0)}


def test_independent_stages_overlap_in_time(tree: Tree) -> None:
    tree.write("data/raw/a.txt", "a")
    tree.dvc("add", "-q", "data/raw")
    tree.write(
        "stages/slow.py",
        "import time\nfrom pathlib import Path\n\n\ndef slow(raw: Path):\n"
        "    time.sleep(1.5)\n    return {'a.txt': raw.read_text()}\n\n\n"
        "def join(left: Path, right: Path):\n    return {'a.txt': left.read_text() + right.read_text()}\n",
    )
    tree.write(
        "pipelines/two.yaml",
        "pipeline: two\nstages:\n"
        "  left:\n    run: stages.slow:slow\n    input: {raw: raw/*}\n"
        "  right:\n    run: stages.slow:slow\n    input: {raw: raw/*}\n"
        "  both:\n    run: stages.slow:join\n    input: {left: left/a.txt, right: right/a.txt}\n",
    )
    tree.trunkline("run")
    stages = {s["stage"]: s for s in tree.trunkline("show", "latest", "--json").data["stages"]}
    left, right, both = stages["two.left"], stages["two.right"], stages["two.both"]
    assert left["started"] < right["ended"], "left must not wait for right"
    assert right["started"] < left["ended"], "right must not wait for left"
    assert both["started"] >= max(left["ended"], right["ended"])
    assert tree.read("data/two/both/a.txt") == "aa"


def test_a_command_stage_finds_its_inputs_and_environment(project: Tree) -> None:
    project.write(
        "scripts/copy.sh",
        "set -eu\nread -r word\nmkdir -p pfs/out/sub\n"
        'cp "$raw" "pfs/out/sub/$(basename "$raw")"\n'
        'printf "%s %s %s\\n" "$word" "$GREETING" "$PPS_PIPELINE_NAME" >> "pfs/out/sub/$(basename "$raw")"\n'
        'test -n "$PACH_DATUM_ID" && test -n "$PACH_JOB_ID"\n',
    )
    project.write(
        "pipelines/shell.yaml",
        "pipeline: shell\nstages:\n  copy:\n    cmd: [sh, scripts/copy.sh]\n    stdin: [hello]\n"
        "    env: {GREETING: moin}\n    input: {raw: letters_raw/*}\n",
    )
    project.trunkline("run", "shell")
    assert project.read("data/shell/copy/sub/a.txt") == "alphahello moin shell.copy\n"
    assert "scripts/copy.sh" in project.read("dvc.yaml"), "the script is a dependency"
    project.write("scripts/copy.sh", project.read("scripts/copy.sh") + "echo more >> pfs/out/sub/x\n")
    assert project.trunkline("status", "shell", check=False).code == 1
