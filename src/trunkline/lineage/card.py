"""A model card in Markdown: what is recorded of a model, and nothing that nobody measured.

    ---
    library_name: onnx
    tags: [trunkline, flights]
    metrics: [auc]
    trunkline: {name: flights_late, version: 4f2a…, sha256: …, run: 019a…, commit: 1a2b…, dirty: false}
    ---
    # flights_late
    …

The front matter is Hugging Face's. What is not known is said to be so, never filled in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from trunkline.lineage.graph import Graph, Node, graph_json
from trunkline.lineage.shape import Shape
from trunkline.lineage.statement import Kept, makers, path_of

_LIBRARIES = {".onnx": "onnx", ".safetensors": "safetensors", ".keras": "keras", ".gguf": "gguf"}
_LEFT_OUT = 20  # so many lines of what could be long


class Metrics(NamedTuple):
    """A metrics file of a stage that had the model among its inputs, at whatever distance."""

    stage: str
    path: str
    values: Mapping[str, Any]


class Facts(NamedTuple):
    """What a graph does not say: digests, metrics, the records' commits, what tables look like.

    `name` is what commands know the model by, with its version. `left_out`: files that the record of the
    run does not have as they were, each with the reason.
    """

    name: str
    digests: Mapping[str, str]
    metrics: Sequence[Metrics]
    kept: Mapping[str, Kept]
    left_out: Sequence[tuple[str, str]]
    shape: Callable[[str], Shape | None]


def card(graph: Graph, node: str, facts: Facts) -> str:
    """The card of the model (or file) that is this node of its graph."""
    return _Card(graph, graph.nodes[node], facts).text()


class _Card:
    def __init__(self, graph: Graph, model: Node, facts: Facts) -> None:
        self._graph = graph
        self._model = model
        self._facts = facts
        stages = makers(graph, model.id)
        self._stage = stages[0] if stages else None
        runs = graph.into(self._stage.id, "run") if self._stage is not None else ()
        self._run = runs[0] if runs else None

    def text(self) -> str:
        sections = (
            ("", self._head()),
            ("Training data", self._data()),
            ("How it was made", self._stages()),
            ("Parameters", self._parameters()),
            ("Metrics", self._metrics()),
            ("Environment", self._environment()),
            ("Load it", self._load()),
            ("Make it again", self._again()),
            ("What is not known", self._limits()),
        )
        parts = [f"---\n{self._front()}---\n\n# {_text(self._model.name)}\n"]
        for title, lines in sections:
            body = "\n".join(lines)
            if body:
                parts.append(f"{f'## {title}' + chr(10) * 2 if title else ''}{body}\n")
        return "\n".join(parts)

    # ------------------------------------------------------------ front matter

    def _front(self) -> str:
        path = path_of(self._model)
        library = next((name for end, name in _LIBRARIES.items() if path.endswith(end)), None)
        pipeline = self._stage.name.partition(".")[0] if self._stage is not None else ""
        names = sorted({key for each in self._facts.metrics for key, _ in _flat(each.values)})
        run = self._run.attributes if self._run is not None else {}
        own = {
            "name": self._model.name,
            "path": path,
            "version": self._model.attributes.get("version"),
            **self._facts.digests,
            "run": self._run.name if self._run is not None else None,
            "commit": run.get("commit"),
            "dirty": run.get("dirty"),
        }
        front = {
            **({"library_name": library} if library else {}),
            "tags": ["trunkline", *([pipeline] if pipeline else [])],
            **({"metrics": names} if names else {}),
            "trunkline": {key: value for key, value in own.items() if value is not None},
        }
        return yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)

    # ------------------------------------------------------------ sections

    def _head(self) -> Iterator[str]:
        yield from _table("", "")
        yield _row("file", f"`{path_of(self._model)}`")
        yield _row("version (MD5)", f"`{self._model.attributes.get('version')}`")
        for name, digest in self._facts.digests.items():
            yield _row(name, f"`{digest}`")
        if self._stage is not None:
            yield _row("made by", f"`{self._stage.name}` ({_code(self._stage.attributes.get('run'))})")
        if self._run is None:
            return
        run = self._run.attributes
        yield _row("in run", f"`{self._run.name}`, started {run.get('started')}, {run.get('state')}")
        dirty = f"yes: {len(run.get('dirty_files') or ())} edited files" if run.get("dirty") else "no"
        yield _row("at commit", _code(run.get("commit") or "none"))
        yield _row("uncommitted changes", dirty)
        if (kept := self._facts.kept.get(self._run.name)) and kept.commit:
            yield _row("code as it was", f"commit `{kept.commit}`, tree `{kept.tree}`")

    def _data(self) -> Iterator[str]:
        sources = [node for node in self._graph.nodes.values() if node.attributes.get("kind") == "source"]
        direct = self._graph.into(self._stage.id, "input") if self._stage is not None else ()
        rows = [("read in training", node) for node in direct]
        rows += [("source", node) for node in sources if node not in direct]
        if not rows:
            return
        yield from _table("dataset", "", "version", "files", "rows", "bytes")
        for what, node in rows:
            yield _row(f"`{path_of(node)}`", what, *self._size(node))

    def _size(self, node: Node) -> tuple[str, str, str, str]:
        version = str(node.attributes.get("version") or "")
        shape = self._facts.shape(version)
        rows = None if shape is None else shape.rows
        counts = (node.attributes.get("nfiles"), rows, node.attributes.get("size"))
        files, lines, size = ("" if count is None else f"{count:,}" for count in counts)
        return f"`{version}`", files, lines, size

    def _stages(self) -> Iterator[str]:
        stages = [node for node in self._graph.nodes.values() if node.type == "stage"]
        if stages:
            yield from _table("stage", "runs", "datums", "run", "commit", "code")
        for node in reversed(stages):
            datums = node.attributes.get("datums") or {}
            code = ", ".join(f"`{each.name}`" for each in self._graph.into(node.id, "code"))
            run = node.attributes.get("run_id")
            commit = str(node.attributes.get("commit") or "")[:12]
            yield _row(f"`{node.name}`", _code(node.attributes.get("run")), str(datums.get("total", "")),
                       _code(run) if run else "not recorded", _code(commit) if commit else "", code)  # fmt: skip

    def _parameters(self) -> Iterator[str]:
        found = [node for node in graph_json(self._graph)["nodes"] if node["type"] == "params"]
        if found:
            yield from _table("stage", "parameter", "value")
        for node in found:
            for key, value in node["attributes"].items():
                yield _row(f"`{node['name']}`", f"`{key}`", _code(json.dumps(value, ensure_ascii=False)))

    def _metrics(self) -> Iterator[str]:
        if not self._facts.metrics:
            yield "None were recorded."
            return
        yield from _table("measured by", "metric", "value")
        for each in self._facts.metrics:
            for key, value in _flat(each.values):
                yield _row(f"`{each.stage}`", _text(key), _text(json.dumps(value, ensure_ascii=False)))

    def _environment(self) -> Iterator[str]:
        found = self._graph.into(self._run.id, "environment") if self._run is not None else ()
        if not found:
            return
        known = found[0].attributes
        yield from _table("", "")
        for key in ("python", "implementation", "system", "machine", "libc"):
            if known.get(key):
                yield _row(key, _text(str(known[key])))
        if (known.get("cpu") or {}).get("model"):
            yield _row("processor", _text(str(known["cpu"]["model"])))
        for name, digest in (known.get("locks") or {}).items():
            yield _row(f"`{name}`", f"`{digest}`")
        packages = known.get("packages") or {}
        if packages:
            yield ""
            yield f"<details><summary>{len(packages)} packages</summary>\n"
            yield ", ".join(f"{_text(name)} {_text(str(version))}" for name, version in packages.items())
            yield "\n</details>"

    def _load(self) -> Iterator[str]:
        yield f"```python\nimport trunkline\n\nmodel = trunkline.load_model({self._facts.name!r})\n```"

    def _again(self) -> Iterator[str]:
        yield f"```\ntrunkline pull\ntrunkline reproduce {self._facts.name}\n```"

    # ------------------------------------------------------------ limits

    def _limits(self) -> Iterator[str]:
        yield from (f"- {line}" for line in self._unknown())

    def _unknown(self) -> Iterator[str]:
        if self._run is None:
            yield "Which run made it: no record is here. So its environment is not known either."
        if not self._facts.metrics:
            yield "How good it is: no stage behind it recorded metrics."
        if "sha256" not in self._facts.digests:
            yield "Its sha256: it was not recorded, and the file is not in the cache."
        for path, reason in self._facts.left_out[:_LEFT_OUT]:
            yield f"`{path}` as it was when the run began: {reason}."
        for node in self._graph.nodes.values():
            yield from self._of_node(node)

    @staticmethod
    def _of_node(node: Node) -> Iterator[str]:
        if node.type != "stage":
            if node.attributes.get("kind") == "unknown":
                yield f"Where `{path_of(node)}` ({node.attributes.get('version')}) came from."
            return
        datums = node.attributes.get("datums") or {}
        if datums.get("recovered"):
            yield f"{datums['recovered']} datums of `{node.name}` failed and left nothing; they are not in it."
        if accepted := node.attributes.get("accepted"):
            yield (
                f"{accepted['datums']} datums of `{node.name}` were accepted for other code than made them."
            )
        if node.attributes.get("run_id") and not node.attributes.get("run_exact"):
            yield f"`{node.name}` ran with another declaration or code in the run named, with equal results."


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list | tuple):
            yield f"{prefix}{key}", value


def _table(*titles: str) -> tuple[str, str]:
    return _row(*titles), "|" + " --- |" * len(titles)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _code(value: object) -> str:
    """A value as code, in which nothing ends a cell or the code."""
    return f"`{str(value).replace('`', chr(39)).replace('|', chr(92) + '|').replace(chr(10), ' ')}`"


def _text(words: str) -> str:
    """Words in which nothing has a meaning for Markdown or HTML."""
    special = {"|": "\\|", "<": "&lt;", "*": "\\*", "_": "\\_", "`": "\\`", "[": "\\[", "\n": " "}
    return "".join(special.get(letter, letter) for letter in words)
