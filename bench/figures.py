"""What was measured, beside its floor and its budget: one value, its text, its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.processes import Cost

SCHEMA = 1
RATIO = "times the floor"
SECONDS = "s beyond it"
MIB = 1 << 20


@dataclass(frozen=True)
class Figure:
    """One budget, measured.

    `unit` says what is held against `limit`: RATIO, milliseconds a datum beyond the floor (`count`
    datums), seconds beyond the floor, or "MiB". Without a limit there is no budget, and it is only told.
    `judged` names the numbers of a Cost that the budget speaks of; all must keep it.
    """

    bench: str
    what: str
    against: str
    measured: Cost
    floor: Cost | None
    limit: float | None
    unit: str = RATIO
    judged: tuple[str, ...] = ("cpu", "wall")
    count: int = 1

    def value(self, name: str) -> float:
        """What is held against the limit, for one number of the cost."""
        ours = float(getattr(self.measured, name))
        if self.unit == "MiB":
            return ours / MIB
        assert self.floor is not None
        floor = float(getattr(self.floor, name))
        if self.unit == RATIO:
            return ours / floor if floor else float("inf")
        if self.unit == SECONDS:
            return ours - floor
        return (ours - floor) * 1000 / self.count

    @property
    def met(self) -> bool | None:
        """Whether every number that the budget speaks of keeps it; None where there is no budget."""
        limit = self.limit
        return None if limit is None else all(self.value(name) <= limit for name in self.judged)

    def data(self, judge: bool) -> dict[str, Any]:
        """For a machine; `met` is null where the sizes are not the budget's."""
        names = self.judged if self.floor is None else ("cpu", "wall", "rss")
        return {
            "bench": self.bench,
            "what": self.what,
            "against": self.against,
            "measured": self.measured._asdict(),
            "floor": None if self.floor is None else self.floor._asdict(),
            "unit": self.unit,
            "values": {name: self.value(name) for name in names},
            "judged": list(self.judged),
            "limit": self.limit,
            "met": self.met if judge else None,
        }


def document(figures: Sequence[Figure], machine: Mapping[str, Any], judge: bool) -> dict[str, Any]:
    """All of it for a machine."""
    return {
        "schema": SCHEMA,
        "quick": not judge,
        "machine": dict(machine),
        "figures": [figure.data(judge) for figure in figures],
    }


def table(figures: Sequence[Figure], judge: bool) -> str:
    """All of it for a person. CPU and wall seconds as `cpu / wall`, what is not judged in brackets."""
    head = ("measured", "", "against", "", "CPU", "wall", "budget", "")
    rows = [head, *(_row(figure, judge) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = {1, 3, 4, 5, 6}
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _row(figure: Figure, judge: bool) -> tuple[str, ...]:
    memory = figure.judged == ("rss",)
    first, second = ("rss", "") if memory else ("cpu", "wall")
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met] if judge else ""
    return (
        figure.what,
        _cost(figure.measured, memory),
        figure.against,
        "" if figure.floor is None else _cost(figure.floor, memory),
        _value(figure, first),
        _value(figure, second) if second else "",
        _limit(figure),
        verdict,
    )


def _cost(cost: Cost, memory: bool) -> str:
    if memory:
        return f"{cost.rss / MIB:.0f} MiB"
    digits = 2 if cost.cpu < 10 else 1
    return f"{cost.cpu:.{digits}f} / {cost.wall:.{digits}f} s"


def _value(figure: Figure, name: str) -> str:
    value = figure.value(name)
    text = {"MiB": f"{value:.0f} MiB", RATIO: f"{value:.2f}", SECONDS: f"{value:+.2f} s"}.get(
        figure.unit, f"{value:.2f} ms"
    )
    return text if name in figure.judged else f"({text})"


def _limit(figure: Figure) -> str:
    if figure.limit is None:
        return ""
    limit = f"{figure.limit:g}"
    return {"MiB": f"≤ {limit} MiB", RATIO: f"≤ {limit}", SECONDS: f"≤ {limit} s"}.get(
        figure.unit, f"≤ {limit} ms"
    )
