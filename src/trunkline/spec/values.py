"""Builds the plain value of a YAML text from its events, and collects what is wrong with it.

One pass over PyYAML's events, without nodes: a dvc.lock of hundreds of stages is read on the way
to "nothing to do". Knows nothing of files; `read` is the way in.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar, NoReturn

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from trunkline.errors import Problem, SpecError
from trunkline.spec import scalars
from trunkline.spec.syntax import forbidden_character, place, syntax_problem

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML was built without libyaml: the same results, more slowly
    CParser = None  # type: ignore[assignment, misc]

__all__ = ["CParser", "PureParser", "Values"]

MAX_DEPTH = 100
# What aliases may expand to, beyond ten times what is written.
MAX_EXPANSION = 100_000

_ANCHOR_ENDS = ("", " ", "\t", "\r", "\n", ",", "[", "]", "{", "}")
_BLOCK_STYLES = ("|", ">")
# A block scalar whose first lines hold blanks only, or begin with a tab: readers disagree.
_BLURRED_BLOCK = re.compile(r"[|>][^\n]*\n(?:\r?\n)*(?:[ \t]+\r?\n| *\t)")


class PureParser(Reader, Scanner, Parser):
    """PyYAML's events without its C library."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


class _Frame:
    """A collection that is still open."""

    __slots__ = ("anchor", "event", "flow", "items", "keys", "start")

    def __init__(self, event: Any, flow: bool, start: int) -> None:
        self.event = event
        self.anchor: str | None = event.anchor
        self.flow = flow
        self.start = start
        self.items: list[Any] = []
        self.keys: list[Any] = []  # the events of a mapping's keys, for their places


class _Key:
    """Stands for the merge key `<<` while its mapping is open."""


_MERGE = _Key()


