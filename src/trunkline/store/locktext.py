"""The text of dvc.lock: one stage's block replaced or inserted, the rest untouched.

DVC reads the whole file with a YAML library that keeps layout, replaces one entry, and writes all
of it. For the form in which it writes that is the same as cutting out one block of lines:

    stages:
      flights-clean:          a block begins with two blanks and the name,
        cmd: …                and goes to the next such line, or to a line without blanks
      flights-ingest:
        cmd: …

A file in any other form (comments, anchors, other indentation) goes through the library as a
whole, as DVC does it: slower, and right.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from trunkline.store import yamltext

_HEAD = "schema: '2.0'\nstages:\n"
_NAME = re.compile(r"  ([A-Za-z0-9_][A-Za-z0-9_@./-]*):$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*$")
_UNUSUAL = re.compile(r"^\s*#|(?::|-) [&*]|^\s*[&*?]|^<<", re.MULTILINE)


class _Parts(NamedTuple):
    head: str
    blocks: dict[str, str]  # name -> its lines, in the order of the file
    tail: str

    @property
    def text(self) -> str:
        return self.head + "".join(self.blocks.values()) + self.tail


def put(text: str, name: str, data: dict[str, Any], followers: Collection[str]) -> str:
    """The text of dvc.lock with `data` as the entry of stage `name`.

    A new entry goes before the first of `followers`, and to the end where there is none.
    """
    block = yamltext.dump({"stages": {name: data}}).partition("\n")[2]
    parts = None if _UNUSUAL.search(block) else split(text or _HEAD)
    if parts is None or not _PLAIN.match(name):
        return _put_whole(text, name, data, followers)
    if name in parts.blocks:
        blocks = {**parts.blocks, name: block}
    else:
        blocks = _inserted(parts.blocks, name, block, followers)
    return parts._replace(blocks=blocks).text


def split(text: str) -> _Parts | None:
    """The text as head, blocks and tail; None where it is not in the form in which DVC writes."""
    if _UNUSUAL.search(text) or "\r" in text or not text.endswith("\n"):
        return None
    lines = [line + "\n" for line in text[:-1].split("\n")]
    if "stages:\n" not in lines:
        return None
    start = lines.index("stages:\n") + 1
    blocks: dict[str, str] = {}
    name, at = "", start
    for at in range(start, len(lines) + 1):
        line = lines[at] if at < len(lines) else "end"
        if line[0] not in " \n":
            break
        if line.startswith("  ") and line[2] not in " \n":
            found = _NAME.match(line.rstrip("\n"))
            if found is None or found[1] in blocks:
                return None
            name = found[1]
            blocks[name] = line
        elif name and (line == "\n" or line.startswith("  ")):
            blocks[name] += line
        else:
            return None
    return _Parts("".join(lines[:start]), blocks, "".join(lines[at:]))


def _inserted(old: dict[str, Any], name: str, value: object, followers: Collection[str]) -> dict[str, Any]:
    new: dict[str, Any] = {}
    for key, entry in old.items():
        if key in followers and name not in new:
            new[name] = value
        new[key] = entry
    new.setdefault(name, value)
    return new


def _put_whole(text: str, name: str, data: dict[str, Any], followers: Collection[str]) -> str:
    whole = yamltext.load_commented(text) if text else None
    if not whole:
        whole = {"schema": "2.0"}
    stages: Any = whole.get("stages") or {}
    if name in stages or not any(key in followers for key in stages):
        stages[name] = data
    else:
        position = next(at for at, key in enumerate(stages) if key in followers)
        stages.insert(position, name, data)
    whole["stages"] = stages
    return yamltext.dump(whole)
