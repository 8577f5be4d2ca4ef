"""DVC's own verbs on a project of ours: what they leave, we take as their users expect; and back."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance.verbs import RAW, replace, settled, shout_louder
from tests.support import Tree, letters

# ---------------------------------------------------------------- commit


def test_dvc_commit_accepts_a_change_of_code(ran: Tree) -> None:
    before = ran.contents("data")
    shout_louder(ran)
    ran.dvc("commit", "-q", "-f")
    settled(ran)
    why = ran.trunkline("why", "letters.upper")
    assert "up to date" in why.out
    assert "accepted by dvc commit: other code" in why.out
    ran.trunkline("run")
    assert ran.contents("data") == before, "what was accepted is not made again"
    ran.write(f"{RAW}/a.txt", "omega")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (3, 0, 0), "accepted is not the same as made by this code"
    assert ran.read("data/letters/upper/b.txt") == "BETA?!"


def test_dvc_commit_accepts_an_edited_output(ran: Tree) -> None:
    ran.write("data/letters/total/metrics.json", '{"characters": 1000}')
    assert "is not what dvc.lock says" in ran.trunkline("why", "letters.total").out
    ran.dvc("commit", "-q", "-f", "letters-total")
    settled(ran)
    assert "accepted by dvc commit: these outputs were edited" in ran.trunkline("why", "letters.total").out


def test_dvc_commit_accepts_a_change_of_data(ran: Tree) -> None:
    ran.write(f"{RAW}/a.txt", "omega")
    ran.dvc("commit", "-q", "-f")
    settled(ran)
    assert "accepted by dvc commit: other inputs" in ran.trunkline("why", "letters.upper").out
    assert ran.trunkline("why", "letters.count", "--json").data["accepted"] == ""
    ran.write(f"{RAW}/b.txt", "beat")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (2, 1, 0), "what was never made of these data is made now"


# ---------------------------------------------------------------- sources


def test_dvc_add_of_a_changed_source(ran: Tree) -> None:
    ran.write(f"{RAW}/b.txt", "beta beta")
    ran.write(f"{RAW}/d.txt", "delta")
    ran.dvc("add", "-q", RAW)
    pointer = ran.read(f"{RAW}.dvc")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (2, 2, 0)
    assert ran.read(f"{RAW}.dvc") == pointer
    settled(ran)


def test_a_source_that_changed_where_no_stage_looks_is_versioned_too(tree: Tree, tmp_path: Path) -> None:
    letters(tree, {"a": "alpha", "in/b": "beta"})
    replace(tree, "pipelines/letters.yaml", "letters_raw/*.txt", "letters_raw/in/*.txt")
    tree.trunkline("run")
    tree.write(f"{RAW}/a.txt", "omega")
    other = tree.copy(tmp_path / "other")
    done = tree.trunkline("run")
    other.dvc("repro")
    assert f"wrote {RAW}.dvc" in done.out
    assert done.out.count("up to date") == 3
    assert tree.published() == other.published()
    settled(tree)


def test_a_pointer_that_git_took_elsewhere_follows_the_workspace(ran: Tree, tmp_path: Path) -> None:
    ran.write(f"{RAW}/a.txt", "omega")
    ran.trunkline("run")
    ran.git("checkout", "-q", "HEAD", "--", f"{RAW}.dvc")
    other = ran.copy(tmp_path / "other")
    ran.trunkline("run")
    other.dvc("repro")
    assert ran.published() == other.published()
    settled(ran)


def test_dvc_import_and_update_of_a_dataset(ran: Tree, origin: Tree) -> None:
    ran.dvc("import", "-q", "../origin", "data/words", "-o", "data/words")
    replace(ran, "pipelines/letters.yaml", "letters_raw/", "words/")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (1, 0, 3)

    origin.write("data/words/b.txt", "two")
    origin.dvc("add", "-q", "data/words")
    origin.commit()
    ran.dvc("update", "-q", "data/words.dvc")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (1, 1, 0)
    settled(ran)

    ran.write("data/words/a.txt", "won")
    before = ran.published()
    done = ran.trunkline("run", check=False)
    assert done.code != 0
    assert "data/words was imported, so its content is not ours to change" in done.err
    assert ran.published() == before
    ran.dvc("commit", "-q", "-f", "data/words.dvc")  # it is the user's
    ran.trunkline("run")
    assert ran.read("data/letters/upper/a.txt") == "WON!"
    settled(ran)


# ---------------------------------------------------------------- repro


def test_dvc_repro_of_a_single_stage(ran: Tree) -> None:
    ran.write(f"{RAW}/a.txt", "omegas")
    ran.dvc("repro", "-q", "-s", "letters-upper")
    assert ran.counts() == {"letters.upper": (1, 2, 0)}
    ran.dvc("repro", "-q", "-s", "letters-count")
    assert ran.counts() == {"letters.count": (1, 2, 0)}
    ran.trunkline("run")
    assert set(ran.counts()) == {"letters.total"}
    settled(ran)


def test_dvc_repro_force_runs_what_it_knows_already(ran: Tree) -> None:
    before = ran.published()
    ran.dvc("repro", "-q", "-f")
    assert ran.counts() == {
        "letters.upper": (3, 0, 0),
        "letters.count": (3, 0, 0),
        "letters.total": (1, 0, 0),
    }
    assert ran.published() == before
    ran.dvc("repro", "-q", "-sf", "letters-count")
    assert ran.counts() == {"letters.count": (3, 0, 0)}
    settled(ran)


def test_without_force_dvc_repro_reuses_what_it_knows(ran: Tree) -> None:
    first = ran.published()
    replace(ran, "pipelines/letters.yaml", '"!"', '"?"')
    ran.trunkline("run")
    replace(ran, "pipelines/letters.yaml", '"?"', '"!"')
    ran.dvc("repro", "-q")
    assert ran.counts()["letters.upper"] == (0, 3, 0)
    assert ran.published() == first
    settled(ran)


def test_after_dvc_repro_no_commit_a_run_brings_the_source_into_the_cache(ran: Tree) -> None:
    ran.write(f"{RAW}/a.txt", "omegas")
    ran.dvc("repro", "-q", "--no-commit")
    assert "not in cache" in ran.dvc("status").out
    assert ran.trunkline("run").out.count("up to date") == 3
    settled(ran)


def test_dvc_may_restore_a_stage_from_its_run_cache(ran: Tree) -> None:
    first = ran.contents("data")
    ran.dvc("repro", "-q", "-f", "letters-upper")  # only what DVC ran is in its run-cache
    replace(ran, "pipelines/letters.yaml", '"!"', '"?"')
    ran.dvc("repro", "-q", "letters-upper")
    latest = ran.trunkline("show", "--json").data["id"]
    replace(ran, "pipelines/letters.yaml", '"?"', '"!"')
    done = ran.dvc("repro")
    assert "Stage 'letters-upper' is cached - skipping run" in done.out
    assert "trunkline exec" not in done.out
    assert ran.trunkline("show", "--json").data["id"] == latest, "nobody called us"
    assert ran.contents("data") == first
    graph = ran.trunkline("lineage", "data/letters/upper", "--json").data
    (stage,) = (node["attributes"] for node in graph["nodes"] if node["type"] == "stage")
    assert (stage["run_exact"], stage["run_id"] != latest) == (True, True), (
        "the run that computed it is named"
    )
    settled(ran)
    ran.write(f"{RAW}/a.txt", "omega")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (1, 2, 0)


# ---------------------------------------------------------------- checkout, gc


def test_dvc_checkout_of_an_older_commit(ran: Tree) -> None:
    first = ran.published()
    ran.write(f"{RAW}/a.txt", "omegas")
    shout_louder(ran)
    ran.trunkline("run")
    ran.commit("Second")
    second = ran.published()
    for commit, published in (("HEAD~1", first), ("main", second)):
        ran.git("checkout", "-q", commit)
        ran.dvc("checkout", "-q")
        assert ran.published() == published
        settled(ran)
        done = ran.trunkline("run")
        assert done.out.count("up to date") == 3, "nothing reruns"


def test_what_dvc_gc_removed_is_run_again(ran: Tree) -> None:
    first = ran.published()
    ran.write(f"{RAW}/a.txt", "omegas")
    replace(ran, "pipelines/letters.yaml", '"!"', '"?"')
    ran.trunkline("run")
    ran.dvc("gc", "-q", "-w", "-f")
    settled(ran)
    ran.write(f"{RAW}/a.txt", "alpha")
    replace(ran, "pipelines/letters.yaml", '"?"', '"!"')
    plan = ran.trunkline("plan", "--json").data["stages"][0]
    assert (plan["datums"]["run"], plan["datums"]["reuse"]) == (3, 0)
    ran.trunkline("run")
    assert ran.published() == first
    settled(ran)
    objects = (ran.root / ".dvc/cache/files/md5").rglob("*")
    names = {path.parent.name + path.name for path in objects if path.is_file()}
    listed = {row["md5"] for name in names if name.endswith(".dir") for row in _rows(ran, name)}
    assert listed <= names, "no listing in the cache names what is not there"


def _rows(tree: Tree, oid: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(tree.read(f".dvc/cache/files/md5/{oid[:2]}/{oid[2:]}"))
    return rows


# ---------------------------------------------------------------- hand-written stages


PREPARE = """\
stages:
  prepare: # by hand
    cmd: mkdir data/ready && for f in a b; do tr a-z b-za < data/letters_raw/$f.txt > data/ready/$f.txt; done
    deps: [data/letters_raw]
    outs: [data/ready]
  legend:
    cmd: echo one by one > legend.txt
    outs: [{legend.txt: {cache: false}}]
  publish:
    cmd: cat data/letters/upper/*.txt > report.txt
    deps: [data/letters/upper]
    outs: [report.txt]
"""


def test_hand_written_stages_beside_ours(ran: Tree) -> None:
    replace(ran, "dvc.yaml", "stages:\n", PREPARE)
    replace(ran, "pipelines/letters.yaml", "letters_raw/*.txt}", "data/ready/*.txt, legend: legend.txt}")
    replace(
        ran, "stages/letters.py", "raw: Path, *, suffix: str):", "raw: Path, *, legend: Path, suffix: str):"
    )
    ran.trunkline("compile")
    assert "  prepare: # by hand\n" in ran.read("dvc.yaml")
    done = ran.trunkline("run", check=False)
    assert done.code == 3
    assert "type `dvc repro`" in done.err
    ran.dvc("repro", "-q")
    assert ran.counts()["letters.upper"] == (2, 0, 3)
    assert ran.read("report.txt") == "BMQIB!CFUB!"
    settled(ran)

    ran.write(f"{RAW}/a.txt", "omegas")
    ran.dvc("repro", "-q", "prepare")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (1, 1, 0)
    assert "publish" in ran.dvc("status").out, "what is DVC's is left to DVC"
    ran.dvc("repro", "-q", "publish")
    assert ran.read("report.txt") == "PNFHBT!CFUB!"
    settled(ran)