class Values:
    """One pass over the events of a text: builds the plain value, and collects what is wrong."""

    def __init__(self, text: str, file: str, limit: int, *, portable: bool, pure: bool) -> None:
        self.text = text
        self.file = file
        self.limit = limit
        self.portable = portable
        self.pure = pure or CParser is None
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.root: Any = None
        self.documents = 0
        self.size = 0  # values so far, with what the aliases stand for
        self.written = 0
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.open_anchors: set[str] = set()
        self.spans: list[tuple[int, int]] = []  # quoted and block scalars, where tabs may stand

    def run(self) -> Any:
        """The plain value, None for an empty text. Raises SpecError."""
        self._check_text()
        handlers = {kind: getattr(self, name) for kind, name in self._HANDLERS.items()}
        try:
            for event in self._events():
                handler = handlers.get(event.__class__)
                if handler is not None:
                    handler(event)
        except yaml.YAMLError as error:
            raise SpecError([syntax_problem(error, self.text, self.file)]) from None
        if self.portable and "\t" in self.text:
            self._check_tabs()
        if self.problems:
            raise SpecError(self.problems)
        return self.root

    def _events(self) -> Iterator[Any]:
        parser: Any = PureParser(self.text) if self.pure else CParser(self.text)
        while (event := parser.get_event()) is not None:
            yield event

    # -- events

    def _document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._stop(event.start_mark, "a second document begins here", "keep one document a file")
        if event.version or event.tags:
            mark = event.start_mark
            self._stop(mark, "YAML directives (%YAML, %TAG) are not read", "take the line out")

    def _scalar(self, event: Any) -> None:
        plain = event.implicit[0] and event.tag is None
        tag = scalars.tag_of(event.value) if plain else scalars.STR
        if event.tag is not None:
            self._explicit(event, "scalar")
        if self.portable:
            self._check_scalar(event, plain)
        if tag == scalars.STR:
            found: Any = event.value
        elif tag == scalars.MERGE and self._at_key():
            found = _MERGE
        else:
            found = self._construct(event, tag)
        self._add(found, event)
        if event.anchor is not None:
            self._check_anchor(event)
            self.anchors[event.anchor] = (None if found is _MERGE else found, 1)

    def _open(self, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self._stop(event.start_mark, f"nested more than {MAX_DEPTH} levels deep", "make it flatter")
        if event.tag is not None:
            self._explicit(event, "collection")
        flow = bool(event.flow_style) or bool(self.stack and self.stack[-1].flow)
        self.stack.append(_Frame(event, flow, self.size))
        if event.anchor is not None:
            self._check_anchor(event)
            self.open_anchors.add(event.anchor)

    def _close_sequence(self, event: Any) -> None:
        self._close(self.stack.pop(), None)

    def _close_mapping(self, event: Any) -> None:
        frame = self.stack.pop()
        self._close(frame, self._mapping(frame))

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if name in self.open_anchors:
            self._stop(event.start_mark, f"*{name} stands inside of what it names", "take it out")
        if name not in self.anchors:
            message = f"there is no &{name} for this alias"
            advice = f'an unquoted * is an alias in YAML: write "*{name}" if you mean a pattern'
            self._stop(event.start_mark, message, advice, len(name) + 1)
        if self.portable:
            self._check_anchor_end(event)
        found, size = self.anchors[name]
        self.size += size - 1
        if self.size > MAX_EXPANSION + 10 * self.written:
            self._stop(event.start_mark, "the aliases of this file expand to too much", "write it out")
        self._add(found, event)

    _HANDLERS: ClassVar = {
        yaml.events.DocumentStartEvent: "_document",
        yaml.events.ScalarEvent: "_scalar",
        yaml.events.SequenceStartEvent: "_open",
        yaml.events.MappingStartEvent: "_open",
        yaml.events.SequenceEndEvent: "_close_sequence",
        yaml.events.MappingEndEvent: "_close_mapping",
        yaml.events.AliasEvent: "_alias",
    }

    # -- building

    def _at_key(self) -> bool:
        if not self.stack:
            return False
        frame = self.stack[-1]
        return frame.event.__class__ is yaml.events.MappingStartEvent and len(frame.items) % 2 == 0

    def _add(self, found: Any, event: Any) -> None:
        self.size += 1
        self.written += 1
        if not self.stack:
            self.root = found
            return
        frame = self.stack[-1]
        items = frame.items
        if len(items) % 2 == 0:
            frame.keys.append(event)
        items.append(found)

    def _close(self, frame: _Frame, mapping: dict[Any, Any] | None) -> None:
        found = frame.items if mapping is None else mapping
        if frame.anchor is not None:
            self.open_anchors.discard(frame.anchor)
            self.anchors[frame.anchor] = (found, self.size - frame.start + 1)
        self._add(found, frame.event)

    def _mapping(self, frame: _Frame) -> dict[Any, Any]:
        keys, children = frame.items[::2], frame.items[1::2]
        if _MERGE not in keys:
            try:
                found = dict(zip(keys, children, strict=True))
            except TypeError:
                found = {}
            if len(found) == len(keys):
                return found
        return self._mapping_slowly(frame, keys, children)

    def _mapping_slowly(self, frame: _Frame, keys: list[Any], children: list[Any]) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        first: dict[Any, Any] = {}
        for key, child, event in zip(keys, children, frame.keys, strict=True):
            if not isinstance(key, Hashable):
                self._say(event, "a key must be a plain word", "write the list or mapping as a value")
            elif key in first:
                line = first[key].start_mark.line + 1
                name = getattr(event, "value", str(key))
                self._say(event, f"'{name}' is here twice: first in line {line}", "keep one of them")
            else:
                first[key] = event
                if key is _MERGE:
                    merged = self._merged(child, event)
                else:
                    own[key] = child
        return {**merged, **own}

    def _merged(self, child: Any, event: Any) -> dict[Any, Any]:
        sources = child if isinstance(child, list) else [child]
        if not all(isinstance(source, dict) for source in sources):
            self._say(event, "<< takes a mapping, or a list of mappings", "write <<: *name")
            return {}
        merged: dict[Any, Any] = {}
        for source in reversed(sources):
            merged.update(source)
        return merged

    def _construct(self, event: Any, tag: str) -> Any:
        try:
            return scalars.construct(tag, event.value)
        except (ValueError, OverflowError):
            advice = f'write "{event.value}" in quotes, if you mean the text'
            self._say(event, f"'{event.value}' has no meaning for YAML", advice)
            return None

    # -- what is refused

    def _explicit(self, event: Any, kind: str) -> None:
        self._say(event, f"the tag of this {kind} is not read", "take the !tag out; quote what is text")

    def _check_text(self) -> None:
        if len(self.text) > self.limit:
            message = f"the file is longer than {self.limit:,} characters"
            raise SpecError([Problem(self.file, 0, 0, message, "put large tables into a dataset")])
        found = forbidden_character(self.text, self.file)
        if found is not None:
            raise SpecError([found])

    def _check_anchor(self, event: Any) -> None:
        if not self.portable:
            return
        self._check_anchor_end(event)
        if event.anchor in self.anchors or event.anchor in self.open_anchors:
            self._say(event, f"the anchor &{event.anchor} is here twice", "give it another name")

    def _check_anchor_end(self, event: Any) -> None:
        """Readers differ in how far an anchor's name goes, unless a blank or a bracket ends it."""
        end = event.start_mark.index + 1 + len(event.anchor)
        if self.text[end : end + 1] not in _ANCHOR_ENDS:
            name = self.text[event.start_mark.index : end]
            self._say(event, f"the name {name} goes on", "use letters, digits, - and _, and a space behind")

    def _check_scalar(self, event: Any, plain: bool) -> None:
        if not plain:
            self.spans.append((event.start_mark.index, event.end_mark.index))
            if event.style in _BLOCK_STYLES:
                self._check_block(event)
        elif self.stack and self.stack[-1].flow:
            self._check_flow_text(event)

    def _check_flow_text(self, event: Any) -> None:
        for character in ":?":
            if character in event.value:
                message = f"'{event.value}' has a '{character}' and stands in brackets without quotes"
                advice = f'write "{event.value}": DVC reads this file too, and refuses it otherwise'
                self._say(event, message, advice)
                return

    def _check_block(self, event: Any) -> None:
        if _BLURRED_BLOCK.match(self.text, event.start_mark.index):
            message = "blanks or tabs where the indentation of this text begins"
            self._say(event, message, "begin with the first line of the text, indented with spaces")

    def _check_tabs(self) -> None:
        """A tab is fine in quotes, in block scalars, in comments; elsewhere the readers disagree."""
        for match in re.finditer("\t+", self.text):
            begin = self.text.rfind("\n", 0, match.start()) + 1
            hashes = re.finditer(r"(?:(?<=[ \t])|^)#", self.text[begin : match.start()])
            if self._inside(match.start()) or any(not self._inside(begin + h.start()) for h in hashes):
                continue
            line, column, source = place(self.text, match.start())
            message, advice = "a tab between words", "use spaces; YAML readers disagree about tabs"
            self.problems.append(Problem(self.file, line, column, message, advice, source, len(match[0])))

    def _inside(self, index: int) -> bool:
        return any(begin <= index < end for begin, end in self.spans)

    def _say(self, event: Any, message: str, advice: str) -> None:
        mark, end = event.start_mark, event.end_mark
        length = max(1, end.column - mark.column) if end.line == mark.line else 1
        self.problems.append(self._problem(mark, message, advice, length))

    def _stop(self, mark: Any, message: str, advice: str, length: int = 1) -> NoReturn:
        raise SpecError([*self.problems, self._problem(mark, message, advice, length)])

    def _problem(self, mark: Any, message: str, advice: str, length: int) -> Problem:
        line, column, source = place(self.text, mark.index)
        return Problem(self.file, line, column, message, advice, source, length)
