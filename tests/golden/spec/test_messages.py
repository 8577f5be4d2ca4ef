"""Every message of the checker, whole: what, where with the caret, what to type instead.

Each `messages/<case>.yaml` has its `<case>.txt`. After a wanted change of wording:
`UPDATE_GOLDEN=1 pytest tests/golden/spec`, and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.spec.samples import KNOWN, files
from trunkline.errors import SpecError
from trunkline.spec import Known, check

CASES = sorted(Path(__file__).with_name("messages").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_message(case: Path) -> None:
    text = case.read_bytes().decode()
    known = Known() if case.stem.startswith("no_dataset_at_all") else KNOWN
    with pytest.raises(SpecError) as caught:
        check(files(text), known)
    golden = case.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_bytes(f"{caught.value}\n".encode())
    assert f"{caught.value}\n" == golden.read_bytes().decode()


def test_no_golden_file_is_left_over() -> None:
    texts = {path.stem for path in Path(__file__).with_name("messages").glob("*.txt")}
    assert texts == {case.stem for case in CASES}
