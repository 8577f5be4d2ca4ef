"""The lineage graph as a tree for people: what it is, what made it, from what, back to the sources.

    model flights_late: data/flights/train/model.onnx  4f2a91c0
    of data/flights/train, version 88aa12cd, 2 files
    made by flights.train (stages.train:train)
    ├─ run     019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e, 2025-11-22 22:28:44 UTC, done
    │          commit 1a2b3c4d on main, with uncommitted changes in stages/train.py
    │          Python 3.11.7, Linux x86_64: numpy 2.4.6, scikit-learn 1.9.1
    ├─ datums  1: 1 run, 0 reused
    ├─ code    stages/train.py  9f8e7d6c
    ├─ params  epochs: 5
    └─ data/flights/split/train  5d41402a
       of data/flights/split, version 77bb12cd, 730 files
       made by flights.split (stages.split:split)
       └─ …

What was shown once is not repeated: "see above". Hashes are the first eight digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.lineage.graph import Graph, Node

_SHORT = 8
_NAMES = 3  # so many edited files are named
# What decides bytes of data, of models and of Parquet files; the record has every package.
_PACKAGES = (
    "trunkline", "dvc", "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "onnx", "onnxruntime", "skl2onnx",
)  # fmt: skip


def render_text(graph: Graph) -> str:
    """The tree of a graph."""
    root = graph.nodes[graph.root]
    if not graph.found:
        return (
            f"{root.name}  {_short(root)}\n"
            "unknown: no lock, run or commit known here, and no source dataset, names this content"
        )
    return "\n".join(_draw(_Text(graph).artifact(root)))


@dataclass
class _Block:
    lines: list[str]
    below: list[_Block] = field(default_factory=list)


def _draw(block: _Block) -> Iterator[str]:
    yield from block.lines
    for child in block.below:
        last = child is block.below[-1]
        first, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
        for number, line in enumerate(_draw(child)):
            yield (rest if number else first) + line


class _Text:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._shown: set[str] = set()

    def artifact(self, root: Node) -> _Block:
        block = self._data(root)
        if copy := root.attributes.get("copy"):
            block.lines.insert(1, f"{copy} is a copy of it")
        return block

    def _data(self, node: Node) -> _Block:
        """A dataset, a file or a model, with what made it."""
        whole = next(iter(self._graph.into(node.id, "contains")), None)
        lines = [_title(node, part=whole is not None)]
        if whole is not None:
            doubt = (
                ""
                if node.attributes.get("checked", True)
                else "; not checked, its listing is not in the cache"
            )
            lines.append(f"of {whole.name}, {_version(whole)}{doubt}")
        return self._origin(whole or node, lines)

    def _origin(self, node: Node, lines: list[str]) -> _Block:
        stage = next(iter(self._graph.into(node.id, "output")), None)
        if stage is not None:
            shown = stage.id in self._shown
            self._shown.add(stage.id)
            lines.append(
                f"made by {stage.name} ({stage.attributes['run']})" + (", see above" if shown else "")
            )
            return _Block(lines, [] if shown else list(self._stage(stage)))
        match node.attributes.get("kind"):
            case "source":
                lines.append(_source(node.attributes["commit"]))
            case "unknown":
                lines.append("made by: unknown; no lock, run or commit known here names this version")
            case "plain":
                lines.append("a plain file, not versioned by DVC")
        return _Block(lines)

    def _stage(self, stage: Node) -> Iterator[_Block]:
        graph = self._graph
        yield _labelled("run", self._run(stage))
        if datums := stage.attributes["datums"]:
            accepted = stage.attributes["accepted"]
            yield _labelled("datums", [_datums(datums), *([_accepted(accepted)] if accepted else [])])
        if code := graph.into(stage.id, "code"):
            width = max(len(node.name) for node in code)
            yield _labelled("code", [f"{node.name:{width}}  {_short(node)}" for node in code])
        if params := [line for node in graph.into(stage.id, "params") for line in _params(node.attributes)]:
            yield _labelled("params", params)
        for node in graph.into(stage.id, "input"):
            yield self._data(node)

    def _run(self, stage: Node) -> list[str]:
        run = next(iter(self._graph.into(stage.id, "run")), None)
        if run is None:
            recorded = stage.attributes["recorded"]
            if recorded is None:
                return ["no record here, and this entry of dvc.lock is not committed"]
            return [
                f"no record here; in dvc.lock since commit {recorded['commit'][:_SHORT]}, {_moment(recorded['time'])}"
            ]
        lines = [f"{run.name}, {_moment(run.attributes['started'])}, {run.attributes['state']}"]
        if not stage.attributes["run_exact"]:
            lines.append("which made the same data from other code, parameters or inputs")
        if run.id in self._shown:
            return [f"{run.name}, see above", *lines[1:]]
        self._shown.add(run.id)
        lines.append(_commit(run.attributes))
        lines += [_environment(node.attributes) for node in self._graph.into(run.id, "environment")]
        return lines


def _labelled(label: str, lines: Iterable[str]) -> _Block:
    return _Block([f"{label if not number else '':7} {line}" for number, line in enumerate(lines)])


def _title(node: Node, *, part: bool) -> str:
    if node.type == "model":
        return f"model {node.name}: {node.attributes['path']}  {_short(node)}"
    if part or node.attributes.get("kind") == "plain" or node.type == "file":
        return f"{node.name}  {_short(node)}"
    return f"{node.name}, {_version(node)}"


def _version(node: Node) -> str:
    nfiles = node.attributes.get("nfiles")
    count = "" if nfiles is None else f", {nfiles} file{'s' if nfiles != 1 else ''}"
    return f"version {_short(node)}{count}"


def _short(node: Node) -> str:
    return str(node.attributes["version"])[:_SHORT]


def _source(commit: Mapping[str, str] | None) -> str:
    if commit is None:
        return "source dataset, this version is not committed"
    return (
        f"source dataset, committed {_moment(commit['time'])} as {commit['commit'][:_SHORT]}"
        f" by {commit['author']}: {commit['subject']}"
    )


def _datums(counts: Mapping[str, int]) -> str:
    done = [
        f"{counts[name]} {word}" for name, word in (("run", "run"), ("reuse", "reused")) if name in counts
    ]
    return f"{counts['total']}" + (f": {', '.join(done)}" if done else "")


def _accepted(facts: Mapping[str, Any]) -> str:
    who = f"accepted by {facts['by'] or 'nobody whom git knows'}, {_moment(facts['time'])}, in run {facts['run']}"
    said = who if facts["run"] else "accepted, by whom is not recorded here"
    return f"{facts['datums']} {said}: other code or parameters made them"


def _commit(run: Mapping[str, Any]) -> str:
    if run["commit"] is None:
        return "before the first commit"
    text = f"commit {run['commit'][:_SHORT]}" + (f" on {run['branch']}" if run["branch"] else "")
    edited = run["dirty_files"]
    if not edited:
        return f"{text}, nothing uncommitted"
    named = ", ".join(edited[:_NAMES])
    more = f" and {len(edited) - _NAMES} more" if len(edited) > _NAMES else ""
    return f"{text}, with uncommitted changes in {named}{more}"


def _environment(facts: Mapping[str, Any]) -> str:
    system = " ".join(filter(None, (str(facts.get("system", "")), str(facts.get("machine", "")))))
    installed = facts.get("packages") or {}
    packages = ", ".join(f"{name} {installed[name]}" for name in _PACKAGES if name in installed)
    return ", ".join(filter(None, (f"Python {facts.get('python', 'unknown')}", system, packages)))


def _params(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _params(value, f"{prefix}{key}.")
        else:
            plain = value is None or isinstance(value, bool | int | float | list | tuple)
            text = json.dumps(value, default=str, ensure_ascii=False) if plain else str(value)
            yield f"{prefix}{key}: {text}"


def _moment(time: str) -> str:
    return f"{time[:10]} {time[11:19]} UTC" if len(time) >= 19 else "at an unknown time"
