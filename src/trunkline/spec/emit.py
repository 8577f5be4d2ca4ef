"""Writes plain values as YAML, in the layout in which DVC writes its own files.

    cmd: trunkline exec flights.clean
    deps:
    - data/flights/ingest
    - stages/clean.py

Text is quoted where a reader might take it for something else: DVC reads YAML 1.2, Prefect 1.1. What
a `dvc stage add` rewrites stays the same, because the layout is the same.
"""

from __future__ import annotations

import re
from typing import Any

from yaml import ScalarNode
from yaml.resolver import Resolver

from trunkline.spec import scalars

_PLAIN = re.compile(r"[A-Za-z0-9_./](?:[A-Za-z0-9_./+=@~^-]| (?! |$))*").fullmatch
_OLD_READER = Resolver()


def scalar(text: str) -> str:
    """A text as one YAML scalar on one line."""
    if _PLAIN(text) and scalars.tag_of(text) == scalars.STR and _is_text_in_1_1(text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def entry(key: str, value: Any, indent: int = 0) -> list[str]:
    """The lines of one `key: value` of a mapping, without line ends."""
    pad = " " * indent
    short = _short(value)
    if short is not None:
        return [f"{pad}{scalar(key)}: {short}"]
    if isinstance(value, list):
        return [f"{pad}{scalar(key)}:", *(line for each in value for line in item(each, indent))]
    below = [line for name, child in value.items() for line in entry(name, child, indent + 2)]
    return [f"{pad}{scalar(key)}:", *below]


def item(value: Any, indent: int = 0) -> list[str]:
    """The lines of one item of a list."""
    pad = " " * indent
    short = _short(value)
    if short is not None:
        return [f"{pad}- {short}"]
    if isinstance(value, list):
        lines = [line for each in value for line in item(each, indent + 2)]
    else:
        lines = [line for name, child in value.items() for line in entry(name, child, indent + 2)]
    return [f"{pad}- {lines[0][indent + 2 :]}", *lines[1:]]


def _short(value: Any) -> str | None:
    """What goes on one line: a scalar, an empty list or mapping; None for anything else."""
    match value:
        case str():
            return scalar(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            whole, exponent, power = repr(value).partition("e")  # YAML 1.1 wants a point: 1.0e-05
            return whole + (".0" if exponent and "." not in whole else "") + exponent + power
        case int():
            return str(value)
        case [] | {}:
            return None if value else "[]" if isinstance(value, list) else "{}"
    return None


def _is_text_in_1_1(text: str) -> bool:
    tag: Any = _OLD_READER.resolve(ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return bool(tag == scalars.STR)


def _escaped(character: str) -> str:
    if character in '"\\\n':
        return "\\" + character.replace("\n", "n")
    if character.isprintable():
        return character
    number = ord(character)
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )
