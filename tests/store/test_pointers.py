from __future__ import annotations

import pytest

from tests.support import Tree
from trunkline.errors import SpecError, StoreError
from trunkline.model import Version
from trunkline.store import pointers
from trunkline.store.store import DvcStore

TEXT = """\
outs:
- md5: 0bf3577fad45514b4e49807542620419.dir
  size: 12
  nfiles: 3
  hash: md5
  path: x
"""
VERSION = Version("0bf3577fad45514b4e49807542620419.dir", 12, 3)
OTHER = Version("1bf3577fad45514b4e49807542620419.dir", 13, 4)


def test_a_new_pointer_and_reading_it_back() -> None:
    assert pointers.updated("", "data/x", VERSION) == TEXT
    assert pointers.parse(TEXT, "data/x.dvc") == VERSION


def test_what_a_person_added_stays() -> None:
    text = "# mine\n" + TEXT.replace("  path: x\n", "  path: x\n  desc: why   # so\n") + "meta: {a: 1}\n"
    expected = text.replace("0bf", "1bf").replace("12", "13").replace("nfiles: 3", "nfiles: 4")
    assert pointers.updated(text, "data/x", OTHER) == expected


def test_a_directory_becomes_a_file_and_back() -> None:
    single = Version("0" * 32, 5, None)
    text = pointers.updated(TEXT, "data/x", single, executable=True)
    assert "nfiles" not in text
    assert "isexec: true" in text
    assert pointers.parse(text, "data/x.dvc") == single
    assert pointers.parse(pointers.updated(text, "data/x", VERSION), "data/x.dvc") == VERSION
    assert "isexec" not in pointers.updated(text, "data/x", VERSION)


def test_an_import_is_not_ours_to_change() -> None:
    text = TEXT + "deps:\n- path: there\n  repo: {url: u}\nfrozen: true\n"
    assert pointers.parse(text, "data/x.dvc") == VERSION
    with pytest.raises(StoreError, match="was imported"):
        pointers.updated(text, "data/x", OTHER)


def test_pointers_that_name_no_content() -> None:
    assert pointers.parse("outs:\n- path: x\n  hash: md5\n", "x.dvc") is None
    assert pointers.parse("outs:\n- path: x\n  files:\n  - relpath: a\n    md5: b\n", "x.dvc") is None
    assert pointers.parse("outs:\n- md5: abc.dir\n  path: x\n", "x.dvc") == Version("abc.dir", -1, -1)


@pytest.mark.parametrize("text", ["", "[]", "outs: {}\n", "outs: []\n", "outs: [1]\n", "x"])
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match="not one that `dvc add` writes") as caught:
        pointers.parse(text, "data/x.dvc")
    assert caught.value.where == "data/x.dvc"


def test_broken_yaml_is_shown() -> None:
    with pytest.raises(SpecError, match=r"data/x\.dvc:\d"):
        pointers.parse("outs:\n- {\n", "data/x.dvc")


def test_sources_and_their_pointers(tree: Tree, store: DvcStore) -> None:
    assert store.sources() == {}
    tree.write("data/x.dvc", TEXT)
    tree.write("data/a.dvc", TEXT)
    tree.write("data/.dvc/config", "")
    tree.write("data/other.txt", "")
    assert list(store.sources().items()) == [("a", "data/a.dvc"), ("x", "data/x.dvc")]
    for _ in range(2):
        assert store.pointer("data/x.dvc") == VERSION
    assert store.pointer("data/y.dvc") is None
    tree.write("data/x.dvc", TEXT.replace("12", "13"))
    assert store.pointer("data/x.dvc") == VERSION._replace(size=13)
