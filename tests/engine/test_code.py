"""Which files are a stage's code, and which edits of them mean something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.world import Facts, World
from trunkline.digest import md5_bytes
from trunkline.engine.code import Code
from trunkline.errors import ProjectError
from trunkline.model import Command, Function, Stage, Version
from trunkline.runners.command import located

CLEAN = """\
import json
import numpy
import trunkline.errors
from stages.lib import text
from . import shared


def clean(raw):
    from stages.late import when_needed

    return text.strip(raw) + shared.END


def _hidden():
    pass
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.write("stages/clean.py", CLEAN)
    world.write("stages/__init__.py", "")
    world.write("stages/shared.py", "END = '.'\n")
    world.write("stages/late.py", "def when_needed():\n    from ..outside import x\n")
    world.write("stages/unused.py", "")
    world.write("stages/lib/__init__.py", "from .paths import join\n")
    world.write("stages/lib/text.py", "import stages.clean\n\n\ndef strip(x):\n    return x.strip()\n")
    world.write("stages/lib/paths.py", "def join():\n    pass\n")
    world.write("trunkline/errors.py", "")
    return world


def function(module: str = "stages.clean", *more: str) -> Stage:
    return Stage("p", "s", Function(module, "clean"), code=more)


def command(*argv: str, code: tuple[str, ...] = ()) -> Stage:
    return Stage("p", "s", Command(argv), code=code)


# ---------------------------------------------------------------- which files


def test_a_module_and_what_it_imports_of_the_project(world: World) -> None:
    """Packages, relative imports, imports in functions, cycles; neither trunkline nor libraries."""
    assert world.code().files(function()) == (
        "stages/__init__.py",
        "stages/clean.py",
        "stages/late.py",
        "stages/lib/__init__.py",
        "stages/lib/paths.py",
        "stages/lib/text.py",
        "stages/shared.py",
    )


def test_a_package_goes_before_a_module_of_its_name(world: World) -> None:
    world.write("stages/lib.py", "import stages.unused\n")
    assert "stages/lib.py" not in world.code().files(function())
    assert "stages/unused.py" not in world.code().files(function())


def test_a_directory_without_init_is_a_package_too(world: World) -> None:
    world.write("loose/a.py", "from loose import b\nimport loose.nothing\n")
    world.write("loose/b.py", "")
    assert world.code().files(function("loose.a")) == ("loose/a.py", "loose/b.py")
    assert world.code().files(function("loose.nothing")) == ()


def test_declared_files_count_and_must_be_there(world: World) -> None:
    world.write("sql/query.sql", "select 1\n")
    assert "sql/query.sql" in world.code().files(function("stages.unused", "sql/query.sql"))
    with pytest.raises(ProjectError, match=r"stage p\.s names a code file that does not exist: sql/no\.sql"):
        world.code().files(command("true", code=("sql/no.sql",)))


def test_a_commands_code_is_what_its_arguments_name(world: World) -> None:
    world.write("scripts/run.sh", "")
    stage = command("sh", "./scripts/run.sh", "scripts", "--flag=scripts/run.sh", "/etc/passwd", "../x", "")
    assert world.code().files(stage) == ("scripts/run.sh",)
    assert isinstance(stage.run, Command)
    assert located(stage.run.argv, str(world.root)) == [
        "sh", f"{world.root}/scripts/run.sh", *stage.run.argv[2:]
    ]  # fmt: skip


def test_the_functions_of_a_module(world: World) -> None:
    assert world.code().functions("stages.clean") == frozenset({"clean", "_hidden"})
    assert world.code().functions("numpy") is None
    assert world.code().functions("trunkline.errors") is None


# ---------------------------------------------------------------- what they mean


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("stages/clean.py", CLEAN + "\n# a comment\n"),
        ("stages/shared.py", 'END = "."\n'),
        ("stages/lib/text.py", 'import stages.clean\ndef strip(x):\n    "Strips."\n    return (x.strip())\n'),
        ("stages/unused.py", "X = 1\n"),
    ],
)
def test_edits_without_meaning(world: World, path: str, text: str) -> None:
    before = world.code().digest(function())
    world.write(path, text)
    assert world.code().digest(function()) == before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("stages/shared.py", "END = '!'\n"),
        ("stages/lib/paths.py", "def join():\n    return 1\n"),
        ("stages/late.py", "def when_needed():\n    pass\n"),
        ("stages/__init__.py", "X = 1\n"),
    ],
)
def test_edits_with_meaning(world: World, path: str, text: str) -> None:
    before = world.code().digest(function())
    world.write(path, text)
    assert world.code().digest(function()) != before


