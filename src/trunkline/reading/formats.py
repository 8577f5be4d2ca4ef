"""Which files are tables, and how they are read: by the ends of their names.

.parquet .pq    .csv .tsv (also .gz)    .jsonl .ndjson    .arrow .feather .ipc
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from trunkline.errors import CorruptData, UsageError
from trunkline.tables import first_line

_ENDS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv", ".tsv": "tsv", ".tsv.gz": "tsv",
    ".jsonl": "json", ".ndjson": "json", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc",
}  # fmt: skip
_BATCH = 65_536  # rows


def kind_of(path: str) -> str:
    """What a file is by its name: parquet, csv, tsv, json, ipc; "" for what is no table."""
    name = path.rpartition("/")[2].lower()
    return next((kind for end, kind in _ENDS.items() if name.endswith(end)), "")


def format_of(kind: str) -> ds.FileFormat:
    """Arrow's format for a kind."""
    if kind in ("csv", "tsv"):
        options = pyarrow.csv.ParseOptions(delimiter=_delimiter(kind), newlines_in_values=True)
        return ds.CsvFileFormat(parse_options=options)
    return {"parquet": ds.ParquetFileFormat, "json": ds.JsonFileFormat, "ipc": ds.IpcFileFormat}[kind]()


def one_kind(name: str, paths: Iterable[str]) -> str:
    """The kind that all these files have. Raises UsageError, which says what to use instead."""
    kinds = {path: kind_of(path) for path in paths}
    found = set(kinds.values())
    if len(found) == 1 and "" not in found:
        return found.pop()
    other = next((path for path, kind in kinds.items() if not kind), "")
    what = f"{other} is no table" if other else f"it has tables of several kinds: {', '.join(sorted(found))}"
    raise UsageError(
        f"{name} cannot be opened as one table: {what if kinds else 'it has no files'}",
        hint=f"trunkline.open reads {', '.join(_ENDS)}; name a file or a directory of it, or use "
        f'trunkline.path("{name}/FILE…") and trunkline.files("{name}…") for the bytes',
    )


def schema_of(path: str, kind: str) -> pa.Schema:
    """The columns of a file; those of text formats are all text. Raises CorruptData."""
    with _reading(path):
        if kind == "parquet":
            return pq.read_schema(path).remove_metadata()
        if kind in ("csv", "tsv"):
            with _text(path, kind, {}) as reader:
                return pa.schema([(name, pa.string()) for name in reader.schema.names])
        return ds.dataset(path, format=format_of(kind)).schema.remove_metadata()


def rows_of(path: str, kind: str) -> int:
    """How many rows a file has. Raises CorruptData."""
    with _reading(path):
        if kind == "parquet":
            return int(pq.read_metadata(path).num_rows)
    return sum(batch.num_rows for batch in batches(path, kind, []))


def batches(path: str, kind: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """A file's rows, some thousand at a time. Raises CorruptData."""
    with _reading(path):
        if kind == "parquet":
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(_BATCH, columns=columns, use_threads=False)
        elif kind in ("csv", "tsv"):
            with _text(path, kind, {name: pa.string() for name in schema_of(path, kind).names}) as reader:
                for batch in reader:
                    yield batch.select(columns) if columns else batch
        else:
            yield from ds.dataset(path, format=format_of(kind)).to_batches(columns=columns or None)


class _reading:  # noqa: N801 - reads as a statement
    """Turns what Arrow says of a file that it cannot read into an error of ours."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException) and not isinstance(error, KeyError):
            said = first_line(error)
            raise CorruptData(f"this file is not what its name says: {said}", where=self._path) from error


def texts(path: str, kind: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """These columns of a text file. Raises KeyError where it has not got them all, CorruptData."""
    with _reading(path), _text(path, kind, dict.fromkeys(columns, pa.string()), columns) as reader:
        yield from reader


def _text(
    path: str, kind: str, types: dict[str, pa.DataType], columns: list[str] | None = None
) -> pyarrow.csv.CSVStreamingReader:
    """Reads text: every cell as it is written, none of them null."""
    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    source = pa.CompressedInputStream(pa.OSFile(path), "gzip") if packed else pa.OSFile(path)
    return pyarrow.csv.open_csv(
        source,
        parse_options=pyarrow.csv.ParseOptions(delimiter=_delimiter(kind), newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, include_columns=columns, strings_can_be_null=False
        ),
    )


def _delimiter(kind: str) -> str:
    return "\t" if kind == "tsv" else ","
