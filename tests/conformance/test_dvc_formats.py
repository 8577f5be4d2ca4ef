"""What the store writes is what DVC writes, and DVC works on with it."""

from __future__ import annotations

import itertools
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from dvc.config import Config
from dvc.repo import Repo
from dvc.utils.serialize import modify_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scmrepo.git import Git

from tests.support import Tree
from trunkline.digest import md5_bytes
from trunkline.model import File, LockEntry, LockItem, ManifestRow
from trunkline.store import config, gitignore, lockfile, locktext, yamltext
from trunkline.store.store import DvcStore


@pytest.fixture(autouse=True)
def _no_configuration_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "user"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


def write_manifest(
    directory: str, rows: Sequence[ManifestRow], transform: str, packages: Mapping[str, str]
) -> tuple[File, ...]:
    data = transform.encode()
    Path(directory, "manifest.parquet").write_bytes(data)
    return (File("manifest.parquet", md5_bytes(data), len(data)),)


def open_store(tree: Tree) -> DvcStore:
    return DvcStore(str(tree.root), write_manifest=write_manifest)


def cache_of(tree: Tree) -> dict[str, tuple[int, bytes]]:
    top = tree.root / ".dvc/cache/files/md5"
    files = [path for path in top.rglob("*") if path.is_file()]
    return {str(p.relative_to(top)): (stat.S_IMODE(p.stat().st_mode), p.read_bytes()) for p in files}


# ---------------------------------------------------------------- sources


def _source(tree: Tree, more: bytes = b"") -> None:
    tree.write("data/raw/a.csv", b"1,2\n" + more)
    tree.write("data/raw/sub/b.csv", b"")
    tree.write("data/raw/sub/ü.csv", b"3,4\n")
    tree.write("data/raw/.git/config", b"not data")
    tree.write("data/tool", b"#!/bin/sh\n" + more).chmod(0o755)
    tree.write("data/null", b"x" + more)


def test_save_source_writes_what_dvc_add_writes(tree: Tree, tmp_path: Path) -> None:
    theirs = tree.copy(tmp_path / "theirs")
    targets = ("data/raw", "data/tool", "data/null")
    for more in (b"", b"changed"):
        for each in (tree, theirs):
            _source(each, more)
            if more:  # a person's additions stay
                pointer = each.root / "data/raw.dvc"
                text = pointer.read_text().replace("  path: raw", "  path: raw # here\n  desc: 'the raw'")
                pointer.write_text(text + "meta: {owner: me}\n")
        theirs.dvc("add", "-q", *targets)
        store = open_store(tree)
        for target in targets:
            store.save_source(target)
        store.close()
        for name in ("data/raw.dvc", "data/tool.dvc", "data/null.dvc", "data/.gitignore"):
            assert tree.read(name) == theirs.read(name), name
        assert cache_of(tree) == cache_of(theirs)
    assert tree.dvc("status").out.strip() == "Data and pipelines are up to date."


def test_what_dvc_leaves_out_of_a_dataset_is_left_out(tree: Tree) -> None:
    tree.write(".dvcignore", "*.tmp\n!keep.tmp\n/data/raw/secret/\nbuild/\ndata/raw/deep/**/x\n")
    tree.write("data/.dvcignore", "raw/*.bak\n")
    for name in (
        "a", "b.tmp", "keep.tmp", "secret/s", "sub/secret/s", "build", "sub/build/c", "c.bak", "sub/c.bak",
        "deep/1/2/x", "deep/y", ".hidden", ".hg/x", "sub/.git", "nested/.dvc/config", "nested/n", "nested/m/k",
    ):  # fmt: skip
        tree.write(f"data/raw/{name}", name)
    outside = tree.write("outside/file", "linked")
    (tree.root / "data/raw/link").symlink_to(outside)
    (tree.root / "data/raw/linked").symlink_to(outside.parent)
    (tree.root / "data/raw/empty").mkdir()
    store = open_store(tree)
    version = store.version("data/raw")
    store.close()
    tree.dvc("add", "-q", "data/raw")
    assert version == open_store(tree).pointer("data/raw.dvc")


# ---------------------------------------------------------------- dvc.lock

