"""Pictures as PNG: the same bytes for the same drawing, whatever the machine's own settings are.

    with drawing(6, 4) as figure:
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4])
        return {"loss.png": png(figure)}

No window, no pyplot, no global figure: only Figure objects. matplotlib reads a `matplotlibrc` where
there is one; inside `drawing` its own defaults hold instead. The file says neither when nor with
which version it was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 100
# Told apart also by those who do not see red and green apart (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
QUIET = "#8c959f"


@contextmanager
def drawing(width: float = 6.0, height: float = 4.0) -> Iterator[Figure]:
    """An empty figure, `width` by `height` inches at 100 dots each, under matplotlib's own defaults."""
    with style.context("default"):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    stream = BytesIO()
    with style.context("default"):
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def labelled(axes: Axes, title: str, x: str, y: str) -> Axes:
    """Title, names of both axes, a faint grid."""
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return axes
