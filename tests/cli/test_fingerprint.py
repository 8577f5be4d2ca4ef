"""`fingerprint: {packages: [...]}`: another version runs the stage, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.support import Tree
from trunkline.engine import packages


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of packages that commands find, in this process and in others."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def install(site: Path, version: str) -> None:
    """The package `thing` at this version and no other."""
    for old in site.iterdir():
        old.rename(site / f"thing-{version}.dist-info")
        break
    else:
        (site / f"thing-{version}.dist-info").mkdir()
    info = site / f"thing-{version}.dist-info"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Thing\nVersion: {version}\n")
    packages._installed.cache_clear()


def test_another_version_runs_the_stage(letters: Tree, cli: Cli, site: Path) -> None:
    install(site, "1.0")
    text = letters.read("pipelines/letters.yaml")
    line = '    params: {suffix: "!"}\n'
    letters.write(
        "pipelines/letters.yaml", text.replace(line, f"{line}    fingerprint: {{packages: [Thing]}}\n")
    )
    letters.trunkline("run")
    assert letters.counts()["letters.upper"] == (3, 0, 0), "it counts as code from now on"
    assert cli("status").out == "everything is up to date\n"
    install(site, "2.0")
    stage = cli("status", "--json", code=1).data["stages"][0]
    (reason,) = stage["reasons"]
    assert (reason["kind"], reason["text"]) == ("package_changed", "the package thing was 1.0, is 2.0")
    assert stage["datums"]["run"] == 3
    assert "    the package thing was 1.0, is 2.0\n" in cli("why", "letters.upper", "--datum", "a").out
    assert cli("run", "--accept", "letters.upper", "--json").data["stages"][0]["accepted"] == 3
    assert cli("status").out == "everything is up to date\n"
    install(site, "1.0")
    assert cli("plan", "--json").data["stages"][0]["decision"] == "reuse", "its results are known"


def test_a_package_that_is_not_there(letters: Tree, cli: Cli, site: Path) -> None:
    text = letters.read("pipelines/letters.yaml")
    line = '    params: {suffix: "!"}\n'
    letters.write(
        "pipelines/letters.yaml", text.replace(line, f"{line}    fingerprint: {{packages: [Thing]}}\n")
    )
    packages._installed.cache_clear()
    assert "the package 'Thing' is not installed here" in cli("status", code=2).err
