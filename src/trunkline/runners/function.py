"""A datum by a Python function: its inputs as parameters, its return value as files.

    def clean(flights: pd.DataFrame, weather: pd.DataFrame, *, target: str) -> pd.DataFrame

One parameter for each input, one for each entry of `params`, and `out: Path` for a function that
writes its files itself. Annotations choose how an input arrives: pandas.DataFrame, pyarrow.Table,
pyarrow.dataset.Dataset, pathlib.Path (also without annotation), list[Path]. They are compared by name,
so that no library is imported on their account, and an annotation that cannot be evaluated (its import
stands under TYPE_CHECKING) still counts.

An input that a datum has not got, as in a union or an outer join, leaves its parameter at its default:
`weather: pd.DataFrame | None = None`.

How a function is to be called is worked out once and kept: a stage calls it for every datum.
"""

from __future__ import annotations

import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from trunkline.model import Function, Work, WorkInput
from trunkline.runners.failures import Fault, interrupts
from trunkline.runners.outputs import Outputs, TakenError, collect, make_own_scratch, write_returned
from trunkline.runners.views import Guard, Views, check, guard, location


class Kind(Enum):
    """How an input arrives."""

    PATH = "path"
    PATHS = "paths"
    FRAME = "frame"
    TABLE = "table"
    DATASET = "dataset"


class Binding(NamedTuple):
    """A function and how it is called. `out`: it takes the directory for its files."""

    call: Callable[..., object]
    kinds: Mapping[str, Kind]
    out: bool


_KINDS = {
    ("pandas", "DataFrame"): Kind.FRAME,
    ("pyarrow", "Table"): Kind.TABLE,
    ("pyarrow", "Dataset"): Kind.DATASET,
    ("pyarrow", "FileSystemDataset"): Kind.DATASET,
    ("pathlib", "Path"): Kind.PATH,
    ("pathlib", "PurePath"): Kind.PATH,
}
_AS_PATHS = (Kind.PATH, Kind.PATHS)
_WRITTEN = {name: kind for (_, name), kind in _KINDS.items()}
_LISTS: tuple[object, ...] = (list, Sequence)


