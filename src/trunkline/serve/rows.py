"""JSON -> columns, typed as the model declares them; and what is wrong with it, row by row.

    {"rows": [{"distance": 1400, "carrier": "AA"}, …]}     a batch
    {"distance": 1400, "carrier": "AA"}                    one row

A number is a number: 3 will do where 3.0 is asked for, and 3.0 where 3 is. Where text is asked for, whole
numbers and true and false are taken as their text, 3 as "3": training makes texts of categories of whole
numbers with gaps, and of true and false. null is a missing value: NaN in a column of float or double, "" in
one of text, as in training; columns of whole numbers and of true and false can hold none. NaN and Infinity
are no JSON, and no value either. A column that is not there is not a missing value: it is a mistake.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from trunkline.serve.network import FLOATS, Array, Tensor
from trunkline.serve.refusals import Problems, Refused, few, shown

FORMS = 'either {"rows": [{column: value, …}, …]} or one row: {column: value, …}'
EXACT = 1 << 53  # whole numbers up to here are exact as a float


def read(body: bytes, columns: Sequence[Tensor], *, ignore: bool) -> dict[str, Array]:
    """The columns of a JSON body; `ignore`: columns that the model has not got do not matter. Raises Refused."""
    rows = _rows(_json(body), columns)
    problems = Problems()
    _names(rows, columns, problems, ignore=ignore)
    if problems:
        raise problems.refuse(_what(rows), hint="`/schema` lists the columns")
    found = {column.name: _column([row[column.name] for row in rows], column, problems) for column in columns}
    if problems:
        raise problems.refuse(_what(rows), hint="`/schema` lists the columns and their types")
    return found


def _what(rows: Sequence[object]) -> str:
    return f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"


def _json(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(
            400, "json", f"this is not UTF-8: byte {error.start} is {body[error.start]:#04x}"
        ) from error
    objects = 0

    def counted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal objects
        few(objects)  # each of them takes more memory than text
        objects += 1
        return _object(pairs)

    try:
        return json.loads(text, parse_constant=_constant, object_pairs_hook=counted)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refused(400, "json", f"this is not JSON: {error.msg} at {where}", hint=FORMS) from error
    except RecursionError as error:
        raise Refused(400, "json", "this JSON is nested too deeply", hint=FORMS) from error
    except ValueError as error:  # a number of thousands of digits
        raise Refused(400, "json", "this JSON has a number with too many digits", hint=FORMS) from error


def _constant(name: str) -> Any:
    raise Refused(
        400, "json", f"{name} is not JSON", hint="a missing value is null; what is not finite is no value"
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, many in counts.items() if many > 1)
        raise Refused(400, "json", f"the key {shown(twice)} is there twice in one object")
    return found


def _rows(document: Any, columns: Sequence[Tensor]) -> list[Any]:
    """The rows of either form. Raises Refused."""
    if isinstance(document, dict):
        rows = document.get("rows")
        if isinstance(rows, list):
            if len(document) > 1:
                other = next(name for name in document if name != "rows")
                raise Refused(
                    422, "input", f'beside "rows" there is {shown(other)}, which means nothing', hint=FORMS
                )
            if not rows:
                raise Refused(422, "input", '"rows" is empty: there is nothing to predict', hint=FORMS)
            few(len(rows))
            return rows
        if "rows" not in document or any(column.name == "rows" for column in columns):
            return [document]
        raise Refused(422, "input", f'"rows" must be a list, got {shown(rows)}', hint=FORMS)
    raise Refused(422, "input", f"expected an object, got {shown(document)}", hint=FORMS)


def _names(rows: Sequence[Any], columns: Sequence[Tensor], problems: Problems, *, ignore: bool) -> None:
    """Whether every row is an object with exactly the columns of the model; up to some number of problems."""
    for problem in _misnamed(rows, columns, ignore=ignore):
        if problems.enough:
            problems.more_to_find = True
            return
        problems.add(*problem)


def _misnamed(
    rows: Sequence[Any], columns: Sequence[Tensor], *, ignore: bool
) -> Iterator[tuple[str, str, int, str | None]]:
    wanted = {column.name for column in columns}
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            yield "an object with a value for each column", shown(row), place, None
        elif row.keys() != wanted:
            for column in columns:
                if column.name not in row:
                    yield expected(column), "no such key", place, column.name
            for name in () if ignore else row:
                if name not in wanted:
                    yield unknown(name, wanted), shown(row[name]), place, name


def unknown(name: str, wanted: Sequence[str] | set[str]) -> str:
    """What to expect where a column is not one of the model's."""
    close = get_close_matches(name, sorted(wanted), 1)
    return f"no column of that name (did you mean {close[0]}?)" if close else "no column of that name"


