"""Which files and directories of a dataset a glob stands for.

    files                     /*                    /*/*              /**
    a.csv                     a.csv                                   a.csv
    2013/01.csv               2013 (directory)      2013/01.csv       2013, 2013/01.csv
    2013/02.csv                                     2013/02.csv       2013/02.csv

What may match is every file, and every directory that holds files; a directory stands for all of
its content. Files come sorted by path, so that a directory's files lie side by side: its end is
found by bisection, and a directory of a million files costs as much as one of two.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from trunkline.globs.pattern import Pattern

Match = tuple[str, tuple[str, ...], bool]
_AFTER_SLASH = chr(ord("/") + 1)


def matches(pattern: Pattern, files: Sequence[str]) -> Iterator[Match]:
    """(path, captures, whether it is a directory) of each match, in the order of `files`.

    `files` is sorted. A dataset that is a single file has the one path "", which only "/" matches.
    """
    if pattern.text == "/":
        return iter([("", (), files[0] != "")] if files else [])
    low, high = within(files, pattern.literal_prefix) if pattern.literal_prefix else (0, len(files))
    if not pattern.has_wildcards:
        return _literal(pattern, files, low, high)
    if pattern.depth is None:
        return _any_depth(pattern, files, low, high)
    return _one_depth(pattern, files, low, high)


def within(files: Sequence[str], directory: str) -> tuple[int, int]:
    """From which to before which index the files of a directory lie."""
    low = bisect_left(files, directory + "/")
    return low, bisect_left(files, directory + _AFTER_SLASH, low)


def _literal(pattern: Pattern, files: Sequence[str], low: int, high: int) -> Iterator[Match]:
    path = pattern.literal_prefix
    index = bisect_left(files, path)
    if index < len(files) and files[index] == path:
        yield path, (), False
    elif low < high:
        yield path, (), True


def _one_depth(pattern: Pattern, files: Sequence[str], low: int, high: int) -> Iterator[Match]:
    prefix = pattern.literal_prefix
    base = len(prefix) + 1 if prefix else 0
    further = (pattern.depth or 0) - (prefix.count("/") + 1 if prefix else 0)
    match = None if pattern.bare else pattern.match
    captures: tuple[str, ...] | None = ()
    index = low
    while index < high:
        path = files[index]
        cut = path.find("/", base)
        left = further - 1
        while left and cut >= 0:
            cut = path.find("/", cut + 1)
            left -= 1
        index += 1
        if left:
            continue  # not deep enough
        directory = cut >= 0
        if directory:
            path = path[:cut]
            index = bisect_left(files, path + _AFTER_SLASH, index, high)
        if match is not None:
            captures = match(path)
        if captures is not None:
            yield path, captures, directory


def _any_depth(pattern: Pattern, files: Sequence[str], low: int, high: int) -> Iterator[Match]:
    seen: set[str] = set()
    last = ""
    for index in range(low, high):
        path = files[index]
        parent = path.rpartition("/")[0]
        if parent != last:
            last = parent
            for directory in _ancestors(parent):
                if directory not in seen:
                    seen.add(directory)
                    captures = pattern.match(directory)
                    if captures is not None:
                        yield directory, captures, True
        captures = pattern.match(path)
        if captures is not None:
            yield path, captures, False


def _ancestors(directory: str) -> Iterator[str]:
    """`a`, `a/b`, `a/b/c` of `a/b/c`."""
    cut = directory.find("/")
    while cut >= 0:
        yield directory[:cut]
        cut = directory.find("/", cut + 1)
    if directory:
        yield directory
