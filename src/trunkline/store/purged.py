"""What was purged: contents that no version has any longer, though versions name them.

    data/purged.jsonl     {"md5": "2c17…", "dataset": "letters_raw", "path": "a.txt", "date": "2026-11-23",
                           "reason": "request 17", "source": ""}

One line a content, tracked by git, so that every clone knows why something is not there, and can purge it
as well. Of what was made from a purged file `source` says which. A content hash is no content, but who
guesses a short content can see by it that he was right.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from trunkline.errors import CorruptData

FILE = "data/purged.jsonl"


class Purged(NamedTuple):
    """A content that is gone: where it stood first, since when, why; `source`: the file it was made from."""

    md5: str
    dataset: str
    path: str
    date: str
    reason: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"{self.dataset}/{self.path}"

    @property
    def sentence(self) -> str:
        """What became of it."""
        made = f", made from {self.source}," if self.source else ""
        return f"{self.name}{made} was purged on {self.date}" + (f": {self.reason}" if self.reason else "")


def read(root: str) -> dict[str, Purged]:
    """What was purged, by content hash; nothing where there is no such file. Raises CorruptData."""
    try:
        with open(os.path.join(root, FILE), encoding="utf-8") as stream:
            found = [Purged(**json.loads(line)) for line in stream if line.strip()]
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise CorruptData(
            "a line of this file cannot be read", where=FILE, hint=f"type `git checkout {FILE}`"
        ) from error
    return {each.md5: each for each in found}


def text(all_: Iterable[Purged]) -> str:
    """The file's text."""
    lines = (json.dumps(each._asdict()) for each in sorted(all_, key=lambda each: (each.date, each)))
    return "".join(f"{line}\n" for line in lines)
