"""What `.dvcignore` leaves out of a dataset, decided as DVC decides it.

The files of the project's root and of every directory down to the dataset's parent count; the
last line that matches wins. Most projects have only the comments that `dvc init` writes there,
and then nothing is imported and nothing is asked per file.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from trunkline.errors import StoreError
from trunkline.store.scan import Ignored

NAME = ".dvcignore"


class _Rule(NamedTuple):
    base: str  # the directory of its file, relative to the root, "" or with a slash behind it
    pattern: re.Pattern[str]
    ignores: bool
    directories: bool


def rules(root: str, dataset: str) -> Ignored | None:
    """What decides for paths inside `dataset` (relative to `root`); None where there are no rules."""
    found: list[_Rule] = []
    base = ""
    for part in ["", *dataset.split("/")[:-1]]:
        base = f"{base}{part}/" if part else base
        found += _read(os.path.join(root, base, NAME), base)
    if not found:
        return None
    found.reverse()
    _check_dataset(found, dataset)

    def ignored(path: str, directory: bool) -> bool:
        return _decide(found, f"{dataset}/{path}", directory)

    return ignored


def _check_dataset(found: list[_Rule], dataset: str) -> None:
    parts = dataset.split("/")
    for end in range(1, len(parts) + 1):
        if _decide(found, "/".join(parts[:end]), True):
            raise StoreError(
                f"{dataset} is left out by a line of {NAME}", where=NAME, hint="remove that line"
            )


def _decide(found: list[_Rule], path: str, directory: bool) -> bool:
    for rule in found:
        if (rule.directories and not directory) or not path.startswith(rule.base):
            continue
        below = path[len(rule.base) :]
        if rule.pattern.match(below) or (directory and rule.pattern.match(below + "/")):
            return rule.ignores
    return False


def _read(path: str, base: str) -> list[_Rule]:
    try:
        with open(path, encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [rule for line in lines if line and not line.startswith("#") for rule in _rule(line, base)]


def _rule(line: str, base: str) -> list[_Rule]:
    try:  # pathspec comes with DVC; its class moved in version 1
        from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern as Pattern
    except ImportError:
        from pathspec.patterns import GitWildMatchPattern as Pattern  # type: ignore[attr-defined]
    regex, ignores = Pattern.pattern_to_regex(line)
    if not isinstance(regex, str) or ignores is None:
        return []
    return [_Rule(base, re.compile(regex), ignores, line.endswith("/"))]
