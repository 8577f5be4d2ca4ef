r"""The language of globs, read once and compiled to a matcher.

    /              all of a dataset
    /train         the file or the directory `train`
    /*             every file and every directory at the top
    /*/*.csv       the CSV files one level below
    /**            everything, at any depth

    *  **  ?       any characters but "/"; any characters; one character but "/"
    [a-z] [!a-z]   one character of a set, or none of it; never "/"
    {a,b}          one of several patterns
    (a|b) @(a|b)   the same, captured
    ?() *() +()    captured: at most once, any number of times, at least once
    !(a|b)         captured: any characters but "/" that none of the patterns matches in full
    \*             the character itself

Captures are numbered from 1 by their opening parentheses; one that took no part is "". A path is
relative to its dataset and has no leading "/". A pattern may end with one "/", which means nothing.

Patterns become regular expressions, except where those cannot say it (`!(a)b`) or take exponential
time (`*(a|aa)`). Such patterns run on `machine`, which is some fifty times slower.

Touches nothing, and imports nothing of trunkline but that machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from trunkline.globs.machine import Group, Node, OneOf, Text, Wild, compile_nodes

_REFERENCE = re.compile(r"\$(?:(\d+)|\{(\d+)\})", re.ASCII)
_EMPTY_NAME = "a name is missing between two '/'"
_LITERAL = "for the character itself, write a \\ before it"
_WILD = {"*": "[^/]*", "**": ".*", "?": "[^/]"}


class GlobError(ValueError):
    """A glob that is not one. `position` counts its characters from 0; `advice` says what to write."""

    def __init__(self, message: str, position: int, advice: str = _LITERAL) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.advice = advice


class Pattern:
    """A compiled glob. Raises GlobError.

    `text` is the glob without a "/" at its end; `literal_prefix` the path before the first component
    that has a pattern character, "" where that is the first; `groups` the number of captures; `depth`
    the number of components of each path that can match, None where it varies; `bare` whether every
    component after the literal prefix is a plain `*`, so that the depth alone decides.
    """

    __slots__ = ("_match", "bare", "depth", "groups", "has_wildcards", "literal_prefix", "text")

    def __init__(self, text: str) -> None:
        if not text.startswith("/"):
            raise GlobError("it does not begin with '/'", 0, f'write "/{text}"')
        if text.endswith("//"):
            raise GlobError(_EMPTY_NAME, len(text) - 1, "write one '/'")
        text = text.removesuffix("/") or "/"
        parser = _Parser(text)
        components = parser.components()
        literal = _literal_components(components)
        self.text = text
        self.groups = parser.groups
        self.literal_prefix = "/".join(literal)
        self.has_wildcards = len(literal) < len(components)
        self.depth = None if any(map(_crosses, components)) else len(components)
        self.bare = all(map(_is_star, components[len(literal) :]))
        nodes = [node for part in components for node in (Text("/"), *part)][1:]
        source = expression(nodes)
        self._match = compile_nodes(nodes, parser.groups) if source is None else _compiled(source)

    def match(self, path: str) -> tuple[str, ...] | None:
        """The captures, or None where `path` does not match."""
        return self._match(path)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"


class Place(NamedTuple):
    """A reference to a capture in a text, and where it stands there."""

    number: int
    start: int
    length: int


class Template:
    """What captures combine to: `$1-$2`, `${1}0`. `places`: what it refers to, and where, in its order."""

    __slots__ = ("_parts", "places", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[str | int] = []
        places = []
        end = 0
        for found in _REFERENCE.finditer(text):
            number = int(found[1] or found[2])
            self._parts += [text[end : found.start()], number]
            end = found.end()
            places.append(Place(number, found.start(), end - found.start()))
        self._parts.append(text[end:])
        self.places = tuple(places)

    def expand(self, captures: Sequence[str]) -> str:
        """The text with its captures in place; one that does not exist is ""."""
        return "".join(
            part if isinstance(part, str) else captures[part - 1] if 0 < part <= len(captures) else ""
            for part in self._parts
        )


# ---------------------------------------------------------------- reading


class _Parser:
    """Recursive descent over the text of a glob, its leading "/" taken as read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = len(text)
        self.position = 1
        self.groups = 0

    def components(self) -> list[tuple[Node, ...]]:
        """The glob's components; none for "/"."""
        parts: list[tuple[Node, ...]] = []
        while self.position < self.end:
            start = self.position
            part = self.sequence("/")
            if not part:
                raise GlobError(_EMPTY_NAME, start, "write one '/'")
            if len(part) == 1 and isinstance(part[0], Text) and part[0].text in (".", ".."):
                advice = "a pattern stays inside its dataset"
                raise GlobError(f"'{part[0].text}' cannot be a part of it", start, advice)
            parts.append(part)
            self.position += 1
        return parts

    def sequence(self, stops: str) -> tuple[Node, ...]:
        nodes: list[Node] = []
        while self.position < self.end and self.text[self.position] not in stops:
            node = self.node()
            last = nodes[-1] if nodes else None
            if isinstance(node, Text) and isinstance(last, Text):
                nodes[-1] = Text(last.text + node.text)
            else:
                nodes.append(node)
        return tuple(nodes)

    def node(self) -> Node:
        start = self.position
        char = self.text[start]
        following = self.text[start + 1 : min(start + 2, self.end)]
        self.position += 1
        if char == "*" and following == "*":
            self.position += 1
            return Wild("**")
        if char in "@?*+!" and following == "(":
            return self.group("" if char == "@" else char)
        if char in "*?":
            return Wild(char)
        if char == "(":
            self.position = start
            return self.group("")
        if char == "{":
            return Group(self.options(start, ",", "}"), "", None)
        if char == "[":
            return self.one_of(start)
        if char in ")}":
            raise GlobError(f"'{char}' closes nothing", start)
        return Text(self.escaped(start) if char == "\\" else char)

    def escaped(self, start: int) -> str:
        """The character after a backslash, which has just been read at `start`."""
        if self.position >= self.end:
            raise GlobError("'\\' stands before nothing", start)
        self.position += 1
        return self.text[self.position - 1]

    def group(self, repeat: str) -> Group:
        """A capture, whose "(" stands here."""
        self.groups += 1
        number, start = self.groups, self.position
        self.position += 1
        return Group(self.options(start, "|", ")"), repeat, number)

    def options(self, start: int, separator: str, close: str) -> tuple[tuple[Node, ...], ...]:
        found = [self.sequence(separator + close)]
        while self.position < self.end and self.text[self.position] == separator:
            self.position += 1
            found.append(self.sequence(separator + close))
        if self.position >= self.end:
            raise GlobError(f"'{self.text[start]}' is never closed", start)
        self.position += 1
        return tuple(found)

    def one_of(self, start: int) -> OneOf:
        negated = self.text[self.position : self.position + 1] in ("!", "^")
        self.position += negated
        body: list[str] = []
        while self.position < self.end and (self.text[self.position] != "]" or not body):
            if self.text.startswith("[:", self.position):
                raise GlobError("'[:' begins no class here", self.position, "write [a-zA-Z] for letters")
            body.append(self.span())
        if self.position >= self.end:
            raise GlobError("'[' is never closed", start)
        self.position += 1
        return OneOf(f"(?!/)[{'^' if negated else ''}{''.join(body)}]")

    def span(self) -> str:
        """One character of a set, or a range such as `a-z`, as a regular expression has it."""
        start = self.position
        low = self.set_char()
        following = self.text[self.position : self.position + 2]
        if not following.startswith("-") or following in ("-", "-]"):
            return re.escape(low)
        self.position += 1
        high = self.set_char()
        if high < low:
            raise GlobError(f"'{low}-{high}' runs backwards", start, f"write {high}-{low}")
        return f"{re.escape(low)}-{re.escape(high)}"

    def set_char(self) -> str:
        self.position += 1
        char = self.text[self.position - 1]
        return self.escaped(self.position - 1) if char == "\\" else char


