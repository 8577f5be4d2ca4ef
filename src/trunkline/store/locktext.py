"""The text of dvc.lock: one stage's block replaced or inserted, the rest untouched.

DVC reads the whole file with a YAML library that keeps layout, replaces one entry, and writes all
of it. For the form in which it writes that is the same as cutting out one block of lines:

    stages:
      flights-clean:          a block begins with two blanks and the name,
        cmd: …                and goes to the next such line, or to a line without blanks
      flights-ingest:
        cmd: …

A file in any other form (comments, anchors, other indentation) goes through the library as a
whole, as DVC does it: slower, and right. Where of an entry only hashes, sizes and numbers of files
are others, their lines are changed and nothing goes through the library.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from trunkline.store import yamltext

HEAD = "schema: '2.0'\nstages:\n"
_NAME = re.compile(r"  ([A-Za-z0-9_][A-Za-z0-9_@./-]*):$")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*$")
_VARIES = ("md5", "size", "nfiles")
_FIELD = re.compile(r"^      (md5|size|nfiles): (.*)$", re.MULTILINE)
_HASH = re.compile(r"[0-9a-f]{32}\.dir|(?!\d*e?\d*$)(?!0b)[0-9a-f]{32}")  # never a number to YAML
_UNUSUAL = re.compile(r"^\s*#|(?::|-) [&*]|^\s*[&*?]|^<<", re.MULTILINE)


class Parts(NamedTuple):
    """A dvc.lock in the form in which DVC writes it."""

    head: str
    blocks: dict[str, str]  # name -> its lines, in the order of the file
    tail: str

    @property
    def text(self) -> str:
        """The whole of it."""
        return "".join((self.head, *self.blocks.values(), self.tail))

    def put(
        self, name: str, data: dict[str, Any], followers: Collection[str], old: Mapping[str, Any] | None
    ) -> Parts | None:
        """With `data` as the entry of stage `name`, which was `old`; None where the library must do it."""
        if not _PLAIN.match(name):
            return None
        block = None if old is None else _spliced(self.blocks[name], old, data)
        if block is None:
            block = yamltext.dump({"stages": {name: data}}).partition("\n")[2]
            if _UNUSUAL.search(block):
                return None
        if name in self.blocks:
            return self._replace(blocks={**self.blocks, name: block})
        return self._replace(blocks=_inserted(self.blocks, name, block, followers))


def put(text: str, name: str, data: dict[str, Any], followers: Collection[str]) -> str:
    """The text of dvc.lock with `data` as the entry of stage `name`.

    A new entry goes before the first of `followers`, and to the end where there is none.
    """
    parts = split(text or HEAD)
    changed = None if parts is None else parts.put(name, data, followers, None)
    return _put_whole(text, name, data, followers) if changed is None else changed.text


def split(text: str) -> Parts | None:
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
    return Parts("".join(lines[:start]), blocks, "".join(lines[at:]))


def _spliced(block: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The block of `old` as that of `new`, where only hashes, sizes and numbers of files differ."""
    before, after = _items(old), _items(new)
    fixed = [{**entry, "deps": None, "outs": None} for entry in (old, new)]
    if repr(fixed[0]) != repr(fixed[1]) or len(before) != len(after):  # by `==`, 1 and true are the same
        return None
    fields: list[tuple[str, object, object]] = []
    for was, now in zip(before, after, strict=True):
        if list(was) != list(now) or any(was[key] != now[key] for key in was if key not in _VARIES):
            return None
        fields += [(key, was[key], now[key]) for key in was if key in _VARIES]
    found = list(_FIELD.finditer(block))
    if len(found) != len(fields):
        return None
    pieces, at = [], 0
    for match, (key, past, present) in zip(found, fields, strict=True):
        if match[1] != key or match[2].strip("'") != str(past):
            return None
        if past != present and key == "md5" and not _HASH.fullmatch(str(present)):
            return None
        pieces += [block[at : match.start(2)], match[2] if past == present else str(present)]
        at = match.end(2)
    return "".join([*pieces, block[at:]])


def _items(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*entry.get("deps", ()), *entry.get("outs", ())]


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
