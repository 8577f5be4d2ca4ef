"""Listings: the files of a dataset, sorted by path, and the versions of parts of them.

    a.csv                 part("a.csv")   the version of that file
    split/1.parquet       part("split")   the version that the directory would have by itself
    split/2.parquet       below("split")  its files, under their whole paths

A directory's files lie side by side, so that both ends of it are found by bisection.
"""

from __future__ import annotations

from bisect import bisect_left

from trunkline.digest import tree_oid
from trunkline.model import File, Version

Listing = tuple[File, ...]
_AFTER_SLASH = chr(ord("/") + 1)


def version(files: Listing, skip: int = 0) -> Version:
    """The version of a dataset that holds exactly these files, `skip` characters of their paths left out."""
    oid = tree_oid((file.path[skip:], file.md5) for file in files)
    return Version(oid, sum(file.size for file in files), len(files))


def below(files: Listing, directory: str) -> Listing:
    """The files in a directory ("" is all of it), their paths as they are in the listing."""
    if not directory:
        return files
    start = _place(files, directory + "/")
    return files[start : _place(files, directory + _AFTER_SLASH)]


def part(files: Listing, path: str) -> Version | None:
    """The version of the file or directory at `path`; None where there is none."""
    at = _place(files, path)
    if at < len(files) and files[at].path == path:
        return Version(files[at].md5, files[at].size, None)
    inside = below(files, path)
    return version(inside, len(path) + 1 if path else 0) if inside else None


def _place(files: Listing, path: str) -> int:
    return bisect_left(files, path, key=lambda file: file.path)