_VALUES: dict[str, Any] = {
    "floats": [1e-05, 1.0, 0.1, 1e22, -2.5e-07, 1e16, 123456789.123, float("inf")],
    "texts": ["on", "yes", "1e-05", "010", "12:30", "", "null", "true", "~", "a: b", "# x", " lead", "trail ", "- x"],
    "more": ["@at", "2013-01-01", "%x", "0x1F", "=", "<<", "!tag", "&a", "*a", "[1]", "{a}", "?", "---", "...", "|", ">"],
    "quotes": ["'one'", '"two"', "\\n", "tab\there", "two\nlines", "end\n", "é ☃ 😀", "a\n\nb"],
    "long": "word " * 40,
    "longer": "x" * 200,
    "wide": "é " * 60,
    "lines": "word " * 30 + "\n" + "and " * 30,
    "numbers": [3, -4, 0, 10**30, True, False, None],
    "empty": {"map": {}, "list": [], "none": None, "text": ""},
    "nested": {"z": 1, "a": [1, [2, []], {"q": None, "b": {}}], "lists": [[1, 2], [3, [4]]]},
    "on": 1,
}  # fmt: skip


def test_dvc_lock_is_what_dvc_repro_writes(tree: Tree) -> None:
    import json

    stages, declared = [], {}
    for index, (name, value) in enumerate(_VALUES.items()):
        declared[name] = {"params": value, "also": index}
        dep = f"deps: [data/{index - 1}, code.py]" if index else "deps: [code.py]"
        stages.append(
            f"  p-{name}:\n    cmd: mkdir -p data/{index} && echo a rather long command number {index} > data/{index}/x\n"
            f"    {dep}\n    params: [pipelines/p.yaml: [stages.{name}, top]]\n    outs: [data/{index}]\n"
        )
    tree.write("dvc.yaml", "stages:\n" + "".join(stages))
    text = json.dumps({"stages": declared, "top": 1}, ensure_ascii=False).replace("Infinity", ".inf")
    tree.write("pipelines/p.yaml", text)
    tree.write("code.py", "x = 1\n").chmod(0o755)
    tree.dvc("repro", "-q")
    written = tree.read("dvc.lock")
    entries = lockfile.parse(written)
    order = list(entries)
    assert order == [f"p-{name}" for name in _VALUES]
    assert entries["p-floats"].params["pipelines/p.yaml"]["stages.floats"] == declared["floats"]
    for shuffled in (order, order[::-1], order[1::2] + order[::2]):
        (tree.root / "dvc.lock").unlink()
        store = open_store(tree)
        for name in shuffled:
            store.write_lock(name, entries[name], order)
        store.close()
        assert tree.read("dvc.lock") == written
    assert tree.dvc("status").out.strip() == "Data and pipelines are up to date."


def _kept(value: object) -> bool:
    """DVC's library loses digits of some floats when it writes a file again (6.506908409096321e+16)."""
    text = yamltext.dump({"key": value})
    return yamltext.dump(yamltext.load_commented(text)) == text


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False).filter(_kept),
    st.text(
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029\ufeff"),
        max_size=120,
    ),
    st.text("ab #:-'\"\n", max_size=200),
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text("abc:- é", min_size=1, max_size=150), inner, max_size=4),
    ),
    max_leaves=8,
)
_ENTRIES = st.builds(
    lambda cmd, params, deps: LockEntry(cmd, deps, {"pipelines/p.yaml": {"stages.s": params}}, deps[:1]),
    st.text("abc -:#'\"&|", min_size=1, max_size=150),
    _TREES,
    st.lists(
        st.builds(
            LockItem,
            st.text("abc/.", min_size=1, max_size=100),
            st.just("0" * 32 + ".dir"),
            st.integers(0, 10**12),
            st.none() | st.integers(0, 9),
            st.booleans(),
        ),
        max_size=3,
        unique_by=lambda item: item.path,
    ).map(tuple),
)


def _dvc_writes(path: Path, name: str, entry: LockEntry) -> str:
    with modify_yaml(str(path)) as data:  # as dvc.dvcfile.Lockfile.dump_stages does
        if not data:
            data.update({"schema": "2.0"})
        data["stages"] = data.get("stages", {})
        data["stages"].update({name: lockfile.as_data(entry)})
    return path.read_text(encoding="utf-8")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(["p-a", "p-b", "p-c"]), _ENTRIES), min_size=1, max_size=5))
