"""The page that `evaluate` writes: numbers, two charts, two tables, in one file without links.

Charts are SVG, written out here: the same bytes for the same numbers, and nothing to install.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Rows = Sequence[Mapping[str, float]]

SIZE, MARGIN = 320, 44
COLOURS = {"test": "#1f77b4", "recent": "#d95f02"}
NAMES = {
    "test": "test: drawn from the days of the training",
    "recent": "recent: days after the training",
}
MEASURES = (
    ("Area under the ROC curve", "auc", None, "0.5 is guessing"),
    ("Log loss", "log_loss", "base_log_loss", "lower is better"),
    ("Brier score", "brier", "base_brier", "lower is better"),
    ("Accuracy", "accuracy", "base_accuracy", "higher is better"),
    ("Precision", "precision", "base_rate", "of those called late, how many were"),
    ("Recall", "recall", None, "of those late, how many were called so"),
)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600 }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #d0d7de; text-align: right }
th:first-child, td:first-child, td.note { text-align: left } td.note { color: #57606a }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem } figure { margin: 0 }
svg text { font-size: 12px; fill: #57606a }
"""


def page(metrics: Mapping[str, Any], roc: Rows, calibration: Rows, threshold: float) -> str:
    """The whole page, from what the other files of the stage say."""
    holdouts = {name: metrics[name] for name in NAMES}
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Late arrivals</title>\n<style>{STYLE}</style>\n<h1>Late arrivals</h1>",
        "<p>How well the model tells, before departure, which flights will arrive late.</p>",
        _measures(holdouts, threshold),
        '<div class="charts">',
        _chart("ROC curve", roc, "false_alarms", "called late by mistake", "late and called so"),
        _chart("Calibration", calibration, "predicted", "predicted probability", "share that came late"),
        "</div>",
        *(_confusion(name, holdout) for name, holdout in holdouts.items()),
        _counts(metrics["rows"]),
    ]
    return "\n".join(parts) + "\n</html>\n"


def _measures(holdouts: Mapping[str, Mapping[str, float]], threshold: float) -> str:
    head = "".join(f"<th>{name}<th>constant answer" for name in holdouts)
    lines = [f"<tr><td>Flights{_pairs(holdouts, 'rows', None)}<td class=note>none of them was learnt from"]
    lines += [f"<tr><td>Share that came late{_pairs(holdouts, 'base_rate', None)}<td>"]
    lines += [
        f"<tr><td>{title}{_pairs(holdouts, name, base)}<td class=note>{note}"
        for title, name, base, note in MEASURES
    ]
    caption = f"Both holdouts; a flight is called late from a probability of {threshold} on"
    return f"<table><caption>{caption}</caption>\n<tr><th>{head}<th>\n" + "\n".join(lines) + "\n</table>"


def _pairs(holdouts: Mapping[str, Mapping[str, float]], name: str, base: str | None) -> str:
    return "".join(
        f"<td>{_number(holdout.get(name))}<td>{_number(holdout.get(base)) if base else ''}"
        for holdout in holdouts.values()
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _confusion(name: str, holdout: Mapping[str, float]) -> str:
    cells = {
        key: _number(holdout.get(key)) for key in ("true_late", "false_on_time", "false_late", "true_on_time")
    }
    return (
        f"<table><caption>{escape(NAMES[name])}</caption>\n<tr><th><th>called late<th>called on time\n"
        f"<tr><td>came late<td>{cells['true_late']}<td>{cells['false_on_time']}\n"
        f"<tr><td>came on time<td>{cells['false_late']}<td>{cells['true_on_time']}\n</table>"
    )


def _counts(counts: Mapping[str, int]) -> str:
    lines = [f"<tr><td>{escape(name.replace('_', ' '))}<td>{count:,}" for name, count in counts.items()]
    return "<table><caption>Rows, and why some were removed</caption>\n" + "\n".join(lines) + "\n</table>"


def _chart(title: str, rows: Rows, x: str, x_title: str, y_title: str) -> str:
    """A unit square with one line a column of `rows`; what is not a holdout is drawn as the ideal."""
    names = [name for name in (rows[0] if rows else ()) if name != x]
    lines = [_line([(row[x], row[name]) for row in rows], COLOURS.get(name)) for name in names]
    edge = SIZE + 2 * MARGIN
    ticks = "".join(_ticks(step / 5) for step in range(6))
    legend = "".join(_legend(place, name) for place, name in enumerate(names))
    return (
        f'<figure><figcaption>{title}</figcaption>\n<svg viewBox="0 0 {edge} {edge}" width="{edge}" role="img" '
        f'aria-label="{title}">\n<rect x="{MARGIN}" y="{MARGIN}" width="{SIZE}" height="{SIZE}" fill="none" '
        f'stroke="#d0d7de"/>{ticks}\n' + "\n".join(lines) + f"\n{legend}"
        f'<text x="{edge / 2:g}" y="{edge - 6}" text-anchor="middle">{x_title}</text>'
        f'<text transform="translate(12 {edge / 2:g}) rotate(-90)" text-anchor="middle">{y_title}</text>\n'
        "</svg></figure>"
    )


def _at(x: float, y: float) -> tuple[str, str]:
    return f"{MARGIN + x * SIZE:.1f}", f"{MARGIN + (1 - y) * SIZE:.1f}"


def _line(points: Sequence[tuple[float, float]], colour: str | None) -> str:
    path = " ".join(",".join(_at(x, y)) for x, y in points)
    look = f'stroke="{colour}" stroke-width="2"' if colour else 'stroke="#8c959f" stroke-dasharray="4 4"'
    return f'<polyline fill="none" {look} points="{path}"/>'


def _ticks(value: float) -> str:
    (x, bottom), (left, y) = _at(value, 0), _at(0, value)
    return (
        f'<text x="{x}" y="{float(bottom) + 16:.1f}" text-anchor="middle">{value:g}</text>'
        f'<text x="{float(left) - 6:.1f}" y="{float(y) + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def _legend(place: int, name: str) -> str:
    x, y = MARGIN + 12 + 90 * place, MARGIN - 14
    colour = COLOURS.get(name, "#8c959f")
    return (
        f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{x + 15}" y="{y}">{escape(name)}</text>'
    )
