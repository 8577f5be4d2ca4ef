"""The JSON Schema of a pipeline file, for editors: completion, descriptions, squiggles.

Made from the same table as the checker's messages. A schema sees one file and no names in it, so
it lets through what only `trunkline check` can tell: unknown datasets, cycles, missing functions.
"""

from __future__ import annotations

import json
from typing import Any

from trunkline.spec.keys import (
    DATUM_SET,
    DEPLOY,
    FINGERPRINT,
    GRAMMAR,
    LEAF,
    MODEL,
    NAME_PATTERN,
    PATH_PATTERN,
    PIPELINE,
    PLOT,
    POOL,
    RESOURCES,
    SCHEDULE,
    STAGE,
    TICKS,
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
    Kind.NUMBER: {"type": "number", "exclusiveMinimum": 0},
    Kind.NUMBERS: {"type": "array", "items": {"type": "integer"}},
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
            "member": {"oneOf": [{"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/ticks"}, *_groups()]},
            "members": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/member"}},
            "leaf": _object(LEAF),
            "ticks": {
                "type": "object",
                "properties": {"cron": _object(TICKS)},
                "required": ["cron"],
                "additionalProperties": False,
            },
            "datum_set": {**_object(DATUM_SET), "minProperties": 1, "maxProperties": 1},
            "resources": {**_object(RESOURCES), "minProperties": 1},
            "fingerprint": _object(FINGERPRINT),
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
    needs = {"stdin": ["cmd"], "accept_return_code": ["cmd"], "err_stdin": ["err_cmd"]}
    return {**_object(STAGE), "oneOf": either, "dependentRequired": needs}


def _schedule() -> dict[str, Any]:
    """One way to say when, and `anchor` with `interval` only."""
    either = [{"required": [word]} for word in WHEN]
    return {**_object(SCHEDULE), "oneOf": either, "dependentRequired": {"anchor": ["interval"]}}


def _groups() -> list[dict[str, Any]]:
    docs = {
        "cross": "Every combination of the inputs' datums.",
        "union": "The datums of all inputs, one after the other.",
        "join": "Every combination of datums with the same key, for each key that all inputs have.",
        "group": "One datum for each key, of everything in all inputs that has it.",
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
    return {"oneOf": [short, {"$ref": "#/$defs/leaf"}, {"$ref": "#/$defs/ticks"}, *_groups()]}


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
