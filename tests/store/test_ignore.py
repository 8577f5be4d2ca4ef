from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.errors import StoreError
from trunkline.store import ignore


def test_comments_are_no_rules(tmp_path: Path) -> None:
    (tmp_path / ".dvcignore").write_text("# Add patterns of files dvc should ignore\n\n   # more\n")
    assert ignore.rules(str(tmp_path), "data/x") is None


def test_the_last_line_that_matches_wins_and_deeper_files_come_later(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / ".dvcignore").write_text("*.tmp\n!keep.tmp\nlogs/\n/data/x/top\n")
    (tmp_path / "data/.dvcignore").write_text("keep.tmp\n!other.tmp\n")
    ignored = ignore.rules(str(tmp_path), "data/x")
    assert ignored is not None
    assert [
        name for name in ("a.tmp", "keep.tmp", "other.tmp", "logs", "top", "a") if ignored(name, False)
    ] == [
        "a.tmp",
        "keep.tmp",
        "top",
    ]
    assert ignored("b/logs", True)
    assert not ignored("b/top", False)


def test_a_dataset_that_is_left_out_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".dvcignore").write_text("/data/x\n")
    with pytest.raises(StoreError, match=r"data/x is left out by a line of \.dvcignore"):
        ignore.rules(str(tmp_path), "data/x")
    assert ignore.rules(str(tmp_path), "data/y") is not None
