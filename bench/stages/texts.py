"""Stages over text files: no library, next to no work, so that what is measured is not theirs."""

from __future__ import annotations

from pathlib import Path


def upper(part: Path) -> dict[str, str]:
    """In capitals."""
    return {f"{part.stem}.txt": part.read_text().upper()}


def count(part: Path) -> dict[str, str]:
    """How many characters."""
    return {f"{part.stem}.txt": str(len(part.read_text()))}


def total(parts: list[Path]) -> dict[str, str]:
    """The sum of what `count` says."""
    return {"total.txt": str(sum(int(path.read_text()) for path in parts))}


def report(total: Path) -> dict[str, str]:
    """A sentence."""
    return {"report.txt": f"there are {total.read_text()} characters\n"}
