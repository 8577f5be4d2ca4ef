"""Writes plain values as YAML, in the layout in which DVC writes its own files.

    cmd: trunkline exec flights.clean
    deps:
    - data/flights/ingest
    - stages/clean.py

Text is quoted where a reader might take it for something else. What a `dvc stage add` rewrites
stays the same, because the layout is the same.
"""

from __future__ import annotations

import re
from typing import Any

from trunkline.spec import scalars

_PLAIN = re.compile(r"[A-Za-z0-9_./](?:[A-Za-z0-9_./+=@~^-]| (?! |$))*").fullmatch


def scalar(text: str) -> str:
    """A text as one YAML scalar on one line."""
    if _PLAIN(text) and scalars.tag_of(text) == scalars.STR:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def entry(key: str, value: Any, indent: int = 0) -> list[str]:
    """The lines of one `key: value` of a mapping, without line ends."""
    pad = " " * indent
    if isinstance(value, str):
        return [f"{pad}{scalar(key)}: {scalar(value)}"]
    if isinstance(value, list):
        return [f"{pad}{scalar(key)}:", *(line for each in value for line in item(each, indent))]
    below = [line for name, child in value.items() for line in entry(name, child, indent + 2)]
    return [f"{pad}{scalar(key)}:", *below]


def item(value: Any, indent: int = 0) -> list[str]:
    """The lines of one item of a list: a text, or a mapping."""
    pad = " " * indent
    if isinstance(value, str):
        return [f"{pad}- {scalar(value)}"]
    lines = [line for name, child in value.items() for line in entry(name, child, indent + 2)]
    return [f"{pad}- {lines[0][indent + 2 :]}", *lines[1:]]


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
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