def test_what_is_not_python_counts_by_its_bytes(world: World) -> None:
    world.write("scripts/run.sh", "echo 1\n")
    stage = command("sh", "scripts/run.sh")
    before = world.code().digest(stage)
    world.write("scripts/run.sh", "echo 1 # more\n")
    assert world.code().digest(stage) != before


def test_the_name_of_a_file_is_part_of_its_meaning(world: World) -> None:
    world.write("a.py", "X = 1\n")
    world.write("b.py", "X = 1\n")
    assert world.code().digest(command("python", "a.py")) != world.code().digest(command("python", "b.py"))


# ---------------------------------------------------------------- what is remembered


def test_a_file_is_parsed_once_in_its_life(world: World) -> None:
    first = world.code().digest(function())
    known = dict(world.facts.known)
    for path in world.root.rglob("*.py"):
        path.write_text("not what it was hashed as: it must not be read")
    assert world.code().digest(function()) == first
    assert world.facts.known == known


def test_what_was_edited_since_it_was_hashed_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("X = 2\n")
    facts = Facts()
    old = Version(md5_bytes(b"X = 1\n"), 6, None)
    Code(str(tmp_path), lambda path: old if path == "a.py" else None, facts).module("a")
    assert facts.known == {}
    (tmp_path / "a.py").write_text("X = 1\n")
    Code(str(tmp_path), lambda path: old if path == "a.py" else None, facts).module("a")
    assert [kind for kind, _ in facts.known] == ["module", "defines"]


# ---------------------------------------------------------------- what changed


def changed(world: World, path: str, text: str, stage: Stage) -> list[tuple[str, int, str]]:
    """(name, line, user) of what is said to have changed in a file, by another session than the first."""
    world.code().digest(stage)
    old = world.store.datasets[path].version.oid
    world.write(path, text)
    return [(part.name or part.kind, part.line, part.user) for part in world.code().parts(stage, path, old)]


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("stages/clean.py", "+ shared.END", "+ shared.END * 2", [("clean", 8, "")]),
        ("stages/clean.py", "    pass", "    return 1", [("_hidden", 14, "")]),
        ("stages/shared.py", "'.'", "'!'", [("END", 1, "clean")]),
        ("stages/lib/text.py", "x.strip()", "x", [("strip", 4, "clean")]),
        ("stages/lib/paths.py", "pass", "return 1", [("join", 1, "")]),
        ("stages/lib/text.py", "\n\n\n", "  # why\n\n", [("comments", 0, "")]),
    ],
)
def test_which_function_changed(
    world: World, path: str, old: str, new: str, expected: list[tuple[str, int, str]]
) -> None:
    """Without a commit, and though nobody has the old text any more: it was read when it was first seen."""
    text = (world.root / path).read_text()
    assert old in text
    assert changed(world, path, text.replace(old, new), function()) == expected


def test_the_old_text_is_looked_for_where_it_was_forgotten(world: World) -> None:
    before = (world.root / "stages/shared.py").read_bytes()
    old = world.store.datasets["stages/shared.py"].version.oid
    world.write("stages/shared.py", "END = '!'\n")
    asked: list[tuple[str, str]] = []

    def past(path: str, md5: str) -> bytes | None:
        asked.append((path, md5))
        return before if md5 == old else None

    def parts(found: Callable[[str, str], bytes | None], md5: str) -> list[str]:
        code = Code(str(world.root), world.store.version, world.facts, found)
        return [part.name or part.kind for part in code.parts(function(), "stages/shared.py", md5)]

    assert parts(lambda path, md5: None, old) == ["unknown"]
    assert parts(past, "0" * 32) == ["unknown"]
    assert parts(past, old) == ["END"]
    assert asked == [("stages/shared.py", "0" * 32), ("stages/shared.py", old)]
    assert parts(lambda path, md5: None, old) == ["END"], "remembered from then on"


def test_of_what_is_no_python_no_part_is_named(world: World) -> None:
    world.write("scripts/run.sh", "echo 1\n")
    assert changed(world, "scripts/run.sh", "echo 2\n", command("sh", "scripts/run.sh")) == []
    assert changed(world, "stages/shared.py", "END = (\n", function()) == []
