"""Says in our words what PyYAML's scanner and parser say in theirs, with the advice what to type."""

from __future__ import annotations

import re
from typing import Any

from yaml.reader import Reader

from trunkline.errors import Problem

_CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)
# Line breaks for YAML 1.1, characters for YAML 1.2: DVC's readers and PyYAML part here.
_BREAKS = re.compile("[\x85\u2028\u2029]")

_MISFIT = "this line does not fit the lines above it"
_MISFIT_ADVICE = "indent it like its neighbours; where text follows closing quotes, quote all of it"

# What the parser's message contains -> (our message, our advice). The C library and the pure
# parser differ in their wording; both are matched.
_WORDS = (
    ("node content", "a value is missing here", "write one, or close the bracket"),
    (
        "mapping values are not allowed",
        "a ':' where no key can be",
        "put text that contains ': ' in quotes, and check the indentation of this line",
    ),
    (
        "cannot start any token",
        "this character cannot begin a value",
        "put the value in quotes; indent with spaces, not with tabs",
    ),
    (
        "could not find expected ':'",
        "a key without ':'",
        "every line of a mapping reads `key: value`",
    ),
    (
        "expected <block end>",
        _MISFIT,
        _MISFIT_ADVICE,
    ),
    ("did not find expected key", _MISFIT, _MISFIT_ADVICE),
    ("did not find expected '-' indicator", _MISFIT, _MISFIT_ADVICE),
    (
        "expected alphabetic or numeric character",
        "an unquoted * or & is an alias or an anchor in YAML",
        'put the value in quotes, such as "*.csv"',
    ),
    (
        "unexpected end of stream",
        "quotes are opened, and never closed",
        "close them, or double a ' inside of '…'",
    ),
    ("expected ',' or", "a bracket is opened, and never closed", "close it, or put a ',' here"),
    (
        "sequence entries are not allowed",
        "a '- ' where no list can be",
        "put the list on lines of its own",
    ),
    (
        "unknown escape character",
        "an unknown escape after '\\'",
        "use '…' in place of \"…\", or double the '\\'",
    ),
    ("found duplicate anchor", "this anchor is here twice", "give it another name"),
    ("found undefined alias", "there is no & for this alias", 'an unquoted * is an alias: write "*…"'),
)


def syntax_problem(error: Any, text: str, file: str) -> Problem:
    """The problem that a PyYAML error describes."""
    said = str(getattr(error, "problem", None) or error)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        return Problem(file, 0, 0, f"this is not YAML: {said}")
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        line, column, source = place(text, conflict.start())
        return Problem(file, line, column, "a merge conflict", "resolve it", source, len(source))
    line, column, source = place(text, mark.index)
    for needle, message, advice in _WORDS:
        if needle in said:
            return Problem(file, line, column, message, advice, source)
    return Problem(file, line, column, f"this is not YAML: {said}", "", source)


def forbidden_character(text: str, file: str) -> Problem | None:
    """The first character that YAML forbids, or that its readers take for different things."""
    found = Reader.NON_PRINTABLE.search(text) or _BREAKS.search(text)
    if found is None:
        return None
    line, column, source = place(text, found.start())
    message = f"the character U+{ord(found[0]):04X} must not stand in YAML"
    advice = f'write it as "\\u{ord(found[0]):04x}", in double quotes'
    return Problem(file, line, column, message, advice, "".join(filter(str.isprintable, source)))


def place(text: str, index: int) -> tuple[int, int, str]:
    """Line and column, from 1, of a character, and the text of its line."""
    begin = text.rfind("\n", 0, index) + 1
    end = text.find("\n", index)
    source = text[begin : len(text) if end < 0 else end].rstrip("\r")
    return text.count("\n", 0, index) + 1, index - begin + 1, source
