"""The order of things that depend on each other.

    topological(["b", "a", "c"], {"b": ["a"]})  ->  ["a", "b", "c"]

Pure, and generic over names: the compiler and the planner must agree on one order of stages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from heapq import heapify, heappop, heappush


class Cycle(ValueError):
    """Things that depend on themselves. `path` follows dependencies and ends where it begins."""

    def __init__(self, path: Sequence[str]) -> None:
        super().__init__(" -> ".join(path))
        self.path = tuple(path)


def topological(nodes: Sequence[str], deps: Mapping[str, Collection[str]]) -> list[str]:
    """`nodes`, each after what it depends on, otherwise as early as its place in `nodes` allows.

    Dependencies that are not among `nodes` do not count. Raises Cycle.
    """
    place = {node: index for index, node in enumerate(nodes)}
    missing = {node: {dep for dep in deps.get(node, ()) if dep in place} for node in nodes}
    dependents: dict[str, list[str]] = {node: [] for node in nodes}
    for node, wanted in missing.items():
        for dep in wanted:
            dependents[dep].append(node)
    ready = [place[node] for node, wanted in missing.items() if not wanted]
    heapify(ready)
    done: list[str] = []
    while ready:
        node = nodes[heappop(ready)]
        done.append(node)
        for dependent in dependents[node]:
            missing[dependent].discard(node)
            if not missing[dependent]:
                heappush(ready, place[dependent])
    if len(done) < len(place):
        raise Cycle(_cycle(nodes, missing, place))
    return done


def _cycle(
    nodes: Sequence[str], missing: Mapping[str, Collection[str]], place: Mapping[str, int]
) -> list[str]:
    """One cycle: whatever could not be ordered leads, dependency by dependency, into one."""
    node = next(node for node in nodes if missing[node])
    path: list[str] = []
    while node not in path:
        path.append(node)
        node = min((dep for dep in missing[node] if missing[dep]), key=place.__getitem__)
    return [*path[path.index(node) :], node]