def bind(call: Callable[..., object], run: Function, inputs: Sequence[str], params: Sequence[str]) -> Binding:
    """How to call `call` with these inputs and parameters. Raises Fault."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError) as error:
        raise Fault("BadFunction", f"{run} has no signature: wrap it in a function of your own") from error
    parameters = signature.parameters
    _check(run, parameters, [*inputs, *params])
    hints = _hints(call)
    kinds = {
        name: _kind(run, name, hints.get(name, parameters[name].annotation if name in parameters else Any))
        for name in inputs
    }
    return Binding(call, kinds, "out" in parameters and "out" not in params)


def call(binding: Binding, work: Work, views: Views, ended: Callable[[], None] = lambda: None) -> Outputs:
    """Execute one datum; `ended` is called between the function and its outputs.

    Raises Fault and what the function raises.
    """
    guards: list[Guard] = []
    try:
        outputs = _call(binding, work, views, guards, ended)
    except BaseException as error:
        if not interrupts(error):
            check(guards, error)
        raise
    else:
        check(guards, None)
        return outputs
    finally:
        views.clear((name for name, kind in binding.kinds.items() if kind in _AS_PATHS), guards)


def _call(
    binding: Binding, work: Work, views: Views, guards: list[Guard], ended: Callable[[], None]
) -> Outputs:
    arguments = {given.name: _arrive(binding, given, views, guards) for given in work.inputs}
    arguments.update({name: _fresh(value) for name, value in work.params.items()})
    if not binding.out:
        value = binding.call(**arguments)
        ended()
        return _write(value, work)
    own, out = make_own_scratch(work)
    value = binding.call(**arguments, out=Path(out))
    ended()
    if value is not None:
        _write_beside(value, work.name, out)
    return Outputs(tuple(collect(out, guards)), own)


def _write(value: object, work: Work) -> Outputs:
    """Write a returned value where other datums of the stage write too, or else apart."""
    scratch = work.scratch
    try:
        files = write_returned(value, work.name, os.path.join(scratch, "pfs", "out"))
    except TakenError:  # publication will tell which two datums write one path
        scratch, out = make_own_scratch(work)
        files = write_returned(value, work.name, out)
    return Outputs(tuple(sorted(files)), scratch)


def _write_beside(value: object, name: str, out: str) -> None:
    try:
        write_returned(value, name, out)
    except TakenError as error:
        raise Fault("BadOutput", f"{error} is both returned and written to `out`") from error


# ---------------------------------------------------------------- how it is called


def _check(run: Function, parameters: Mapping[str, inspect.Parameter], given: Sequence[str]) -> None:
    """The names must be parameters, and the parameters without default must be given."""
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    plain = {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for name, parameter in parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise Fault("BadFunction", f"the parameter `{name}` of {run} is positional-only; remove the `/`")
    for name in given:
        if name not in plain and not open_ended:
            has = ", ".join(plain) or "none"
            raise Fault("BadFunction", f"{run} has no parameter `{name}` (it has: {has})")
    for name, parameter in plain.items():
        if parameter.default is parameter.empty and name not in (*given, "out"):
            raise Fault(
                "BadFunction",
                f"{run} wants `{name}`, which is neither an input nor in params: "
                f"add it to the stage, or give it a default",
            )


def _hints(call: Callable[..., object]) -> dict[str, Any]:
    """The evaluated annotations, or nothing where one of them cannot be evaluated."""
    try:
        return typing.get_type_hints(inspect.unwrap(call))
    except Exception:
        return {}


def _kind(run: Function, name: str, annotation: Any) -> Kind:
    kind = _kind_of_text(annotation) if isinstance(annotation, str) else _kind_of_type(annotation)
    if kind is None:
        known = "pandas.DataFrame, pyarrow.Table, pyarrow.dataset.Dataset, pathlib.Path, list[Path]"
        written = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", annotation)
        raise Fault(
            "BadFunction", f"the input `{name}` of {run} cannot arrive as {written}: known are {known}"
        )
    return kind


def _kind_of_type(annotation: Any) -> Kind | None:
    if annotation in (inspect.Parameter.empty, Any, object):
        return Kind.PATH
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        others = [each for each in arguments if each is not types.NoneType]
        return _kind_of_type(others[0]) if len(others) == 1 else None
    if typing.get_origin(annotation) in _LISTS and len(arguments) == 1:
        return Kind.PATHS if _kind_of_type(arguments[0]) is Kind.PATH else None
    module = getattr(annotation, "__module__", "").partition(".")[0].lstrip("_")
    return _KINDS.get((module, getattr(annotation, "__qualname__", "")))


def _kind_of_text(annotation: str) -> Kind | None:
    """An annotation that could not be evaluated, by the last part of its name."""
    text = annotation.replace(" ", "").strip("'\"")
    text = text.removesuffix("|None").removeprefix("None|")
    if text.endswith("]"):
        outer, _, inner = text[:-1].partition("[")
        listed = outer.rpartition(".")[2] in ("list", "List", "Sequence")
        return Kind.PATHS if listed and _kind_of_text(inner) is Kind.PATH else None
    return _WRITTEN.get(text.rpartition(".")[2])


# ---------------------------------------------------------------- what it is called with


def _arrive(binding: Binding, given: WorkInput, views: Views, guards: list[Guard]) -> object:
    kind = binding.kinds[given.name]
    if given.empty and kind not in _AS_PATHS:
        message = f"the input `{given.name}` has no content (empty_files), so it can only arrive as a Path"
        raise Fault("BadFunction", message)
    if kind is Kind.FRAME:
        return _convert().frame(given)
    if kind is Kind.TABLE:
        return _convert().table(given)
    if kind is Kind.DATASET:
        guards += guard(given)
        return _convert().dataset(given)
    guards += views.lay(given, copies=os.geteuid() == 0)
    base = Path(views.directory, "pfs")
    if kind is Kind.PATH:
        return base / location(given, given.path)
    return [base / location(given, file.path) for file in given.files]


def _convert() -> Any:
    """The one place through which this room reaches pyarrow and pandas."""
    return import_module("trunkline.runners.convert")


def _fresh(value: Any) -> Any:
    """A copy of a parameter's value, so that a function that changes it changes it for itself."""
    if isinstance(value, Mapping):
        return {key: _fresh(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fresh(item) for item in value]
    return value
