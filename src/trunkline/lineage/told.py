"""A graph of what a thing went into, and a graph of datums, as text that a person reads at a glance.

    data/flights_raw, version 9f8e3c01, 365 files
    source dataset, committed 2025-11-20 08:00:00 UTC as c0ffee11 by Ada: flights_raw: put 365 files
    went into 4 stages and 2 versions of a model, in 2 runs

    model         version   of                                  when                     run
    flights_late  4f2a91c0  data/flights/train/model.onnx  now  2025-11-22 22:28:44 UTC  019aacb5-6c1e-…

    stage          versions  now       last                     run
    flights.ingest        1  88aa12cd  2025-11-22 22:28:44 UTC  019aacb5-6c1e-…

    run                                   state  started                  stages
    019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e  done   2025-11-22 22:28:44 UTC  flights.ingest, flights.train

"now": it is what dvc.lock has in the workspace. Of each the newest are shown; `--json` has all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trunkline.lineage.graph import Graph, Node

_SHORT = 8
_SHOWN = 10


def render_down(graph: Graph) -> str:
    """What a thing went into."""
    return "\n".join(_Down(graph).lines())


class _Down:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._into: dict[tuple[str, str], list[Node]] = {}
        for edge in graph.edges:
            self._into.setdefault((edge.target, edge.role), []).append(graph.nodes[edge.source])
        self._run = {node.id: self._last(node) for node in self._of("stage")}

    def _of(self, kind: str) -> list[Node]:
        return [node for node in self._graph.nodes.values() if node.type == kind]

    def _last(self, stage: Node) -> Node | None:
        runs = self._into.get((stage.id, "run"), [])
        return max(runs, key=lambda run: run.name, default=None)

    def lines(self) -> Iterator[str]:
        """The whole text."""
        graph = self._graph
        root = graph.nodes[graph.root]
        yield from _title(root)
        if not graph.found:
            others = ", ".join(map(str, root.attributes.get("known") or ()))
            yield "unknown: no run, lock or commit known here has it" + (
                f"; there was: {others}" if others else ""
            )
            return
        stages = self._of("stage")
        if not stages:
            yield "nothing that is known here has read it"
            return
        models = [node for node in self._of("model") if node is not root]
        runs = self._of("run")
        into = _count(len({node.name for node in stages}), "stage")
        trained = f"{_count(len(models), 'version')} of a model" if models else "no model"
        yield f"went into {into} and {trained}, in {_count(len(runs), 'run')}"
        for table in (self._models(models), self._stages(stages), self._runs(runs)):
            if table:
                yield ""
                yield from table

    def _models(self, models: Sequence[Node]) -> list[str]:
        rows = []
        for node in models:
            made = self._maker(node)
            version = str(node.attributes["version"] or "not known")[:_SHORT]
            rows.append((_when(made), (node.name, version, node.attributes["path"], _now(node),
                                       *_made(made))))  # fmt: skip
        return _table(("model", "version", "file", "now", "made", "in run"), rows)

    def _maker(self, node: Node) -> Node | None:
        """The newest run that made a file or dataset."""
        wholes = self._into.get((node.id, "contains"), []) or [node]
        stages = [stage for whole in wholes for stage in self._into.get((whole.id, "output"), [])]
        runs = [run for stage in stages if (run := self._run[stage.id]) is not None]
        return max(runs, key=lambda run: run.name, default=None)

    def _stages(self, stages: Sequence[Node]) -> list[str]:
        by_name: dict[str, list[Node]] = {}
        for node in stages:
            by_name.setdefault(node.name, []).append(node)
        rows = []
        for name, some in by_name.items():
            made = [run for node in some if (run := self._run[node.id]) is not None]
            last = max(made, key=lambda run: run.name, default=None)
            now = "now" if any(node.attributes.get("now") for node in some) else ""
            rows.append(("", (name, str(len(some)), now, *_made(last))))
        return _table(("stage", "versions", "now", "last made", "in run"), rows, newest=False)

    def _runs(self, runs: Sequence[Node]) -> list[str]:
        ran: dict[str, list[str]] = {}
        for edge in self._graph.edges:
            if edge.role == "run":
                ran.setdefault(edge.source, []).append(self._graph.nodes[edge.target].name)
        rows = []
        for node in runs:
            facts = node.attributes
            commit = str(facts["commit"] or "none")[:_SHORT] + (" (dirty)" if facts["dirty"] else "")
            names = ", ".join(sorted(set(ran.get(node.id, ()))))
            rows.append((node.name, (node.name, facts["state"], moment(facts["started"]), commit, names)))
        return _table(("run", "state", "started", "commit", "stages"), rows)


def _title(root: Node) -> Iterator[str]:
    version = str(root.attributes.get("version") or "")[:_SHORT]
    match root.type:
        case "commit":
            yield f"commit {root.name[:_SHORT]}"
        case "package":
            yield f"package {root.name}=={root.attributes['version']}"
        case "params":
            yield f"parameter {root.id.removeprefix('params:')}"
        case "model":
            yield f"model {root.name}: {root.attributes['path']}  {version}{_as_now(root)}"
        case "dataset" if "versions" in root.attributes:
            yield f"{root.name}, all {root.attributes['versions']} versions"
        case _:
            yield f"{root.name}  {version}{_as_now(root)}"
    if commit := root.attributes.get("commit"):
        yield source(commit)


def _as_now(root: Node) -> str:
    return ", as it is now" if root.attributes.get("now") else ""


def source(commit: Mapping[str, str]) -> str:
    """What a commit says of a source dataset."""
    return (
        f"source dataset, committed {moment(commit['time'])} as {commit['commit'][:_SHORT]}"
        f" by {commit['author']}: {commit['subject']}"
    )


def moment(time: str) -> str:
    """A moment for people."""
    return f"{time[:10]} {time[11:19]} UTC" if len(time) >= 19 else "at an unknown time"


def _now(node: Node) -> str:
    return "now" if node.attributes.get("now") else ""


def _when(run: Node | None) -> str:
    return "" if run is None else run.name


def _made(run: Node | None) -> tuple[str, str]:
    return ("no record here", "") if run is None else (moment(run.attributes["started"]), run.name)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _table(
    header: tuple[str, ...], rows: Sequence[tuple[str, tuple[str, ...]]], *, newest: bool = True
) -> list[str]:
    """Columns, the newest rows first; how many were left out."""
    if not rows:
        return []
    ordered = sorted(rows, key=lambda row: row[0], reverse=True) if newest else list(rows)
    cells = [header, *(row for _, row in ordered[:_SHOWN])]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    more = len(rows) - _SHOWN
    return lines + ([f"… and {more} more: --json has all"] if more > 0 else [])
