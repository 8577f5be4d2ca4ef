"""A block-style YAML file as lines, into which entries are put without touching any other line.

    stages:                          a section: its key is in line 0
      by-hand:                       an entry, lines 1 and 2
        cmd: echo
      # a comment                    belongs to no entry, and stays
      flights-clean:                 an entry, lines 4 and 5
        cmd: trunkline exec …

Lines, not values written out again: comments, blank lines, order and quotes of what is not ours
are kept byte for byte, because they are never taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trunkline.spec.read import MappingNode, Node, ScalarNode, SequenceNode, value

_DOCUMENT_MARK = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
_NO_CONTENT = re.compile(r"\s*(?:#|$)")


class UneditableError(Exception):
    """The file is written so that lines cannot be put into it. `node` is where."""

    def __init__(self, node: Node | None, message: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message


class Entry(NamedTuple):
    """One entry of a section: lines `start` to before `end`. `key` is None for an item of a list."""

    key: str | None
    value: Any
    start: int
    end: int


class Edit(NamedTuple):
    """Put `lines` in the place of the lines `start` to before `end`."""

    start: int
    end: int
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One top-level key, the entries below it, and the column in which they begin."""

    key_line: int
    node: Node
    entries: tuple[Entry, ...]
    indent: int


class Sheet:
    """The lines and sections of a file; `root` is a null scalar where there are only comments."""

    def __init__(self, text: str, root: Node) -> None:
        if re.search(r"\r(?!\n)", text):
            raise UneditableError(None, "its lines end in carriage returns")
        if getattr(root, "flow_style", False):
            raise UneditableError(root, "it is written in brackets")
        self.lines: list[str] = re.findall(r"[^\n]*\n|[^\n]+", text)
        self.line_end = "\r\n" if self.lines and self.lines[0].endswith("\r\n") else "\n"
        self._pairs: list[tuple[ScalarNode, Node]] = root.value if isinstance(root, MappingNode) else []
        self.indent = root.start_mark.column if self._pairs else 0

    def section(self, name: str) -> Section | None:
        """The section of that name. Raises UneditableError where it is not in block style."""
        for index, (key, node) in enumerate(self._pairs):
            if key.value == name:
                following = self._pairs[index + 1 :]
                stop = self._line_of(following[0][0]) if following else self._document_end()
                return self._section(key, node, stop)
        return None

    def end(self) -> int:
        """The line before which a new section goes."""
        if not self._pairs:
            return len(self.lines)
        key, node = self._pairs[-1]
        return self._content_end(key.start_mark.line, self._document_end(), node)

    def text(self, edits: Sequence[Edit]) -> str:
        """The file with the edits, which do not overlap, applied."""
        found: list[str] = []
        done = 0
        for start, end, lines in sorted(edits, key=lambda edit: edit[:2]):
            found += self.lines[done:start]
            if lines and found and not found[-1].endswith("\n"):
                found[-1] += self.line_end
            found += [line if line.endswith("\n") else line + self.line_end for line in lines]
            done = end
        return "".join([*found, *self.lines[done:]])

    def without_value(self, section: Section) -> str:
        """The line of a section's key without the `{}`, `[]` or `null` behind it."""
        start, end = section.node.start_mark, section.node.end_mark
        line: str = self.lines[section.key_line]
        if start.line != end.line:
            raise UneditableError(section.node, "it is written in brackets")
        if start.line != section.key_line or start.index == end.index:
            return line
        return line[: int(start.column)].rstrip() + line[int(end.column) :]

    def _section(self, key: ScalarNode, node: Node, stop: int) -> Section:
        line = self._line_of(key)
        if isinstance(node, ScalarNode) or not node.value:
            return Section(line, node, (), self.indent)
        if getattr(node, "flow_style", False):
            raise UneditableError(node, "it is written in brackets")
        if not line <= node.start_mark.line < stop:
            raise UneditableError(key, "it is an alias")
        items = [(None, each) for each in node.value] if isinstance(node, SequenceNode) else node.value
        starts = [self._line_of(each if name is None else name) for name, each in items]
        entries = tuple(
            Entry(
                None if name is None else str(name.value),
                value(each),
                begin,
                self._content_end(begin, end, each),
            )
            for (name, each), begin, end in zip(items, starts, [*starts[1:], stop], strict=True)
        )
        first = self.lines[starts[0]]
        return Section(line, node, entries, len(first) - len(first.lstrip(" ")))

    def _line_of(self, node: Node) -> int:
        """The line of an entry, in which nothing may stand before it."""
        line: int = node.start_mark.line
        before = self.lines[line][: node.start_mark.column].strip("\ufeff \t")
        if before not in ("", "-"):
            raise UneditableError(node, f"'{before}' stands before it in its line")
        return line

    def _document_end(self) -> int:
        """The line of the document's end mark, or the end of the file."""
        first = self._pairs[-1][0].start_mark.line + 1
        marks = (line for line in range(first, len(self.lines)) if _DOCUMENT_MARK.match(self.lines[line]))
        return next(marks, len(self.lines))

    def _content_end(self, start: int, stop: int, node: Node) -> int:
        """The line after the last one that is neither blank nor a comment, or is in a block scalar."""
        end = stop
        while end > start + 1 and _NO_CONTENT.match(self.lines[end - 1]):
            end -= 1
        return max([end, *(line for line in _block_ends(node) if start < line <= stop)])


def _block_ends(node: Node) -> Iterator[int]:
    """The lines after the block scalars in a node: what looks like a comment there is none."""
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            yield node.end_mark.line + (node.end_mark.column > 0)
        return
    for child in node.value:
        for each in child if isinstance(child, tuple) else (child,):
            yield from _block_ends(each)
