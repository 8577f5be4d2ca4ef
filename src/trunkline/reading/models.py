"""A model at a version, to be computed with: ONNX, through onnxruntime.

Pickles are never loaded: to load one is to run whatever program its bytes are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trunkline.errors import CorruptData, TrunklineError, UsageError
from trunkline.reading.facts import Facts, Read, html, shown
from trunkline.tables import first_line

_PICKLES = (".joblib", ".pkl", ".pickle", ".pt", ".pth", ".dill", ".cloudpickle")


def load(
    name: str, path: str, file: str, about: tuple[Callable[[], Facts], Callable[[], Any]], **options: Any
) -> Any:
    """The model in the object `file`, which is called `path` in the project. Raises TrunklineError."""
    if path.lower().endswith(_PICKLES):
        raise UsageError(
            f"{path} is a pickle: to load it is to run whatever its bytes say, and trunkline does not",
            where=name,
            hint=f"export the model as ONNX; if you trust who made it, its bytes are in {file}",
        )
    if not path.lower().endswith(".onnx"):
        raise UsageError(
            f"{path} is no ONNX model",
            where=name,
            hint=f"load it by its own library; its bytes are in {file}",
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise TrunklineError(
            "to load a model needs onnxruntime, which is not installed",
            where=name,
            hint="type `pip install onnxruntime` (the extra `trunkline[demo]` has it)",
        ) from error
    try:
        return _kind(onnxruntime)(file, about, **options)
    except TrunklineError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base
        raise CorruptData(f"onnxruntime cannot load it: {first_line(error)}", where=name) from error


def _kind(onnxruntime: Any) -> Any:
    """The class, made when onnxruntime is there."""

    class Model(onnxruntime.InferenceSession, Read):  # type: ignore[misc]
        """onnxruntime's own session; `facts` says which version it is."""

        def __init__(
            self, file: str, about: tuple[Callable[[], Facts], Callable[[], Any]], **options: Any
        ) -> None:
            super().__init__(file, **options)
            self._facts, self._graph = about

        def __repr__(self) -> str:
            return f"<trunkline model {self.facts.name}: version {self.version[:8]}>"

        def _repr_html_(self) -> str:
            sides = (("input", self.get_inputs()), ("output", self.get_outputs()))
            ends = [
                (f"{side} {each.name}", f"{each.type} {each.shape}") for side, all_ in sides for each in all_
            ]
            return html(self.facts.name, shown(self.facts), ends, "inputs and outputs")

    return Model