# ---------------------------------------------------------------- compiling


def _literal_components(components: Sequence[tuple[Node, ...]]) -> list[str]:
    found: list[str] = []
    for part in components:
        if len(part) != 1 or not isinstance(part[0], Text):
            break
        found.append(part[0].text)
    return found


def _is_star(nodes: tuple[Node, ...]) -> bool:
    return len(nodes) == 1 and isinstance(nodes[0], Wild) and nodes[0].kind == "*"


def _crosses(nodes: tuple[Node, ...]) -> bool:
    """Whether what matches `nodes` may hold a "/"."""
    for node in nodes:
        match node:
            case Wild("**"):
                return True
            case Text(text) if "/" in text:
                return True
            case Group(options, repeat) if repeat != "!" and any(map(_crosses, options)):
                return True
    return False


class _Regex(NamedTuple):
    compiled: re.Pattern[str]

    def __call__(self, path: str) -> tuple[str, ...] | None:
        found = self.compiled.fullmatch(path)
        return None if found is None else found.groups("")


def _compiled(source: str) -> _Regex:
    return _Regex(re.compile(source, re.DOTALL))


def expression(nodes: Sequence[Node], top: bool = True) -> str | None:
    """The nodes as a regular expression; None where that cannot say it, or not in linear time.

    `top`: what follows the last node is the end of the path.
    """
    pieces: list[str] = []
    for index, node in enumerate(nodes):
        piece = _piece(node, top and _ends_component(nodes[index + 1 :]))
        if piece is None:
            return None
        pieces.append(piece)
    return "".join(pieces)


def _piece(node: Node, last: bool) -> str | None:
    match node:
        case Text(text):
            return re.escape(text)
        case Wild(kind):
            return _WILD[kind]
        case OneOf(source):
            return source
        case Group(options, "*" | "+" as repeat):
            return _repeated(options, repeat)
        case Group(options, "!"):
            inner = _choice(options)
            # The stretch is the rest of the component, so what is refused must end where that ends.
            fits = last and inner is not None and not any(map(_crosses, options))
            return f"((?!{inner}(?![^/]))[^/]*)" if fits else None
        case Group(options, repeat, number):
            inner = _choice(options)
            return inner if inner is None or number is None else f"({inner}{repeat})"


def _choice(options: Sequence[tuple[Node, ...]]) -> str | None:
    found = [expression(option, top=False) for option in options]
    texts = [text for text in found if text is not None]
    return f"(?:{'|'.join(texts)})" if len(texts) == len(found) else None


def _repeated(options: Sequence[tuple[Node, ...]], repeat: str) -> str | None:
    """A repetition whose every match can be had in one way only; others take exponential time."""
    match options:
        case [[Wild("*" | "**" as kind)]]:
            return f"({_WILD[kind]})"
        case [[Text() | OneOf() | Wild("?") as node]]:
            return f"((?:{_piece(node, False)}){repeat})"
    return None


def _ends_component(following: Sequence[Node]) -> bool:
    return not following or (isinstance(following[0], Text) and following[0].text.startswith("/"))
