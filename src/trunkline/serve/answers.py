"""What the model says -> the body of an answer.

    {"model": {"name": "flights_late", "version": "5c21…", "run": "01a2…"},
     "predictions": [{"label": 0, "probability": [0.81, 0.19]}, …],
     "classes": ["on time", "late"]}                          where the model has names for them

One prediction for each row, in their order; for a picture there is one. An output of one number a row is a
number, one of more is a list. What is not finite is null. As a table an output of more is as many columns, called
by the classes or by their place: probability_0, probability_1. That of a picture is one column of lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from trunkline.serve.found import Model
from trunkline.serve.network import Network
from trunkline.serve.refusals import Refused
from trunkline.serve.tables import ARROW, PARQUET, written

JSON = "application/json"
MEDIA = (JSON, ARROW, PARQUET)


def columns(network: Network, outputs: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Every output as one value a row: an array or a list whose length is `rows`. Raises Refused."""
    if network.takes_image:
        return _of_picture(network, outputs)
    found = {}
    for name, value in outputs.items():
        if len(value) != rows:
            raise Refused(500, "model", f"the model gave {len(value)} values of {name} for {rows} rows")
        flat = isinstance(value, np.ndarray) and value.ndim == 2 and value.shape[1] == 1
        found[name] = value[:, 0] if flat else value
    return found


def _of_picture(network: Network, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """An output whose first size is that of the batch is about the picture, any other is a list of findings."""
    first = {output.name: output.shape[0] if output.shape else None for output in network.outputs}
    return {name: value if first[name] == 1 else [value] for name, value in outputs.items()}


def body(model: Model, network: Network, found: Mapping[str, Any], media: str) -> bytes:
    """The answer in one of MEDIA."""
    if media != JSON:
        table = pa.table(_lists(found) if network.takes_image else _flat(found, network.classes))
        about = {f"trunkline.{key}": value or "" for key, value in model.as_json().items()}
        return written(table.replace_schema_metadata(about), media)
    lists = [_plain(value) for value in found.values()]
    predictions = [dict(zip(found, values, strict=True)) for values in zip(*lists, strict=True)]
    answer: dict[str, Any] = {"model": model.as_json(), "predictions": predictions}
    if network.classes:
        answer["classes"] = network.classes
    return json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and not (finite := np.isfinite(value)).all():
            value = value.astype(object)
            value[~finite] = None
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return _plain(np.asarray(value))


def _flat(found: Mapping[str, Any], classes: Sequence[Any]) -> dict[str, Any]:
    """Columns of one value a row."""
    made: dict[str, Any] = {}
    for name, value in found.items():
        if not isinstance(value, np.ndarray) or value.ndim == 1:
            made[name] = pa.array(value)
            continue
        flat = value.reshape(len(value), -1)
        names = classes if len(classes) == flat.shape[1] else range(flat.shape[1])
        made |= {f"{name}_{each}": flat[:, place] for place, each in enumerate(names)}
    return made


def _lists(found: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of lists, of one row."""
    return {name: pa.array([value[0].tolist()]) for name, value in found.items()}


def wanted(accept: str) -> str:
    """The media type of the answer that `Accept` asks for. Raises Refused, with 406."""
    ranges = []
    for place, part in enumerate(accept.split(",") if accept.strip() else ["*/*"]):
        media, *parameters = (each.strip().lower() for each in part.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        ranges.append((-_number(quality), place, media))
    for weight, _, media in sorted(ranges):
        if weight < 0:
            for known in MEDIA:
                if media in (known, "*/*", known.partition("/")[0] + "/*"):
                    return known
    raise Refused(406, "accept", f"the Accept is {accept[:100]}; there is: {', '.join(MEDIA)}")


def _number(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