def test_any_sequence_of_writes_gives_dvcs_bytes(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[str, LockEntry]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "theirs.lock"
    path.unlink(missing_ok=True)
    ours = ""
    for name, entry in writes:
        ours = locktext.put(ours, name, lockfile.as_data(entry), ())
        assert ours == _dvc_writes(path, name, entry)


_SHARED = {"layers": [1, 2]}
_ALIASED = LockEntry("x", (), {"pipelines/p.yaml": {"stages.s": {"one": _SHARED, "two": _SHARED}}}, ())
_PLAIN = LockEntry("y", (), {}, (LockItem("data/p/s", "0" * 32, 1),))


@pytest.mark.parametrize(
    "text",
    [
        "# by hand\nschema: '2.0'\nstages:\n  p-a:\n    cmd: x   # why\n    # here\n  other:\n    cmd: z\n",
        "schema: '2.0'\nstages:\n    p-a:\n        cmd: x\n        deps: []\n",
        "schema: '2.0'\nstages: {p-a: {cmd: x}}\ndatasets:\n- name: d\n  url: u\n",
        "stages: {}\nschema: '2.0'\n",
        "schema: '2.0'\nstages:\n  'on':\n    cmd: x\n  mx@a-1:\n    cmd: x\ndatasets:\n- name: d\n  url: u\n",
        "schema: '2.0'\r\nstages:\r\n  p-a:\r\n    cmd: x\r\n",
        "",
    ],
)
def test_files_in_another_form_and_aliases_go_the_way_of_dvc(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dvc.lock"
    path.write_text(text, newline="")
    ours = text
    for name, entry in (
        ("p-a", _ALIASED),
        ("p-b", _PLAIN),
        ("p-c", _ALIASED),
        ("p-a", _PLAIN),
        ("p-b", _ALIASED),
    ):
        ours = locktext.put(ours, name, lockfile.as_data(entry), ())
        assert ours == _dvc_writes(path, name, entry)


# ---------------------------------------------------------------- everything together


def _publish(tree: Tree, contents: dict[str, bytes]) -> None:
    """What the engine does for one stage `p.s`."""
    store = open_store(tree)
    scratch = store.scratch()
    files = []
    for name, data in contents.items():
        path = Path(scratch, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        files.append(File(name, md5_bytes(data), len(data)))
    store.adopt(scratch, files)
    source = store.save_source("data/raw").version
    version = store.checkout("data/p/s", files)
    manifest = store.save_manifest("data/p/.manifests/s", [], repr(sorted(contents)))
    outs = (LockItem("data/p/s", *version), LockItem("data/p/.manifests/s", *manifest))
    params = {"pipelines/p.yaml": {"stages.s": {"rate": 1e-05}}}
    store.write_lock("p-s", LockEntry("true", (LockItem("data/raw", *source),), params, outs))
    store.close()


def test_dvc_works_on_with_what_we_wrote(tree: Tree, tmp_path: Path) -> None:
    tree.write("data/raw/a.csv", "1\n")
    tree.write("pipelines/p.yaml", "stages:\n  s: {rate: 1e-05}\n")
    tree.write(
        "dvc.yaml",
        "stages:\n  p-s:\n    cmd: 'true'\n    deps: [data/raw]\n    params: [pipelines/p.yaml: [stages.s]]\n"
        "    outs: [data/p/s, data/p/.manifests/s]\n",
    )
    first = {"train/a.parquet": b"a", "train/b.parquet": b"b", "test/a.parquet": b"", "empty": b""}
    _publish(tree, first)
    assert tree.dvc("status").out.strip() == "Data and pipelines are up to date."
    tree.commit()
    _publish(tree, {"train/a.parquet": b"a2", "test/a.parquet": b""})
    diff = tree.dvc("diff", "--json").out
    assert '"data/p/s/train/b.parquet"' in diff
    assert "up to date" in tree.dvc("repro").out
    tree.dvc("remote", "add", "-d", "there", str(tmp_path / "remote"))
    tree.dvc("gc", "-wf")
    tree.dvc("push")
    before = tree.contents("data")
    for path in ("data/raw", "data/p/s", "data/p/.manifests/s", ".dvc/cache"):
        tree.command("rm", "-rf", path)
    tree.dvc("pull")
    assert tree.contents("data") == before
    store = open_store(tree)
    assert store.version("data/p/s") is not None
    lock = store.lock_entry("p-s")
    assert lock is not None
    assert {out.path: out.md5 for out in lock.outs}["data/p/s"] == store.version("data/p/s").oid  # type: ignore[union-attr]
    store.close()
    assert tree.dvc("status").out.strip() == "Data and pipelines are up to date."


@pytest.mark.parametrize(
    "before", [None, "", "/other\n", "/other", "/data\n", "/s\n", "s/\n", "*\n!/s\n", "/s"]
)
def test_ignore_lines_are_dvcs(tree: Tree, tmp_path: Path, before: str | None) -> None:
    (tree.root / "data/p/s").mkdir(parents=True)
    if before is not None:
        tree.write("data/p/.gitignore", before)
    theirs = tree.copy(tmp_path / "theirs")
    Git(str(theirs.root)).ignore(str(theirs.root / "data/p/s"))
    gitignore.ensure(str(tree.root), "data/p/s")
    ours = tree.root / "data/p/.gitignore"
    other = theirs.root / "data/p/.gitignore"
    assert ours.exists() == other.exists()
    assert not ours.exists() or ours.read_bytes() == other.read_bytes()


# ---------------------------------------------------------------- configuration


_CONFIGS = [
    "",
    "[cache]\n    dir = ../elsewhere\n",
    "[cache]\ndir = /abs/olute # here\n[core]\n    remote = r\n    hardlink_lock = true\n['remote \"r\"']\n    url = ../r\n",
    "[Cache]\n    DIR = 'quo ted'\n",
    "[cache]\n    dir = ~/home\n    type = hardlink,symlink\n    shared = group\n",
]  # fmt: skip


@pytest.mark.parametrize(("user", "project", "local"), list(itertools.permutations(_CONFIGS, 3))[::7])
def test_configuration_is_read_as_dvc_reads_it(
    tree: Tree, tmp_path: Path, user: str, project: str, local: str
) -> None:
    for path, text in (
        (tmp_path / "user/config", user),
        (tree.root / ".dvc/config", project),
        (tree.root / ".dvc/config.local", local),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    theirs = Config(str(tree.root / ".dvc"))
    ours = config.load(str(tree.root))
    assert ours.cache_dir == theirs["cache"].get("dir", str(tree.root / ".dvc/cache"))
    assert ours.hardlink_lock == theirs["core"].get("hardlink_lock", False)
    assert ours.shared == (theirs["cache"].get("shared") == "group")
    assert {name: values["url"] for name, values in (ours.remotes or {}).items()} == {
        name: values["url"] for name, values in theirs["remote"].items()
    }


def test_a_temporary_experiment_and_a_worktree_find_the_cache_that_dvc_finds(
    tree: Tree, tmp_path: Path
) -> None:
    script = "from trunkline.store.config import load; print(load('.').cache_dir)"
    tree.write("where.py", script + "\n")
    tree.write(
        "dvc.yaml",
        f"stages:\n  w:\n    cmd: {sys.executable} where.py > where.txt\n    deps: [where.py]\n"
        "    params: [params.yaml: [x]]\n    outs: [where.txt: {cache: false}]\n",
    )
    tree.write("params.yaml", "x: 1\n")
    tree.commit()
    tree.dvc("exp", "run", "-q", "--temp", "-n", "one", "-S", "params.yaml:x=2")
    name = tree.git("for-each-ref", "--format=%(refname)", "refs/exps/**/one").out.strip()
    assert tree.git("show", f"{name}:where.txt").out.strip() == str(tree.root / ".dvc/cache")
    tree.git("worktree", "add", "-q", str(tmp_path / "worktree"))
    repo = Repo(str(tmp_path / "worktree"))
    assert config.load(str(tmp_path / "worktree")).cache_dir == repo.cache.local_cache_dir
    repo.close()


def test_an_object_that_we_write_has_the_mode_that_dvc_trusts(tree: Tree) -> None:
    old = os.umask(0o077)
    try:
        tree.write("data/raw/a.csv", "1\n")
        store = open_store(tree)
        store.save_source("data/raw")
        store.close()
    finally:
        os.umask(old)
    assert {mode for mode, _ in cache_of(tree).values()} == {0o444}
