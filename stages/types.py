"""Names of column types, as a pipeline file writes them.

int32  float64  string  bool  date32  "timestamp[ms, tz=UTC]"  "timestamp[s]"
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

NAMES = ("bool", "int8", "int16", "int32", "int64", "float32", "float64", "string", "date32")
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, *tz=([\w/+:-]+))?\]")


def data_types(types: Mapping[str, str | pa.DataType] | None) -> dict[str, pa.DataType]:
    """The Arrow type of each column. Raises ValueError where a name is none."""
    return {column: _data_type(column, name) for column, name in (types or {}).items()}


def _data_type(column: str, name: str | pa.DataType) -> pa.DataType:
    if isinstance(name, pa.DataType):
        return name
    instant = _TIMESTAMP.fullmatch(str(name))
    if instant:
        return pa.timestamp(instant[1], tz=instant[2])
    if name not in NAMES:
        raise ValueError(
            f"the type of {column} is {name!r}; one of {', '.join(NAMES)}, timestamp[ms, tz=UTC] is needed"
        )
    return pa.type_for_alias(name)
