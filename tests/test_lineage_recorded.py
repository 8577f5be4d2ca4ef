"""Lineage over what git and DVC really write: one small project, two versions of its data."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from trunkline.digest import md5_file
from trunkline.errors import MissingData
from trunkline.ledger.catalog import Catalog, Change, Past
from trunkline.ledger.records import Scene
from trunkline.ledger.runs import RunLog
from trunkline.lineage import Artifact, Graph, graph_json, render_text, walk
from trunkline.lineage.recorded import Readers, Recorded
from trunkline.model import Decision, File, StageReport, Version
from trunkline.store import git, lockfile, pointers

# Stands for `trunkline` under `dvc repro`: what matters here is what DVC writes about it.
STAND_IN = """#!/bin/sh
case "$2" in
p.split) mkdir -p data/p/split/train data/p/.manifests/split
         cp data/raw/a.csv data/p/split/train/ ; cp data/raw/b.csv data/p/split/ ; echo 1 > data/p/.manifests/split/m ;;
p.train) mkdir -p data/p/train data/p/.manifests/train
         cat data/p/split/train/* | tr a-z A-Z > data/p/train/model.onnx ; echo 2 > data/p/.manifests/train/m ;;
esac
"""
PIPELINE = """
stages:
  split: {run: "stages.split:split", input: {raw: raw}}
  train: {run: "stages.train:train", input: {train: split/train}, params: {epochs: 5},
          model: {name: late, path: model.onnx}}
"""
DVC_YAML = """
stages:
  p-split:
    cmd: trunkline exec p.split
    deps: [data/raw, stages/split.py]
    params: [{pipelines/p.yaml: [stages.split]}]
    outs: [data/p/split, data/p/.manifests/split]
  p-train:
    cmd: trunkline exec p.train
    deps: [data/p/split/train, stages/train.py]
    params: [{pipelines/p.yaml: [stages.train]}]
    outs: [data/p/train, data/p/.manifests/train]
"""


@dataclass
class Project:
    root: Path
    environment: dict[str, str]
    models: list[Path]
    commits: list[str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def version(self, text: str) -> None:
        """A new version of the data, through DVC, committed; its model kept beside the project."""
        self.write("data/raw/a.csv", text)
        self.dvc("add", "-q", "data/raw")
        self.dvc("repro")
        copy = self.root.parent / f"copy-{len(self.models)}.onnx"
        shutil.copy(self.root / "data/p/train/model.onnx", copy)
        self.models.append(copy)
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", f"raw: {text}")
        self.commits.append(self.run("git", "rev-parse", "HEAD"))

    def history(self, root: Path | None = None) -> Recorded:
        here = root or self.root

        def object_path(oid: str) -> str:
            return str(here / ".dvc/cache/files/md5" / oid[:2] / oid[2:])

        def listing(oid: str) -> tuple[File, ...]:
            import json

            try:
                rows = json.loads(Path(object_path(oid)).read_text())
            except FileNotFoundError as error:
                raise MissingData(oid) from error
            return tuple(File(row["relpath"], row["md5"], -1) for row in rows)

        past = Past(
            lambda: git.tips(str(here)),
            lambda: (Change(*each) for each in git.changes(str(here), "dvc.lock", "*.dvc")),
            lambda blobs: git.blobs(str(here), blobs),
            lockfile.parse,
            pointers.parse,
        )

        def pointer(file: str) -> Version | None:
            text = (here / file).read_text() if (here / file).exists() else None
            return None if text is None else pointers.parse(text, file)

        catalog = Catalog(str(here / ".dvc/tmp/lineage.db"), str(here), str(here / ".trunkline/runs"), past)
        readers = Readers(pointer, listing, object_path, lambda manifest: 1)
        return Recorded(catalog, readers, ["data/raw"])

    def lineage(self, path: Path, root: Path | None = None) -> Graph:
        return walk(Artifact(str(path), md5_file(str(path))), self.history(root))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("lineage")
    root, tools = folder / "project", folder / "bin"
    root.mkdir()
    tools.mkdir()
    (tools / "trunkline").write_text(STAND_IN)
    (tools / "trunkline").chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com",
    }  # fmt: skip
    project = Project(root, environment, [], [])
    project.run("git", "init", "-q", "-b", "main")
    project.dvc("init", "-q")
    project.write("pipelines/p.yaml", PIPELINE)
    project.write("dvc.yaml", DVC_YAML)
    for name in ("split", "train"):
        project.write(f"stages/{name}.py", f"# {name}\n")
    project.write("data/raw/b.csv", "the same in both\n")
    project.version("first")
    project.version("second")
    return project


def node(graph: Graph, kind: str, name: str) -> dict[str, object]:
    (found,) = [item for item in graph.nodes.values() if item.type == kind and item.name == name]
    return dict(found.attributes)


def test_a_copy_of_the_present_model(project: Project) -> None:
    graph = project.lineage(project.models[1])
    assert node(graph, "model", "late")["path"] == "data/p/train/model.onnx"
    assert node(graph, "dataset", "data/p/split/train")["checked"] is True
    commit = node(graph, "dataset", "data/raw")["commit"]
    assert isinstance(commit, dict)
    assert (commit["commit"], commit["author"]) == (project.commits[1], "Ada")
    assert node(graph, "params", "p.train")["epochs"] == 5
    assert node(graph, "stage", "p.train")["recorded"] == {
        "commit": project.commits[1],
        "time": git.log_of(str(project.root), "dvc.lock")[0].time,
    }
    names = {item.name for item in graph.nodes.values() if item.type == "code"}
    assert names == {"stages/split.py", "stages/train.py"}


def test_the_model_of_an_older_commit_with_its_own_data(project: Project) -> None:
    graph = project.lineage(project.models[0])
    commit = node(graph, "dataset", "data/raw")["commit"]
    assert isinstance(commit, dict)
    assert commit["commit"] == project.commits[0]
    lock = node(graph, "stage", "p.train")["lock"]
    assert isinstance(lock, dict)
    assert (lock["kind"], lock["id"]) == ("commit", project.commits[0])


def test_a_source_file_names_its_version(project: Project) -> None:
    text = render_text(project.lineage(project.root / "data/raw/a.csv"))
    assert f"as {project.commits[1][:8]} by Ada: raw: second" in text


def test_the_run_that_made_it(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "clone"
    shutil.copytree(project.root, root, symlinks=True)
    lock = lockfile.parse((root / "dvc.lock").read_text())
    state = git.state(str(root), ["stages"])
    log = RunLog.begin(str(root), command="trunkline run", scene=Scene(state, {"python": "3.11.7"}))
    for name in ("split", "train"):
        report = StageReport(f"p.{name}", "done", Decision.RUN, run=1, total=1, entry=lock[f"p-{name}"])
        log.stage_finished(report)
    log.finish("done")
    again = RunLog.begin(str(root), command="trunkline run", scene=Scene(state, {}))
    again.stage_finished(
        StageReport("p.train", "done", Decision.REUSE, reuse=1, total=1, entry=lock["p-train"])
    )
    again.finish("done")
    graph = project.lineage(project.models[1], root)
    stage = node(graph, "stage", "p.train")
    assert (stage["run_id"], stage["run_exact"], stage["dirty"]) == (log.id, True, False)
    assert stage["commit"] == project.commits[1]
    assert f"run     {log.id}" in render_text(graph)
    assert node(graph, "environment", "Python 3.11.7") == {"python": "3.11.7"}


def test_a_clone_without_data_still_tells_what_it_can(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    project.run("git", "clone", "-q", str(project.root), str(clone))
    assert not project.lineage(project.models[1], clone).found
    oid = lockfile.parse((clone / "dvc.lock").read_text())["p-train"].outs[1].md5
    graph = walk(Artifact("p.train", oid), project.history(clone))
    assert node(graph, "dataset", "data/p/split/train")["checked"] is False
    assert node(graph, "dataset", "data/raw")["kind"] == "source"
    assert graph_json(graph)["found"] is True


def test_a_lock_in_conflict_hides_nothing_else(project: Project, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(project.root, root, symlinks=True)
    (root / "dvc.lock").write_text("<<<<<<< ours\nschema: '2.0'\n")
    lock = node(project.lineage(project.models[1], root), "stage", "p.train")["lock"]
    assert isinstance(lock, dict)
    assert lock["kind"] == "commit"
