"""trunkline: versioned, data-driven ML pipelines on git, DVC and Parquet.

    trunkline.open("flights.clean/rows@main~2")     a lazy Arrow dataset, as it was then
    trunkline.load_model("flights_late@v1.2")       an onnxruntime session
    trunkline.path(…), trunkline.files(…)           the bytes

These are in `trunkline.api`, which is imported when one of them is first used.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.5.0"

_API = ("files", "load_model", "open", "path")

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'trunkline' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("trunkline.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
