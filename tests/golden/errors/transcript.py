"""What a command printed, whole, as a text that is the same from run to run; compared with a golden file.

    $ trunkline run letters
    run <run>
      letters.upper  FAILED: 2 run, 1 failed  <time>
    …
    --- stderr
    error: letters.upper: 1 datum failed
    --- exit 3

Ids of runs, pids, times and the project's place are replaced, the carets of tracebacks (which differ from
Python to Python) left out. After a wanted change of wording: `UPDATE_GOLDEN=1 pytest tests/e2e`, and read
the diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.support import Done, Tree

HERE = Path(__file__).parent

_RULES = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "<run>"),
    (re.compile(r" +\d+\.\d s\b"), " <time>"),
    (re.compile(r"process \d+"), "process <pid>"),
    (re.compile(r"(?<=quarantine/)\S+"), "<object>"),
    (re.compile(r"(?<=scratch/)[^/\s)]+"), "<process>"),
    (re.compile(r": \S*dvc\S* repro"), ": dvc repro"),
    (re.compile(r'(?<=File ")[^"<]*/lib/python3\.\d+/'), "<python>/"),
    (re.compile(r"(?m)^ *[~^]+ *\n"), ""),
)


def transcript(tree: Tree, arguments: tuple[str, ...], done: Done) -> str:
    """The command and all that it said."""
    parts = [f"$ trunkline {' '.join(arguments)}\n", done.out]
    parts += ["--- stderr\n", done.err] if done.err else []
    text = "".join([*parts, f"--- exit {done.code}\n"]).replace(str(tree.root), "<project>")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.replace(str(tree.root.parent), "<beside>")


def compare(name: str, text: str) -> None:
    """Fail where `text` is not what the golden file says."""
    golden = HERE / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def ask(name: str, tree: Tree, *arguments: str, **environment: str) -> Done:
    """Run `trunkline …`, compare what it says with the golden file `name`."""
    done = tree.trunkline(*arguments, check=False, **environment)
    text = transcript(tree, arguments, done)
    assert "/src/trunkline/" not in text, "no frame of ours reaches a user"
    compare(name, text)
    return done
