"""What is known of a thing that was read: its name, version, commit and run, as text and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from html import escape
from typing import Any, NamedTuple


class Facts(NamedTuple):
    """`name` as given, `path` in the project, `version` its content hash; the rest "" where not known.

    `commit` is that of the version's name (`…@main~2`), or that brought it; `run` is the run that made it,
    `time` when that was.
    """

    name: str
    path: str
    version: str
    stage: str = ""
    commit: str = ""
    time: str = ""
    run: str = ""


class Read:
    """What `open` and `load_model` add to what they give. `facts` and `graph` are asked when first needed."""

    _facts: Callable[[], Facts]
    _graph: Callable[[], Any]

    @cached_property
    def facts(self) -> Facts:
        """Which version this is."""
        return self._facts()

    @property
    def version(self) -> str:
        """The content hash that DVC gives it."""
        return self.facts.version

    def lineage(self) -> Any:
        """The graph of everything that led to it (`trunkline.lineage.Graph`)."""
        return self._graph()


def html(title: str, facts: Mapping[str, object], columns: Iterable[tuple[str, str]], head: str) -> str:
    """A table for notebooks: what is known, and below it the columns or the like."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in ("", None)
    )
    items = "".join(
        f"<tr><td style='text-align:left'><code>{escape(name)}</code></td>"
        f"<td style='text-align:left'>{escape(kind)}</td></tr>"
        for name, kind in columns
    )
    return (
        f"<div><strong>{escape(title)}</strong><table>{rows}</table>"
        f"<details open><summary>{escape(head)}</summary><table>{items}</table></details></div>"
    )


def shown(facts: Facts) -> dict[str, object]:
    """The facts as people read them."""
    return {
        "version": facts.version,
        "path": facts.path,
        "made by": facts.stage,
        "run": facts.run,
        "commit": facts.commit[:12],
        "time (UTC)": facts.time[:19].replace("T", " "),
    }
