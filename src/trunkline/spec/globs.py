r"""Checks a glob's form, and finds what the compiler and the checker need to know of it.

    scan("/train/(*)-(*).csv")   ->  Shape(captures=2, prefix="train")

`*`, `**`, `?`, `[a-z]`, `{a,b}`, captures `(…)`, and `@() ?() *() +() !()`, which capture too; `\x`
is the character itself. The prefix is the path before the first component that has any of these.
What the patterns match is decided in `plan`; a property test holds the two to one language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_CLOSING = {"(": ")", "{": "}"}


_LITERAL = "for the character itself, write a \\ before it"


class GlobError(ValueError):
    """A glob that is not one. `position` counts its characters from 0."""

    def __init__(self, message: str, position: int, advice: str = _LITERAL) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.advice = advice


class Shape(NamedTuple):
    """How many captures a glob has, and to which path below the dataset it is confined."""

    captures: int
    prefix: str


def scan(glob: str) -> Shape:
    """The shape of a glob, which begins with "/". Raises GlobError."""
    if not glob.startswith("/"):
        raise GlobError("it does not begin with '/'", 0, f'write "/{glob}"')
    if glob == "/":
        return Shape(0, "")
    if glob.endswith("/"):
        raise GlobError("it ends with '/'", len(glob) - 1, f"write {glob.rstrip('/')}")
    scanner = _Scanner(glob)
    components = list(scanner.components())
    literal: list[str] = []
    for text, plain in components:
        if not plain:
            break
        literal.append(text)
    return Shape(scanner.captures, "/".join(literal))


def references(template: str) -> list[int]:
    """The numbers of the captures that `join_on` refers to: `$1`, `${2}`."""
    return [int(bare or braced) for bare, braced in re.findall(r"\$(?:(\d+)|\{(\d+)\})", template)]


class _Scanner:
    def __init__(self, glob: str) -> None:
        self.glob = glob
        self.position = 1
        self.captures = 0

    def components(self) -> Iterator[tuple[str, bool]]:
        """Each component's text without escapes, and whether it is free of pattern characters."""
        while self.position < len(self.glob):
            start = self.position
            text, plain = self.sequence("/")
            if self.position == start:
                raise GlobError("a name is missing between two '/'", start, "write one '/'")
            if plain and text in (".", ".."):
                raise GlobError(
                    f"'{text}' cannot be a part of it", start, "a pattern stays inside its dataset"
                )
            self.position += 1
            yield text, plain

    def sequence(self, stops: str) -> tuple[str, bool]:
        text, plain = "", True
        while self.position < len(self.glob) and self.glob[self.position] not in stops:
            literal = self.token()
            text += literal
            plain = plain and literal != ""
        return text, plain

    def token(self) -> str:
        """Step over one character or pattern; the character, or "" for a pattern."""
        start = self.position
        character = self.glob[start]
        self.position += 1
        if character == "\\":
            return self.escaped(start)
        if character == "[":
            self.one_of(start)
        elif character == "(" or (character in "@?*+!" and self.glob[start + 1 : start + 2] == "("):
            self.position += character != "("
            self.captures += 1
            self.options(self.position - 1, "|")
        elif character == "{":
            self.options(start, ",")
        elif character in ")}":
            raise GlobError(f"'{character}' closes nothing", start)
        elif character not in "*?":
            return character
        return ""

    def options(self, start: int, separator: str) -> None:
        close = _CLOSING[self.glob[start]]
        self.sequence(separator + close)
        while self.glob[self.position : self.position + 1] == separator:
            self.position += 1
            self.sequence(separator + close)
        if self.position >= len(self.glob):
            raise GlobError(f"'{self.glob[start]}' is never closed", start)
        self.position += 1

    def one_of(self, start: int) -> None:
        self.position += self.glob[self.position : self.position + 1] in ("!", "^")
        first = self.position
        while self.position == first or self.glob[self.position : self.position + 1] != "]":
            self.span(start)
        self.position += 1

    def span(self, start: int) -> None:
        """Step over one character of a set, or a range such as `a-z`."""
        if self.glob.startswith("[:", self.position):
            raise GlobError("'[:' begins no class here", self.position, "write [a-zA-Z] for letters")
        position = self.position
        low = self.set_character(start)
        following = self.glob[self.position : self.position + 2]
        if not following.startswith("-") or following in ("-", "-]"):
            return
        self.position += 1
        high = self.set_character(start)
        if high < low:
            raise GlobError(f"'{low}-{high}' runs backwards", position, f"write {high}-{low}")

    def set_character(self, start: int) -> str:
        if self.position >= len(self.glob):
            raise GlobError("'[' is never closed", start)
        self.position += 1
        character = self.glob[self.position - 1]
        return self.escaped(self.position - 1) if character == "\\" else character

    def escaped(self, start: int) -> str:
        if self.position >= len(self.glob):
            raise GlobError("'\\' stands before nothing", start)
        self.position += 1
        return self.glob[self.position - 1]
