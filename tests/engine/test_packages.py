"""The version of an installed package: what `importlib.metadata` says, without importing that."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from trunkline.engine import packages


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    packages._installed.cache_clear()


def test_as_package_metadata_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["scikit-learn", "ruamel-yaml", "numpy", "dvc", "pyyaml"]
    expected = {name: metadata.version(name) for name in names}

    def refuse(name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(packages, "import_module", refuse)
    assert {name: packages.version(name) for name in names} == expected


def test_what_is_not_installed_has_none() -> None:
    assert packages.version("no-such-package") == ""


def test_where_there_are_two_it_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version in (("first", "1.0"), ("second", "2.0")):
        info = tmp_path / folder / f"Some.Thing-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Some.Thing\nVersion: {version}\n")
    folders = [str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "nothing")]
    monkeypatch.setattr(sys, "path", [*folders, *sys.path])
    assert packages.version("some-thing") == metadata.version("some-thing") == "1.0"
