"""The page about a datum that failed does what it says: its files, its commands in their order, what they print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.support import Tree

PAGE = Path(__file__).parents[2] / "docs/how-to/debug-a-datum.md"
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}|\b[0-9a-f]{8,64}\b")
TIME = re.compile(r" +[\d.]+ (s|ms)\b")


def plain(text: str) -> str:
    """A line without what differs from run to run, and the spaces of its columns."""
    return " ".join(TIME.sub(" T", ID.sub("ID", text)).split())


def test_the_page(tree: Tree) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    printed = ""
    for language, text in blocks:
        if language == "yaml":
            tree.write("pipelines/weather.yaml", text)
        elif language == "python":
            tree.write("stages/weather.py", text)
        elif language == "sh":
            typed = "c\np value\nup\np values\nq\n" if "--debug" in text else ""
            printed = subprocess.run(
                ["sh", "-c", f"exec 2>&1; {text}"],
                cwd=tree.root, env=tree.environment(), input=typed, text=True, stdout=subprocess.PIPE,
            ).stdout  # fmt: skip
        else:
            lines = [plain(re.sub(r"^(\(Pdb\) )+", "", line)) for line in printed.splitlines()]
            for line in text.splitlines():
                if not line.startswith("(Pdb) "):  # what is typed is not printed where no terminal is
                    assert plain(line) in lines, f"{line}\nis not in\n{printed}"
    assert tree.read("data/weather/report/report.txt") == "mon 5.0\ntue 6.0\nwed 1.5"
    assert os.path.exists(tree.root / "data/weather_raw.dvc")
