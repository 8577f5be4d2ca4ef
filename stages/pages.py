"""One HTML page without links: headings, tables, pictures inside it. The same bytes for the same content."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600 }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #d0d7de; text-align: right }
th:first-child, td:first-child { text-align: left } img { max-width: 100% }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole page."""
    head = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n<h1>{escape(title)}</h1>"
    )
    return "\n".join([head, *parts, "</html>\n"])


def table(caption: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each of `rows`; columns in the order in which they are first named."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"<tr><th>{''.join(f'<th>{escape(name)}' for name in names)}"]
    lines += [_line(key, [row.get(name) for name in names]) for key, row in rows.items()]
    return f"<table><caption>{escape(caption)}</caption>\n" + "\n".join(lines) + "\n</table>"


def turned(sides: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """{"holdout": {"auc": 0.8}} as {"auc": {"holdout": 0.8}}: a line for each measure."""
    names = list(dict.fromkeys(name for side in sides.values() for name in side))
    return {name: {side: found[name] for side, found in sides.items() if name in found} for name in names}


def picture(name: str, data: bytes) -> str:
    """A PNG inside the page."""
    return f'<img alt="{escape(name)}" src="data:image/png;base64,{b64encode(data).decode()}">'


def _line(key: str, values: Sequence[Any]) -> str:
    return f"<tr><td>{escape(str(key))}" + "".join(f"<td>{_text(value)}" for value in values)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
