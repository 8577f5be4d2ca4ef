"""What `Tree.trunkline` and `Tree.dvc` fork says, does and ends as the program that is started anew."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from tests import forked
from tests.support import Tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")


@pytest.mark.parametrize(
    ("program", "arguments", "extra"),
    [
        ("trunkline", ("status",), {}),
        ("trunkline", ("stauts",), {}),
        ("trunkline", ("run",), {"TRUNKLINE_ENGINE": "steam"}),
        ("dvc", ("status", "--json"), {}),
        ("dvc", ("add", "nothing"), {}),
    ],
)
def test_it_says_and_ends_as_one_that_begins_anew(
    project: Tree, program: str, arguments: tuple[str, ...], extra: dict[str, str]
) -> None:
    environment = project.environment(**extra)
    template = forked.template(program, environment)
    assert template is not None
    anew = project.command(sys.executable, "-m", program, *arguments, check=False, **extra)
    assert template.run(arguments, project.root, environment) == (
        anew.code,
        anew.out,
        anew.err,
    )


def test_it_has_the_umask_of_the_test(project: Tree) -> None:
    before = os.umask(0o027)
    try:
        project.trunkline("run")
    finally:
        os.umask(before)
    assert stat.S_IMODE((project.root / ".trunkline/runs").stat().st_mode) == 0o750


def test_what_python_reads_as_it_starts_is_not_forked(project: Tree) -> None:
    assert forked.template("trunkline", project.environment())
    assert not forked.template("trunkline", project.environment(PYTHONHASHSEED="1"))
