"""What the server says of itself: the schema of the model, and the parts of OpenAPI that follow from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from trunkline.serve import answers, tables
from trunkline.serve.bodies import IMAGE, JSON, TEXT, Bodies
from trunkline.serve.found import Model
from trunkline.serve.network import FLOATS, Network, Tensor
from trunkline.serve.refusals import MAX_ROWS
from trunkline.serve.rows import expected

_EXAMPLES = {"string": "text", "bool": True}


def schema(model: Model, network: Network, bodies: Bodies, max_body: int) -> dict[str, Any]:
    """What `/schema` answers."""
    kind = "image" if network.takes_image else "text" if network.takes_text else "rows"
    limits: dict[str, int] = {"body_bytes": max_body}
    if not network.takes_image:
        limits["rows"] = MAX_ROWS
    return {
        "model": model.as_json(),
        "kind": kind,
        "inputs": [_described(each, network) for each in network.inputs],
        "outputs": [
            {"name": each.name, "type": each.kind, "shape": list(each.shape)} for each in network.outputs
        ],
        "classes": network.classes,
        "accepts": list(bodies.accepts),
        "answers": list(answers.MEDIA),
        "limits": limits,
    }


def _described(each: Tensor, network: Network) -> dict[str, Any]:
    about = "a picture, RGB" if network.takes_image else expected(each)
    return {"name": each.name, "type": each.kind, "shape": list(each.shape), "value": about}


def row_schema(network: Network) -> dict[str, Any]:
    """The JSON Schema of one row."""
    return {
        "title": "Row",
        "type": "object",
        "properties": {each.name: _type(each) for each in network.inputs},
        "required": [each.name for each in network.inputs],
        "additionalProperties": False,
    }


def _type(column: Tensor) -> dict[str, Any]:
    if column.width:
        return {
            "type": "array",
            "items": {"type": "number"},
            "minItems": column.width,
            "maxItems": column.width,
        }
    if column.kind in FLOATS:
        return {"type": ["number", "null"], "description": f"{column.kind}; null is a missing value"}
    if column.kind == "string":
        return {
            "type": ["string", "integer", "boolean", "null"],
            "description": 'null is a missing value, which is the same as ""; 3 is the same as "3", true as "true"',
        }
    if column.kind == "bool":
        return {"type": "boolean"}
    limits = np.iinfo(column.dtype)
    return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}


def example(network: Network) -> dict[str, Any]:
    """A row that the model takes; what it says of it means nothing."""
    return {
        each.name: [0] * each.width if each.width else _EXAMPLES.get(each.kind, 0) for each in network.inputs
    }


def request(network: Network, bodies: Bodies) -> dict[str, Any]:
    """OpenAPI's description of what `/predict` takes."""
    row = {} if network.takes_image else row_schema(network)
    rows = {
        "title": "Rows",
        "type": "object",
        "properties": {"rows": {"type": "array", "minItems": 1, "items": row}},
        "required": ["rows"],
        "additionalProperties": False,
    }
    binary = {"schema": {"type": "string", "format": "binary"}}
    known: dict[str, Any] = {
        JSON: {"schema": {"anyOf": [rows, row]}, "example": {"rows": [example(network)]}},
        tables.PARQUET: binary,
        tables.ARROW: binary,
        TEXT: {"schema": {"type": "string", "description": "UTF-8; a line is a row"}, "example": "text"},
        IMAGE: binary,
    }
    return {"requestBody": {"required": True, "content": {media: known[media] for media in bodies.accepts}}}


MODEL = {
    "title": "Model",
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string", "description": "the content hash of the model file"},
        "run": {"type": ["string", "null"], "description": "the run that made it"},
    },
    "required": ["name", "version", "run"],
}
REFUSAL = {
    "title": "Refusal",
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "problems": {"type": "array", "items": {"type": "object"}},
                "more": {"type": "integer", "description": "problems that are not listed"},
            },
            "required": ["code", "message", "hint", "problems", "more"],
        },
        "model": MODEL,
    },
    "required": ["error", "model"],
}


def responses(network: Network) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of what `/predict` answers."""
    prediction = {"type": "object", "required": [each.name for each in network.outputs]}
    answer = {
        "title": "Answer",
        "type": "object",
        "properties": {
            "model": MODEL,
            "predictions": {"type": "array", "items": prediction},
            "classes": {"type": "array"},
        },
        "required": ["model", "predictions"],
    }
    binary = {"schema": {"type": "string", "format": "binary"}}
    told = {
        400: "the body cannot be read: what it says, and where",
        401: "the token is missing, or another one",
        406: "no such form of answer",
        413: "larger than what is taken",
        415: "no such form of body",
        422: "the body can be read, and is not what the model takes: row, column, expected, got",
        503: "too many requests are under way",
    }
    return {
        200: {
            "description": "One prediction a row",
            "content": {answers.JSON: {"schema": answer}, tables.ARROW: binary, tables.PARQUET: binary},
        },
        **{
            status: {"description": text, "content": {answers.JSON: {"schema": REFUSAL}}}
            for status, text in told.items()
        },
    }
