"""Collects the problems of one file, each with the place that it is about."""

from __future__ import annotations

import re

from trunkline.errors import Problem
from trunkline.model import Mark
from trunkline.spec import scalars
from trunkline.spec.read import MappingNode, Node, ScalarNode, SequenceNode, value

_WORDS = {
    scalars.STR: "text",
    scalars.NULL: "empty",
    scalars.DATE: "a date",
    f"{scalars.PREFIX}bool": "true or false",
    f"{scalars.PREFIX}int": "a number",
    f"{scalars.PREFIX}float": "a number",
}


class Say:
    """The problems of one file so far."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines = re.split(r"\r\n|\r|\n", text)

    def at(self, node: Node, message: str, advice: str = "", *, offset: int = 0, length: int = 0) -> None:
        """A problem at a node; `offset` and `length` mark a part of a scalar."""
        mark, end = node.start_mark, node.end_mark
        width = end.column - mark.column if end.line == mark.line and isinstance(node, ScalarNode) else 1
        if length and isinstance(node, ScalarNode) and node.style:
            starts = _starts(self._lines[mark.line][mark.column : mark.column + width], len(node.value))
            if starts:
                offset, length = starts[offset], starts[offset + length] - starts[offset]
            else:
                offset = length = 0  # over several lines
        column = mark.column + 1 + offset
        problem = Problem(
            self.file, mark.line + 1, column, message, advice, self._lines[mark.line], max(1, length or width)
        )
        self.problems.append(problem)

    def file_wide(self, message: str, advice: str = "") -> None:
        """A problem of the whole file."""
        self.problems.append(Problem(self.file, 0, 0, message, advice))

    def mark(self, node: Node) -> Mark:
        """Where a node begins."""
        return Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)


_ESCAPED = re.compile(r"\\(?:x.{2}|u.{4}|U.{8}|.)")


def _starts(written: str, count: int) -> list[int]:
    """Where each of the `count` characters of a quoted scalar stands in it, and where they end.

    Empty where the characters are not those between the quotes.
    """
    quote, place, found = written[:1], 1, []
    while place < len(written) - 1:
        found.append(place)
        escaped = _ESCAPED.match(written, place) if quote == '"' else None
        double = quote == "'" and written.startswith("''", place)
        place += len(escaped[0]) if escaped else 2 if double else 1
    return [*found, place] if len(found) == count else []


def kind_of(node: Node) -> str:
    """What a node is, in the words of the messages."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return _WORDS.get(node.tag, "a value")


def is_text(node: Node) -> bool:
    """Whether a node is text for every reader of the file."""
    return isinstance(node, ScalarNode) and node.tag == scalars.STR


def is_count(node: Node) -> bool:
    """Whether a node is a whole number above 0."""
    return isinstance(node, ScalarNode) and node.tag == f"{scalars.PREFIX}int" and value(node) > 0


def is_whole(node: Node) -> bool:
    """Whether a node is a whole number."""
    return isinstance(node, ScalarNode) and node.tag == f"{scalars.PREFIX}int"


def is_number(node: Node) -> bool:
    """Whether a node is a finite number above 0."""
    return kind_of(node) == "a number" and 0 < value(node) < float("inf")


def is_moment(node: Node) -> bool:
    """Whether a node is a date, with or without a time, or text that may say one."""
    return is_text(node) or (isinstance(node, ScalarNode) and node.tag == scalars.DATE)
