"""The JSON Schema of a pipeline file, for editors: completion, descriptions, squiggles.

Made from the same table as the checker's messages. A schema sees one file and no names in it, so
it lets through what only `trunkline check` can tell: unknown datasets, cycles, missing functions.
"""

from __future__ import annotations

import json
from typing import Any

from trunkline.spec.keys import (
    DEPLOY,
    GRAMMAR,
    LEAF,
    MODEL,
    NAME_PATTERN,
    PATH_PATTERN,
    PIPELINE,
    PLOT,
    POOL,
    SCHEDULE,
    STAGE,
    WHEN,
    Key,
    Kind,
)

_TEXTS = {"type": "array", "items": {"type": "string"}}
_KINDS: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": "string"},
    Kind.TEXTS: _TEXTS,
    Kind.TEXT_OR_TEXTS: {"anyOf": [{"type": "string"}, _TEXTS]},
    Kind.TEXT_OR_NUMBER: {"type": ["string", "number"]},
    Kind.MOMENT: {"type": "string"},
    Kind.FLAG: {"type": "boolean"},
    Kind.COUNT: {"type": "integer", "minimum": 1},
    Kind.TEXT_OR_MAPPING: {},
    Kind.MAPPING: {"type": "object"},
    Kind.LIST: {"type": "array"},
}


def pipeline_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A trunkline pipeline",
        **_object(PIPELINE),
        "$defs": {
            "stage": _stage(),
            "input": _input(),
            "member": {"oneOf": [{"$ref": "#/$defs/leaf"}, *_groups()]},
            "members": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/member"}},
            "leaf": _object(LEAF),
            "model": _object(MODEL),
            "plot": _plot(),
            "pool": _object(POOL),
            "schedule": _schedule(),
            "deploy": _object(DEPLOY),
        },
    }


def schema_text() -> str:
    """The text of schema/pipeline.json."""
    return json.dumps(pipeline_schema(), indent=2, ensure_ascii=False) + "\n"


def _object(keys: tuple[Key, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key.name: _property(key) for key in keys},
        "required": [key.name for key in keys if key.required],
        "additionalProperties": False,
    }


def _property(key: Key) -> dict[str, Any]:
    kind = {} if "$ref" in key.schema else _KINDS[key.kind]
    return {"description": f"{key.doc} Example: {key.example}", **kind, **key.schema}


def _stage() -> dict[str, Any]:
    """`run` or `cmd`, and `stdin` with `cmd` only."""
    either = [{"required": ["run"]}, {"required": ["cmd"]}]
    return {**_object(STAGE), "oneOf": either, "dependentRequired": {"stdin": ["cmd"]}}


def _schedule() -> dict[str, Any]:
    """One way to say when, and `anchor` with `interval` only."""
    either = [{"required": [word]} for word in WHEN]
    return {**_object(SCHEDULE), "oneOf": either, "dependentRequired": {"anchor": ["interval"]}}


def _groups() -> list[dict[str, Any]]:
    docs = {
        "cross": "Every combination of the inputs' datums.",
        "join": "Every combination of datums with the same key, for each key that all inputs have.",
    }
    return [
        {
            "type": "object",
            "properties": {word: {"description": doc, "$ref": "#/$defs/members"}},
            "required": [word],
            "additionalProperties": False,
        }
        for word, doc in docs.items()
    ]


def _input() -> dict[str, Any]:
    reserved = sorted(GRAMMAR | {"out", "params", "env"})
    short = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": NAME_PATTERN, "not": {"enum": reserved}},
        "additionalProperties": {
            "description": "dataset, or dataset/pattern",
            "type": "string",
            "pattern": r"^[^/]",
        },
    }
    return {"oneOf": [short, {"$ref": "#/$defs/leaf"}, *_groups()]}


def _plot() -> dict[str, Any]:
    return {
        "oneOf": [
            {"type": "string", "pattern": PATH_PATTERN},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "propertyNames": {"pattern": PATH_PATTERN},
                "additionalProperties": _object(PLOT),
            },
        ]
    }
