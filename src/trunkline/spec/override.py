"""Other values for parameters, put into the text of a pipeline file; every other byte stays.

    params: {epochs: 5, seed: 7}   # twice is enough      {"train": {"epochs": 10}}
    params: {epochs: 10, seed: 7}   # twice is enough

A parameter must be there already: a misspelt one would change nothing and be believed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from trunkline.errors import UsageError
from trunkline.spec import emit
from trunkline.spec.names import listed, nearest
from trunkline.spec.read import MappingNode, Node, ScalarNode, load, read


def override(text: str, file: str, params: Mapping[str, Mapping[str, Any]]) -> str:
    """The text with these values: stage -> parameter -> value. Raises UsageError, SpecError."""
    root = read(text, file)
    stages = _children(_children(root).get("stages"))
    edits: list[tuple[int, int, str]] = []
    for stage, values in params.items():
        if stage not in stages:
            raise _unknown(file, "stage", stage, stages)
        if not isinstance(values, Mapping):
            raise UsageError(
                f"the parameters of {stage} are not a mapping", hint='write {"train": {"epochs": 10}}'
            )
        known = _children(_children(stages[stage]).get("params"))
        for name, value in values.items():
            if name not in known:
                raise _unknown(file, f"parameter of {stage}", name, known)
            edits.append(_edit(text, known[name], _flow(value)))
    changed = text
    for start, end, new in sorted(edits, reverse=True):
        changed = changed[:start] + new + changed[end:]
    _check(text, changed, file, params)
    return changed


def _children(node: Node | None) -> dict[str, Node]:
    pairs = node.value if isinstance(node, MappingNode) else []
    return {str(key.value): child for key, child in pairs}


def _edit(text: str, node: Node, new: str) -> tuple[int, int, str]:
    """Where the value stands, and what to put there."""
    start, end = node.start_mark.index, _end(text, node)
    if start == end:  # nothing is written: a null
        return start, end, f" {new}" if text[start - 1 : start] == ":" else new
    return start, end, new


def _end(text: str, node: Node) -> int:
    """Where a value ends. A block's own mark stands behind the comments that follow it."""
    if not isinstance(node, ScalarNode) and not getattr(node, "flow_style", False) and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = int(node.start_mark.index), int(node.end_mark.index)
    return start + len(text[start:end].rstrip()) if getattr(node, "style", "") in ("|", ">") else end


def _flow(value: object) -> str:
    """A value as YAML on one line, as it may stand anywhere."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        case int() | float():
            return json.dumps(value)
        case str():
            return emit.scalar(value)
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case Mapping():
            pairs = (f"{emit.scalar(str(key))}: {_flow(each)}" for key, each in value.items())
            return "{" + ", ".join(pairs) + "}"
    raise UsageError(f"a parameter cannot be {value!r}", hint="give a text, a number, true, false, a list")


def _check(before: str, after: str, file: str, params: Mapping[str, Mapping[str, Any]]) -> None:
    """See that the text says what is wanted, and nothing else is changed."""
    wanted = json.loads(json.dumps(load(before, file), default=str))
    for stage, values in params.items():
        wanted["stages"][stage]["params"].update(json.loads(json.dumps(values)))
    found = json.loads(json.dumps(load(after, file), default=str))
    if found != wanted:
        raise UsageError(
            "these parameters cannot be changed without changing others",
            where=file,
            hint="an anchor or a merge key (`<<`) of the file is in the way; write the values out",
        )


def _unknown(file: str, what: str, name: str, known: Mapping[str, Node]) -> UsageError:
    close = nearest(name, known)
    hint = f"did you mean {close}?" if close else f"there are: {listed(sorted(known))}" if known else ""
    return UsageError(f"there is no {what} {name!r}", where=file, hint=hint or "declare it under `params`")
