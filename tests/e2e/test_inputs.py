"""Inputs as a user meets them: clocks, references, what does not propagate, groups and unions in functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Tree

CODE = '''\
"""Stages that say what they were given."""

from pathlib import Path


def seen(tick: Path):
    return {f"{tick.name}.txt": f"{tick.stat().st_size}"}


def together(letters: Path, words: Path | None = None):
    """A group: directories of what has the key, one of them perhaps not there."""
    found = sorted(path.name for path in letters.iterdir())
    more = sorted(path.name for path in words.iterdir()) if words is not None else None
    return {f"{(found or more)[0][0]}.txt": f"{found} {more}"}


def either(a: list[Path] | None = None, b: Path | None = None):
    """A union: one of them."""
    return {f"{a[0].stem}.txt": "a"} if a else {f"{b.stem}.txt": f"b {b.stat().st_size}"}


def named(w: Path):
    return {f"{w.name}.txt": w.read_text()}


def scaled(raw: Path, factor: Path):
    return {f"{raw.name}.txt": raw.read_text() + factor.read_text()}
'''


@pytest.fixture
def tree(_empty: Path, tmp_path: Path) -> Tree:
    """A project with two source datasets and some functions."""
    made = Tree(_empty).copy(tmp_path / "project")
    made.write("stages/inputs.py", CODE)
    for name in ("x1", "x2", "y1"):
        made.write(f"data/letters/{name}", name)
    for name in ("xx", "zz"):
        made.write(f"data/words/{name}", name)
    made.dvc("add", "-q", "data/letters", "data/words")
    return made


def pipeline(tree: Tree, **stages: str) -> None:
    """Write the pipeline p; `stage="function <- input"`."""
    text = "pipeline: p\nstages:\n"
    for name, (run, declared) in ((name, said.split(" <- ")) for name, said in stages.items()):
        text += f"  {name}:\n    run: stages.inputs:{run}\n    input: {declared}\n"
    tree.write("pipelines/p.yaml", text)


def published(tree: Tree, stage: str) -> dict[str, str]:
    found = tree.contents(f"data/p/{stage}")
    return {path.removeprefix(f"data/p/{stage}/"): data.decode() for path, data in found.items()}


def test_a_clock_ticks_when_a_run_begins(tree: Tree) -> None:
    """The clock's ticks are years apart: none falls into the test."""
    clock = '{cron: {name: tick, spec: "@every 20000h", start: "2020-01-01"}}'
    pipeline(tree, s=f"seen <- {clock}")
    ahead = tree.trunkline("plan", "--json").data
    [due] = ahead["ticks"]
    assert due["dataset"] == "p_tick"
    assert due["new"][:2] == ["2022-04-13T08:00:00Z", "2024-07-24T16:00:00Z"]
    assert "ticks are due" in tree.trunkline("status", check=False).out
    assert not (tree.root / "data/p_tick").exists(), "a plan writes nothing"

    assert "wrote data/p_tick.dvc" in tree.trunkline("run").out
    assert published(tree, "s") == {f"{tick}.txt": "0" for tick in due["new"]}
    assert tree.trunkline("status").code == 0
    assert tree.trunkline("plan", "--json").data["ticks"] == []
    assert "up to date" in tree.dvc("status").out
    assert "interval: 72000000" in tree.read("prefect.yaml")

    (tree.root / "data/p_tick" / due["new"][-1]).unlink()  # as if it were still to come
    tree.dvc("add", "-q", "data/p_tick")
    tree.dvc("repro")
    assert f"{due['new'][-1]}.txt" not in published(tree, "s"), "dvc repro takes the ticks that are there"
    assert tree.trunkline("status", check=False).code == 1
    tree.trunkline("run")
    assert tree.counts()["p.s"] == (0, len(due["new"]), 0)
    assert list(published(tree, "s")) == [f"{tick}.txt" for tick in due["new"]]


