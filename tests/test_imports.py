"""Imports are free, and "nothing to do" pays for nothing that it does not need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support import Tree

HEAVY = {
    "asyncio", "concurrent.futures", "dvc", "dvc_data", "importlib.metadata", "multiprocessing", "numpy",
    "pandas", "prefect", "pyarrow", "rich", "ruamel", "scipy", "sklearn", "subprocess", "tempfile",
}  # fmt: skip

PROBE = """\
import sys
from trunkline.cli.main import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def done(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The project `letters`, with nothing left to do."""
    tree = Tree(_letters).copy(tmp_path_factory.mktemp("done") / "project")
    tree.trunkline("run")
    tree.trunkline("run")
    return tree


@pytest.mark.parametrize("command", ["status", "plan", "run"])
def test_nothing_to_do_imports_nothing_heavy(done: Tree, command: str) -> None:
    answer = done.command(sys.executable, "-c", PROBE, command, "--json")
    imported = set(answer.err.splitlines()[-1].split())
    assert "trunkline.project" in imported
    assert imported & HEAVY == set()


def test_the_command_line_imports_only_the_chosen_command(done: Tree) -> None:
    answer = done.command(sys.executable, "-c", PROBE, "plan", "--help")
    imported = {name for name in answer.err.split() if name.startswith("trunkline.cli.")}
    assert imported == {
        "trunkline.cli.main",
        "trunkline.cli.options",
        "trunkline.cli.output",
        "trunkline.cli.plan",
    }


def test_importing_trunkline_imports_nothing_else(done: Tree) -> None:
    code = "import sys, trunkline; print(*[m for m in sys.modules if m.startswith('trunkline')])"
    assert done.command(sys.executable, "-c", code).out.split() == ["trunkline"]


def test_nothing_to_do_starts_no_process(done: Tree) -> None:
    """Not even one of git: seen by the audit events that starting a process raises."""
    guard = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('os.fork', 'os.posix_spawn', 'os.exec', 'subprocess.Popen', 'os.system'):\n"
        "        raise SystemExit(f'{event} {args}')\n"
        "sys.addaudithook(hook)\n"
    )
    for command in ("status", "plan", "run"):
        assert done.command(sys.executable, "-c", guard + PROBE, command).code == 0