def expected(column: Tensor) -> str:
    """What a value of the column has to be, in words."""
    if column.width:
        return f"a list of {column.width} numbers"
    if column.kind in FLOATS:
        return "a number, or null where it is missing"
    if column.kind == "string":
        return "text (also a whole number, true or false), or null where it is missing"
    if column.kind == "bool":
        return "true or false"
    limits = np.iinfo(column.dtype)
    if limits.bits == 64:
        return f"a whole number{'' if limits.min else ' from 0'} of 64 bits"
    return f"a whole number from {limits.min} to {limits.max}"


# ---------------------------------------------------------------- values


def _column(values: list[Any], column: Tensor, problems: Problems) -> Array:
    """The values as an array of the column's type; zeros where there is a problem."""
    kinds = set(map(type, values))
    with np.errstate(over="ignore"):
        if column.width:
            return _vectors(values, column, problems)
        try:
            if column.kind in FLOATS and kinds <= {int, float}:
                found = np.array(values, np.float64).astype(column.dtype)
                if np.isfinite(found).all():
                    return found
            if column.kind.startswith(("int", "uint")) and kinds == {int}:
                return np.array(values, column.dtype)
            if column.kind == "string" and kinds == {str}:
                "".join(values).encode()
                return np.array(values, np.object_)
        except (OverflowError, UnicodeEncodeError):
            pass  # one of them: which, is found below
        return _one_by_one(values, column, problems)


def _one_by_one(values: list[Any], column: Tensor, problems: Problems) -> Array:
    found = np.zeros(len(values), column.dtype)
    for place, value in enumerate(values):
        typed = _value(value, column)
        if typed is None:
            problems.add(expected(column), shown(value), place, column.name)
        else:
            found[place] = typed
    return found


def _vectors(values: list[Any], column: Tensor, problems: Problems) -> Array:
    if all(isinstance(value, list) and len(value) == column.width for value in values):
        flat = [number for value in values for number in value]
        if set(map(type, flat)) == {float}:
            found = np.array(flat, np.float64).astype(column.dtype).reshape(-1, column.width)
            if np.isfinite(found).all():
                return found
    found = np.zeros((len(values), column.width), column.dtype)
    for place, value in enumerate(values):
        numbers = value if isinstance(value, list) and len(value) == column.width else [None]
        typed = [None if number is None else _float(number, column) for number in numbers]
        if None in typed:
            problems.add(expected(column), _vector(value, column, typed), place, column.name)
        else:
            found[place] = typed
    return found


def _vector(value: Any, column: Tensor, typed: list[Any]) -> str:
    """What is wrong with a list of numbers, in words."""
    if not isinstance(value, list) or len(value) != column.width:
        return shown(value)
    place = typed.index(None)
    return f"{shown(value[place])} at {place}"


def _value(value: Any, column: Tensor) -> Any:
    """The value as the column's type has it; None where it cannot be one."""
    if column.kind in FLOATS:
        return _float(value, column)
    if column.kind == "bool":
        return value if isinstance(value, bool) else None
    if column.kind == "string":
        return _text(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    limits = np.iinfo(column.dtype)
    fits = isinstance(value, int) and not isinstance(value, bool) and limits.min <= value <= limits.max
    return value if fits else None


def _text(value: Any) -> str | None:
    """As Arrow writes it, since `predict` has it so: true, not True."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value) if -(1 << 63) <= value < 1 << 64 else None
    return value if isinstance(value, str) and is_text(value) else None


def _float(value: Any, column: Tensor) -> Any:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        typed = np.float64(value).astype(column.dtype)
    except OverflowError:
        return None
    return typed if np.isfinite(typed) else None


def is_text(value: str) -> bool:
    """Whether the text can be written down: half a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