def test_a_changed_reference_leaves_the_same_bytes_with_both_runners(tree: Tree, tmp_path: Path) -> None:
    inputs = (
        "{cross: [{name: raw, dataset: letters, glob: /*}, "
        "{name: factor, dataset: words, glob: /xx, reference: true}]}"
    )
    pipeline(tree, s=f"scaled <- {inputs}")
    tree.trunkline("run")
    before = published(tree, "s")
    tree.write("data/words/xx", "other")
    other = tree.copy(tmp_path / "other")
    tree.trunkline("run")
    other.dvc("repro")
    assert tree.counts() == other.counts() == {"p.s": (0, 3, 0)}
    assert published(tree, "s") == before
    assert tree.published() == other.published()
    for each in (tree, other):
        assert each.trunkline("status").code == 0
        assert "up to date" in each.dvc("status").out


def test_what_does_not_propagate_holds_nothing_up(tree: Tree) -> None:
    """Below a stage that must run, what reads it without propagation is up to date, and read when it runs."""
    inputs = (
        "{cross: [{name: raw, dataset: letters, glob: /*}, "
        "{name: factor, dataset: up, glob: /zz.txt, propagation: never}]}"
    )
    pipeline(
        tree,
        up="named <- {w: words/*}",
        s=f"scaled <- {inputs}",
    )
    tree.trunkline("run")
    assert published(tree, "s")["x1.txt"] == "x1zz"
    assert "data/p/up" not in tree.read("dvc.lock").partition("p-s:")[2].partition("outs:")[0]
    tree.write("data/words/zz", "new")
    plan = {stage["stage"]: stage["decision"] for stage in tree.trunkline("plan", "--json").data["stages"]}
    assert plan == {"p.up": "run", "p.s": "reuse"}
    tree.trunkline("run")
    assert set(tree.counts()) == {"p.up"}
    assert published(tree, "s")["x1.txt"] == "x1zz"

    tree.write("data/words/zz", "newer")
    tree.write("data/letters/x3", "x3")
    plan = {stage["stage"]: stage["decision"] for stage in tree.trunkline("plan", "--json").data["stages"]}
    assert plan == {"p.up": "run", "p.s": "wait"}, "with a reason of its own it waits for what it will read"
    tree.trunkline("run")
    assert (published(tree, "s")["x1.txt"], published(tree, "s")["x3.txt"]) == ("x1newer", "x3newer")
    assert tree.trunkline("status").code == 0


def test_groups_and_unions_in_functions(tree: Tree) -> None:
    by = '{name: %s, dataset: %s, glob: "/(?)*", group_by: $1}'
    either = "{name: a, dataset: letters, glob: /x*}, {name: b, dataset: words, glob: /*, empty_files: true}"
    both = f"{by % ('letters', 'letters')}, {by % ('words', 'words')}"
    pipeline(
        tree,
        g=f"together <- {{group: [{both}]}}",
        u=f"either <- {{union: [{either}]}}",
    )
    done = tree.trunkline("run", check=False)
    assert done.code == 3, "the key z is in one dataset alone, and `letters` has no default"
    assert "wants `letters`" in done.out
    tree.write(
        "stages/inputs.py",
        CODE.replace("def together(letters: Path,", "def together(letters: Path = Path('none'),").replace(
            "for path in letters.iterdir())", "for path in letters.glob('*'))"
        ),
    )
    tree.trunkline("run")
    assert published(tree, "g") == {
        "x.txt": "['x1', 'x2'] ['xx']",
        "y.txt": "['y1'] None",
        "z.txt": "[] ['zz']",
    }
    assert published(tree, "u") == {"x1.txt": "a", "x2.txt": "a", "xx.txt": "b 0", "zz.txt": "b 0"}
    assert tree.trunkline("status").code == 0
    (tree.root / "data/letters/x2").unlink()
    tree.trunkline("run")
    assert published(tree, "g")["x.txt"] == "['x1'] ['xx']"
