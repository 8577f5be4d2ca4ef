"""What may be called what, and what a misspelt name was likely meant to be."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable

NAME = re.compile(r"[a-z][a-z0-9_]*").fullmatch
PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?").fullmatch
NAME_ADVICE = "a name has lower-case letters, digits and _, and begins with a letter"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
_FUNCTION = re.compile(
    r"(?P<module>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*):(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
).fullmatch

# No path holds these: whoever writes them means a pattern, or `${…}`, which DVC would replace.
_PATTERN_CHARACTERS = "*?[]{}"


def is_variable(text: str) -> bool:
    """Whether `text` can be the name of a Python parameter or of an environment variable."""
    return bool(_VARIABLE(text)) and not keyword.iskeyword(text)


def function_parts(text: str) -> tuple[str, str] | None:
    """(module, function) of `module:function`, None where it is not of that form."""
    match = _FUNCTION(text)
    if match is None or any(keyword.iskeyword(part) for part in re.split("[.:]", text)):
        return None
    return match["module"], match["name"]


def package_name(text: str) -> str:
    """A package's name as indexes compare them: `Scikit_Learn` is `scikit-learn`."""
    return re.sub(r"[-_.]+", "-", text).lower()


def path_fault(path: str) -> str:
    """What is wrong with a relative path, "" where nothing is."""
    parts = path.split("/")
    if path.startswith("/"):
        return "is absolute"
    if ".." in parts:
        return "leaves its directory by '..'"
    if "" in parts or "." in parts:
        return "is not a plain path of names with / between them"
    if any(character in path for character in _PATTERN_CHARACTERS):
        return "is a pattern; one file is meant here"
    if "\\" in path or not path.isprintable() or path != path.strip():
        return "has characters that no path should have"
    return ""


def branch_fault(name: str) -> str:
    """What is wrong with the name of a git branch, "" where nothing is: the rules of git itself."""
    parts = name.split("/")
    if name.startswith("refs/"):
        return "is the long name of a branch; write what comes after refs/heads/"
    if "" in parts or any(part.startswith(".") or part.endswith(".lock") for part in parts):
        return "has a part that is empty, begins with '.' or ends with '.lock'"
    if ".." in name or "@{" in name or name.endswith(".") or name.startswith("-") or name in ("@", "HEAD"):
        return "is no name that git gives to a branch"
    if any(character in " ~^:?*[\\" or character < " " or character == "\x7f" for character in name):
        return "has a character that git forbids"
    return ""


def nearest(word: str, words: Iterable[str]) -> str:
    """The name among `words` that `word` was likely meant to be, "" where none is near."""
    close = difflib.get_close_matches(word, sorted(words), n=1)
    return close[0] if close else ""


def did_you_mean(word: str, words: Iterable[str], otherwise: str = "") -> str:
    """The advice for a name that is not known."""
    found = nearest(word, words)
    return f"did you mean '{found}'?" if found else otherwise


def listed(words: Iterable[str]) -> str:
    """`a, b, c`."""
    return ", ".join(words)
