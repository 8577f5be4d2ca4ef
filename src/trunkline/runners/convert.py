"""Input files as tables, in the form that a function's annotation asks for.

    pandas.DataFrame          as pandas.read_csv gives it, or from Arrow, without an index
    pyarrow.Table             as pyarrow reads it
    pyarrow.dataset.Dataset   lazy: the files are looked at, not read

    .parquet    .csv (UTF-8, a header line)    .jsonl (one object a line)    .json (a list of objects)

The suffix decides how a file is read, and a file that is something else fails its datum with the name
it has in its dataset. A directory is the concatenation of its files in sorted order. They must have one
suffix and the same columns; the order of the columns is the first file's; types are unified where no
value changes (a column that is empty on one day, whole numbers beside fractions), else it is an error.

Files are read from the cache's objects, which have no suffix and do not change.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.csv

from trunkline.errors import CorruptData
from trunkline.model import WorkFile, WorkInput
from trunkline.runners.failures import Fault, shown
from trunkline.tables import canonical, first_line, read_table

_NAMES = {
    ".parquet": "Parquet",
    ".csv": "CSV with a header line, in UTF-8",
    ".jsonl": "JSON, one object a line",
}
_NAMES[".json"] = "JSON, a list of objects"


def frame(given: WorkInput) -> Any:
    """One input as a pandas.DataFrame. Raises Fault."""
    if _suffix(given) != ".csv":
        return table(given).to_pandas(ignore_metadata=True, use_threads=_large(given))
    import pandas as pd

    frames = [_read(given, file, _csv_frame) for file in given.files]
    _same_columns(given, [list(frame.columns) for frame in frames])
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def table(given: WorkInput) -> pa.Table:
    """One input as a pyarrow.Table. Raises Fault."""
    reader = _READERS[_suffix(given)]
    tables = [_read(given, file, reader) for file in given.files]
    if len(tables) == 1:
        return tables[0]
    names = _same_columns(given, [table.schema.names for table in tables])
    _unified(given, [table.schema for table in tables])
    try:
        return pa.concat_tables([table.select(names) for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        raise Fault(
            "BadInput", f"the files of {_shown(given)} do not fit together: {first_line(error)}"
        ) from error


def dataset(given: WorkInput) -> Any:
    """One input as a lazy pyarrow.dataset.Dataset over its files in sorted order. Raises Fault."""
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem

    suffix = _suffix(given)
    if suffix == ".json":
        raise Fault("BadInput", f"{_shown(given)}: a lazy dataset reads .jsonl, not .json")
    kinds = {".parquet": ds.ParquetFileFormat, ".csv": ds.CsvFileFormat, ".jsonl": ds.JsonFileFormat}
    local, form = LocalFileSystem(), kinds[suffix]()
    look = form.inspect if suffix != ".csv" else lambda path, local: _text_only(form.inspect(path, local))
    schemas = [_read(given, file, lambda path: look(path, local)) for file in given.files]
    _same_columns(given, [schema.names for schema in schemas])
    schema = _unified(given, schemas).remove_metadata()
    paths = [given.object(file) for file in given.files]
    return ds.FileSystemDataset.from_paths(paths, schema=schema, format=form, filesystem=local)


def csv_bytes(value: Any) -> bytes:
    """A frame or a table as CSV. Raises Fault, TrunklineError."""
    arrow, sink = canonical(value), pa.BufferOutputStream()
    if arrow.num_columns == 1 and arrow.column(0).null_count:
        raise Fault(
            "BadOutput", "a single column with empty values has no form in CSV: readers skip empty lines"
        )
    try:
        pyarrow.csv.write_csv(arrow, sink)
    except pa.ArrowException as error:
        raise Fault("BadOutput", f"the table has no form in CSV: {first_line(error)}") from error
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


# ---------------------------------------------------------------- one file


def _csv_frame(path: str) -> Any:
    """Where lines have too many values, pandas would drop some with a warning, or take one for the index."""
    import warnings

    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(path, index_col=False)
        except pd.errors.ParserWarning as error:
            raise ValueError("its lines have more values than the first has names") from error


def _csv(path: str) -> pa.Table:
    return _text_only(pyarrow.csv.read_csv(path))


def _text_only(table: Any) -> Any:
    """The table or schema itself; what Arrow took for binary in a CSV is text that is not UTF-8."""
    schema = getattr(table, "schema", table)
    for field in schema:
        if pa.types.is_binary(field.type):
            raise ValueError(f"the column {field.name} is not UTF-8")
    return table


def _json_lines(path: str) -> pa.Table:
    from pyarrow.json import read_json

    return read_json(path) if os.path.getsize(path) else pa.table({})


def _json_list(path: str) -> pa.Table:
    with open(path, encoding="utf-8") as stream:
        rows = json.load(stream)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it holds something else")
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})


_READERS: dict[str, Callable[[str], pa.Table]] = {
    ".parquet": read_table,
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".json": _json_list,
}


def _read(given: WorkInput, file: WorkFile, reader: Callable[[str], Any]) -> Any:
    """`reader` on the file's object; what it cannot make sense of is told by the dataset's name."""
    try:
        return reader(given.object(file))
    except FileNotFoundError as error:
        name = shown(given.dataset, file.path)
        raise Fault("MissingData", f"{name} is not in the cache any more") from error
    except CorruptData as error:
        _unreadable(given, file, error, error.message.partition(": ")[2])
    except (pa.ArrowException, ValueError, OSError) as error:
        _unreadable(given, file, error, first_line(error).replace(given.object(file), "it"))


def _unreadable(given: WorkInput, file: WorkFile, error: Exception, detail: str) -> NoReturn:
    name, wanted = shown(given.dataset, file.path), _NAMES[_suffix(given)]
    raise Fault("BadInput", f"{name} is not what its suffix says ({wanted}): {detail}") from error


# ---------------------------------------------------------------- many files


def _suffix(given: WorkInput) -> str:
    """The suffix that all files of the input have. Raises Fault."""
    if not given.files:
        raise Fault("BadInput", f"{_shown(given)} holds no files, so it has no columns")
    first = given.files[0]
    suffix = _suffix_of(given, first)
    if suffix not in _NAMES:
        raise Fault(
            "BadInput",
            f"{shown(given.dataset, first.path)} is no table: known are {', '.join(_NAMES)}; "
            f"annotate the parameter `{given.name}` with pathlib.Path to read it yourself",
        )
    for file in given.files:
        if _suffix_of(given, file) != suffix:
            raise Fault(
                "BadInput", f"{_shown(given)} mixes {first.path} with {file.path}: one suffix is needed"
            )
    return suffix


def _suffix_of(given: WorkInput, file: WorkFile) -> str:
    return posixpath.splitext(file.path or given.dataset)[1].lower()


def _same_columns(given: WorkInput, columns: Sequence[Sequence[str]]) -> Sequence[str]:
    """The first file's columns, which every other file must have. Raises Fault."""
    wanted = set(columns[0])
    for file, names in zip(given.files, columns, strict=True):
        if set(names) != wanted:
            missing = ", ".join(sorted(wanted.difference(names))) or "none"
            more = ", ".join(sorted(set(names) - wanted)) or "none"
            raise Fault(
                "BadInput",
                f"{shown(given.dataset, file.path)} has other columns than {given.files[0].path} "
                f"(missing: {missing}; more: {more})",
            )
    return columns[0]


def _unified(given: WorkInput, schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The schema in which all files can be read. Raises Fault."""
    schema = schemas[0].remove_metadata()
    for file, other in zip(given.files, schemas, strict=True):
        try:
            schema = pa.unify_schemas([schema, other.remove_metadata()], promote_options="permissive")
        except pa.ArrowException as error:
            name = shown(given.dataset, file.path)
            raise Fault(
                "BadInput", f"{name} has other types than the files before it: {first_line(error)}"
            ) from error
    return schema


def _large(given: WorkInput) -> bool:
    return sum(file.size for file in given.files) > 1 << 20


def _shown(given: WorkInput) -> str:
    return shown(given.dataset, given.path)
