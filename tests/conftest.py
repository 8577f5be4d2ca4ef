"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import keeping
from tests.support import Tree, letters

os.environ["TRUNKLINE_ENGINE"] = "local"  # Prefect's server has its own tests, and is in no other's way
# More processes than processors are at work: threads that wait for each other by spinning would keep them busy.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

# Files that take longest come first: with them in the end, one worker would be at work and the others idle.
# Those that wait, for servers, and those that compute take turns.
LONG = (
    "e2e/test_course.py",
    "flows/test_flow.py",
    "conformance/test_dvc_verbs.py",
    "flows/test_server.py",
    "property/test_incremental.py",
    "e2e/test_scheduled.py",
    "test_retraining.py",
    "e2e/test_deployed_crashes.py",
    "e2e/test_errors.py",
    "flows/test_deployments.py",
    "e2e/test_first_five_minutes.py",
    "flows/test_existing_server.py",
    "e2e/test_how_to_dask.py",
    "torture/test_torture.py",
    "test_deployed.py",
    "conformance/test_dvc_verbs_experiments.py",
    "test_exports.py",
    "test_sharing.py",
    "test_reproducing.py",
    "reading/test_open.py",
    "flows/test_keeper.py",
    "runners/test_pools.py",
    "runners/test_dask.py",
    "e2e/test_crashes.py",
    "runners/test_processes.py",
    "runners/test_limits.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; leave what is marked `whole` to `WHOLE=1`."""
    if not os.environ.get("WHOLE"):
        for item in items:
            if item.get_closest_marker("whole"):
                item.add_marker(pytest.mark.skip("WHOLE=1 is not set"))
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: ranks.get(item.path, len(LONG)))


@pytest.fixture(scope="session")
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    root.mkdir()
    tree = Tree(root)
    tree.git("init", "-q", "-b", "main")
    tree.dvc("init", "-q")
    tree.write(".gitignore", "/.trunkline/\n__pycache__/\n")
    tree.commit("Empty")
    return root


@pytest.fixture(scope="session")
def _letters(_empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("letters") / "project"
    shutil.copytree(_empty, root)
    return letters(Tree(root)).root


@pytest.fixture
def tree(_empty: Path, tmp_path: Path) -> Tree:
    """An empty project: git and DVC, nothing else."""
    return Tree(Path(shutil.copytree(_empty, tmp_path / "project")))


@pytest.fixture
def project(_letters: Path, tmp_path: Path) -> Tree:
    """The project `letters`, compiled and committed, not yet run."""
    return Tree(Path(shutil.copytree(_letters, tmp_path / "project")))


@pytest.fixture(scope="session")
def prefect_cache(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """XDG_CACHE_HOME of projects with a Prefect server, of all workers: one of them has migrated its database."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    cache = base / "cache"
    with open(base / "cache.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / f"trunkline/prefect-{version('prefect')}/prefect.db").exists():
            tree = keeping.make(_letters, tmp_path_factory.mktemp("first") / "project", cache)
            with keeping.kept(tree):
                tree.start()
    return cache


@pytest.fixture(scope="module")
def prefect_project(
    _letters: Path, prefect_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[keeping.Kept]:
    """The project `letters` with its own Prefect server, for a module of tests. In the end nothing is left."""
    tree = keeping.make(_letters, tmp_path_factory.mktemp("prefect") / "project", prefect_cache)
    with keeping.kept(tree):
        tree.start()
        yield tree
