"""docs/cli.md is what the commands say of themselves, and the README knows every command."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from trunkline.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "tools" / "cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(reference: ModuleType) -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert page == reference.page(), "type `make docs`"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_explained(reference: ModuleType, name: str) -> None:
    section = reference._section(name)
    rows = re.findall(r"^\| `.*", section, re.MULTILINE)
    assert [row for row in rows if re.search(r"\|\s+\|$", row)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text()


def test_the_pages_name_no_command_that_does_not_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    written = re.compile(r"(?:^ {4}|[`$] ?|&& )trunkline ([a-z]+)", re.MULTILINE)
    named = {
        (str(page.relative_to(ROOT)), name)
        for page in pages
        if page.name != "roadmap.md"
        for name in written.findall(page.read_text())
    }
    assert {name for _, name in named} > {"run", "put", "init"}, "the pattern finds what it is for"
    assert sorted((page, name) for page, name in named if name not in COMMANDS) == []
