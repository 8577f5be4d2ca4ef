"""DVC's verbs between clones, worktrees and commits: push and pull, diff, and what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conformance.verbs import RAW, replace, settled
from tests.support import Tree


def test_push_and_pull_in_a_fresh_clone(ran: Tree, tmp_path: Path) -> None:
    ran.dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "remote"))
    ran.commit("Name the remote")
    ran.dvc("push", "-q")
    ran.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Tree(tmp_path / "clone")
    clone.dvc("pull", "-q")
    assert clone.published() == ran.published()
    settled(clone)
    assert clone.trunkline("run").out.count("up to date") == 3
    assert clone.trunkline("runs", "--json").data == []

    clone.write(f"{RAW}/a.txt", "omegas")
    clone.dvc("repro", "-q", "letters-upper")
    assert clone.counts() == {"letters.upper": (1, 2, 0)}, "known from the manifests that came along"
    clone.trunkline("run")
    assert clone.counts() == {"letters.count": (1, 2, 0), "letters.total": (1, 0, 0)}
    settled(clone)


def test_a_worktree_that_shares_the_cache(ran: Tree, tmp_path: Path) -> None:
    ran.git("worktree", "add", "-q", str(tmp_path / "side"))
    side = Tree(tmp_path / "side")
    side.dvc("config", "-q", "--local", "cache.dir", str(ran.root / ".dvc/cache"))
    side.dvc("checkout", "-q")
    settled(side)
    assert side.trunkline("run").out.count("up to date") == 3
    side.write(f"{RAW}/a.txt", "omegas")
    side.trunkline("run")
    assert side.counts()["letters.upper"] == (1, 2, 0)
    assert not (side.root / ".dvc/cache").exists()
    settled(side)

    ran.write(f"{RAW}/a.txt", "omegas")
    ran.trunkline("run")
    assert ran.counts()["letters.upper"] == (0, 3, 0), "what one tree made, the other need not"
    assert ran.published() == side.published()


PLOT = """
def sizes(counts: list[Path]):
    import json

    rows = [{"name": p.stem, **json.loads(p.read_text())} for p in counts]
    return {"sizes.json": rows}
"""


def test_what_dvc_shows(ran: Tree) -> None:
    pipeline = ran.read("pipelines/letters.yaml")
    sizes = "  sizes:\n    run: stages.letters:sizes\n    input: {counts: count}\n    plots: [sizes.json]\n"
    ran.write("pipelines/letters.yaml", pipeline + sizes)
    ran.write("stages/letters.py", ran.read("stages/letters.py") + PLOT)
    ran.trunkline("run")
    ran.commit("Plots")
    ran.write(f"{RAW}/a.txt", "omegas")
    replace(ran, "pipelines/letters.yaml", '"!"', '"?"')
    ran.trunkline("run")

    def shown(*command: str) -> Any:
        return json.loads(ran.dvc(*command).out)

    metrics = "data/letters/total/metrics.json"
    assert shown("metrics", "show", "--json")[""]["data"][metrics]["data"] == {"characters": 18}
    change: dict[str, Any] = {"old": 17, "new": 18, "diff": 1}
    assert shown("metrics", "diff", "--json") == {metrics: {"characters": change}}
    change = {"old": "!", "new": "?"}
    assert shown("params", "diff", "--json") == {
        "pipelines/letters.yaml": {"stages.upper.params.suffix": change}
    }
    modified = {entry["path"] for entry in shown("diff", "--json")["modified"]}
    assert {"data/letters_raw/", "data/letters_raw/a.txt", "data/letters/count/a.json"} <= modified
    assert "data/letters/count/b.json" not in modified
    assert set(shown("data", "status", "--json")) == {"committed"}, "everything is in the cache"
    plot = shown("plots", "diff", "--json")["data"]["data/letters/sizes/sizes.json"][0]
    points = [(row["rev"], row["name"], row["characters"]) for row in plot["content"]["data"]["values"]]
    assert {("HEAD", "a", 6), ("workspace", "a", 7), ("workspace", "b", 5)} < set(points)
    ran.dvc("plots", "show", "-q", "--out", "page")
    assert "data/letters/sizes/sizes.json" in ran.read("page/index.html")
    graph = ran.dvc("dag", "--dot").out
    assert '"data/letters_raw.dvc" -> "letters-upper"' in graph
    assert '"letters-upper" -> "letters-count"' in graph
