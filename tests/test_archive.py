"""Every run that executes something leaves its record in git, with its code, and with no secret."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support import Tree
from trunkline.project import Project

RECORD = ".trunkline/run.json"


def refs(tree: Tree) -> dict[str, str]:
    """The commits of the records, by run."""
    lines = tree.git(
        "for-each-ref", "--format=%(refname) %(objectname)", "refs/trunkline/runs"
    ).out.splitlines()
    return {line.split()[0].rpartition("/")[2]: line.split()[1] for line in lines}


def kept(tree: Tree, run: str) -> dict[str, Any]:
    """The record of a run, as git has it."""
    record: dict[str, Any] = json.loads(tree.git("show", f"{refs(tree)[run]}:{RECORD}").out)
    return record


def latest(tree: Tree) -> str:
    run: str = tree.trunkline("runs", "--json").data[0]["id"]
    return run


def test_a_run_is_kept_with_its_edited_code_and_touches_nothing(project: Tree) -> None:
    project.write("stages/letters.py", project.read("stages/letters.py") + "\n# edited\n")
    project.write("notes.txt", "mine")
    before = [
        project.git(*words).out for words in (("status", "--porcelain=v2", "--branch"), ("ls-files", "-s"))
    ]
    project.trunkline("run")
    (run,) = refs(project)
    commit = refs(project)[run]
    assert project.git("show", f"{commit}:stages/letters.py").out.endswith("# edited\n")
    assert project.git("show", f"{commit}:dvc.lock").out == project.read("dvc.lock")
    assert project.git("rev-parse", f"{commit}^").out == project.git("rev-parse", "HEAD").out
    assert "notes.txt" not in project.git("ls-tree", "-r", "--name-only", commit).out
    assert kept(project, run) == json.loads(project.read(f".trunkline/runs/{run}/run.json"))
    (project.root / "dvc.lock").unlink()  # which the run has made, and which nobody has added
    after = [
        project.git(*words).out for words in (("status", "--porcelain=v2", "--branch"), ("ls-files", "-s"))
    ]
    assert before == after


def test_models_metrics_and_manifests_have_a_sha256(ran: Tree) -> None:
    (run,) = refs(ran)
    made = kept(ran, run)["stages"]["letters.total"]["sha256"]
    assert made.keys() == {"data/letters/total/metrics.json", "data/letters/.manifests/total"}
    metrics = (ran.root / "data/letters/total/metrics.json").read_bytes()
    assert made["data/letters/total/metrics.json"] == hashlib.sha256(metrics).hexdigest()
    folder = ran.root / "data/letters/.manifests/total"
    printed = subprocess.run(
        "sha256sum * | sha256sum", shell=True, cwd=folder, capture_output=True, check=True
    )
    assert printed.stdout.split()[0].decode() == made["data/letters/.manifests/total"]


@pytest.fixture
def ran(_ran_once: Path, tmp_path: Path) -> Tree:
    return Tree(_ran_once).copy(tmp_path / "project")


@pytest.fixture(scope="module")
def _ran_once(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = Tree(_letters).copy(tmp_path_factory.mktemp("ran") / "project")
    tree.trunkline("run")
    tree.commit("Run")
    return tree.root


def schema(tree: Tree) -> Draft202012Validator:
    published = tree.trunkline("show", "--schema", "--json").data
    Draft202012Validator.check_schema(published)
    return Draft202012Validator(published)


def test_runs_that_fail_and_runs_of_dvc_are_kept(ran: Tree) -> None:
    ran.write("stages/helper.py", "raise ImportError('no helper')\n")
    assert ran.trunkline("run", check=False).code == 3
    failed = latest(ran)
    assert kept(ran, failed)["state"] == "failed"
    assert list(schema(ran).iter_errors(kept(ran, failed))) == []
    assert ran.git("show", f"{refs(ran)[failed]}:dvc.lock").out == ran.read("dvc.lock")
    ran.git("checkout", "-q", "stages/helper.py")
    ran.write("data/letters_raw/a.txt", "by dvc")
    ran.dvc("repro", "-q")
    made = latest(ran)
    assert made != failed
    assert list(schema(ran).iter_errors(kept(ran, made))) == []
    assert list(schema(ran).iter_errors({**kept(ran, made), "state": "fine"})) != []
    assert (kept(ran, made)["runner"], kept(ran, made)["state"]) == ("dvc", "done")
    assert ran.git("show", f"{refs(ran)[made]}:dvc.lock").out == ran.read("dvc.lock")


def test_the_records_are_made_again_from_git_and_git_from_them(ran: Tree) -> None:
    ran.write("data/letters_raw/a.txt", "again")
    ran.trunkline("run")
    run, commits = latest(ran), refs(ran)
    before = records(ran)
    shutil.rmtree(ran.root / ".trunkline")
    assert ran.trunkline("runs", "rebuild", "--json").data == {"restored": 2, "kept": 0}
    assert records(ran) == before
    assert (
        "1 of 3 datums: 1 run" in ran.trunkline("datums", "letters.upper", "--run", run, "--state", "run").out
    )
    for ref in ran.git("for-each-ref", "--format=%(refname)", "refs/trunkline").out.split():
        ran.git("update-ref", "-d", ref)
    assert ran.trunkline("runs", "rebuild", "--json").data == {"restored": 0, "kept": 2}
    assert refs(ran).keys() == commits.keys()
    assert kept(ran, run) == json.loads(before[f".trunkline/runs/{run}/run.json"])


def records(tree: Tree) -> dict[str, bytes]:
    """The files of all records but the logs."""
    found = tree.contents(".trunkline/runs")
    return {path: data for path, data in found.items() if path.endswith((".json", ".jsonl"))}


SECRETS = {
    "declared": "sEcReT-declared-8461",
    "environment": "sEcReT-environment-1175",
    "dotenv": "sEcReT-dotenv-3390",
    "remote": "sEcReT-remote-9027",
    "untracked": "sEcReT-untracked-5518",
}


def test_no_object_of_the_repository_holds_a_secret(project: Tree) -> None:
    pipeline = project.read("pipelines/letters.yaml").replace(
        "    input: {texts: upper/*}\n", "    input: {texts: upper/*}\n    secrets: [API_KEY]\n"
    )
    project.write("pipelines/letters.yaml", pipeline)
    helper = (
        "import os\n\n\ndef shout(text):\n    print(os.environ.get('API_KEY'))\n    return text.upper()\n"
    )
    project.write("stages/helper.py", helper)
    project.write("stages/local.py", f"KEY = {SECRETS['declared']!r}\n")
    project.write("stages/letters.py", project.read("stages/letters.py") + "\nfrom stages import local\n")
    project.write(".env", f"TOKEN={SECRETS['dotenv']}\n")
    project.write("stages/.env", f"TOKEN={SECRETS['dotenv']}\n")
    project.write("notes.txt", SECRETS["untracked"])
    project.git("remote", "add", "origin", f"https://me:{SECRETS['remote']}@example.org/x.git")
    project.dvc("remote", "add", "--local", "far", f"https://me:{SECRETS['remote']}@example.org/store")
    declared, private = SECRETS["declared"], SECRETS["environment"]
    project.trunkline("run", API_KEY=declared, PRIVATE=private)
    project.write(
        "stages/helper.py",
        "import os\n\n\ndef shout(text):\n    raise ValueError(os.environ['PRIVATE'][:0])\n",
    )
    project.trunkline("run", check=False, API_KEY=declared, PRIVATE=private)
    assert len(refs(project)) == 2
    left_out = [each["path"] for run in refs(project) for each in kept(project, run)["code"]["left_out"]]
    assert set(left_out) == {"stages/local.py"}
    everything = project.command(
        "sh", "-c", "git cat-file --batch --batch-all-objects | grep -a -o 'sEcReT[-a-z0-9]*'", check=False
    )
    assert everything.out == ""
    with Project.find(str(project.root)) as found:  # what it looks like where there is something to find
        assert found.archive.kept()
    project.git("hash-object", "-w", "notes.txt")
    everything = project.command(
        "sh", "-c", "git cat-file --batch --batch-all-objects | grep -a -o 'sEcReT[-a-z0-9]*'", check=False
    )
    assert everything.out == f"{SECRETS['untracked']}\n"
