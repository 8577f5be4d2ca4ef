from __future__ import annotations

import pytest

from trunkline.store import locktext, yamltext

TEXT = """\
schema: '2.0'
stages:
  p-a:
    cmd: one
    params:
      p.yaml:
        text: "two lines\\n\\

          of text"
  p-b:
    cmd: two
datasets:
- name: d
  url: u
"""
ENTRY = {"cmd": "new"}
BLOCK = "    cmd: new\n"


def names(text: str) -> list[str]:
    parts = locktext.split(text)
    assert parts is not None
    return list(parts.blocks)


def test_the_first_entry_makes_the_file() -> None:
    assert locktext.put("", "p-a", ENTRY, ()) == "schema: '2.0'\nstages:\n  p-a:\n    cmd: new\n"


def test_parts_are_the_whole_text() -> None:
    parts = locktext.split(TEXT)
    assert parts is not None
    assert parts.text == TEXT
    assert list(parts.blocks) == ["p-a", "p-b"]
    assert parts.tail == "datasets:\n- name: d\n  url: u\n"


def test_one_block_is_replaced() -> None:
    after = locktext.put(TEXT, "p-a", ENTRY, ())
    start, end = TEXT.index("    cmd: one"), TEXT.index("  p-b:")
    assert after == TEXT[:start] + BLOCK + TEXT[end:]
    assert locktext.put(TEXT, "p-b", ENTRY, ()) == TEXT.replace("cmd: two", "cmd: new")


def test_a_new_block_goes_to_the_end_or_before_a_follower() -> None:
    assert names(locktext.put(TEXT, "p-c", ENTRY, ())) == ["p-a", "p-b", "p-c"]
    assert names(locktext.put(TEXT, "p-c", ENTRY, {"p-x"})) == ["p-a", "p-b", "p-c"]
    assert names(locktext.put(TEXT, "p-c", ENTRY, {"p-b", "p-a"})) == ["p-c", "p-a", "p-b"]
    assert names(locktext.put(TEXT, "p-c", ENTRY, {"p-b"})) == ["p-a", "p-c", "p-b"]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("schema", "# by hand\nschema"),
        TEXT.replace("    cmd: two", "    # here\n    cmd: two"),
        TEXT.replace("cmd: two", "cmd: &x two"),
        TEXT.replace("  p-b", "  'p-b'"),
        TEXT.replace("  p-b", "  p-a"),
        TEXT.replace("  p-b", " p-b"),
        TEXT.replace("stages:\n", "stages:\n    odd: 1\n"),
        TEXT.replace("\n", "\r\n"),
        TEXT.rstrip("\n"),
        "schema: '2.0'\nstages: {}\n",
    ],
)
def test_another_form_is_not_split(text: str) -> None:
    assert text != TEXT
    assert locktext.split(text) is None


def test_a_file_in_another_form_keeps_its_comments() -> None:
    text = "# by hand\nschema: '2.0'\nstages:\n  p-a:\n    cmd: one   # why\n"
    after = locktext.put(text, "p-b", ENTRY, {"p-a"})
    assert after == "# by hand\nschema: '2.0'\nstages:\n  p-b:\n    cmd: new\n  p-a:\n    cmd: one   # why\n"
    assert locktext.put(after, "p-c", ENTRY, ()) == after + "  p-c:\n    cmd: new\n"


A, B = "a" * 32, "b" * 32


def entry(md5: str, size: int, params: object = 1) -> dict[str, object]:
    return {
        "cmd": "trunkline exec p.a",
        "deps": [{"path": "data/x", "hash": "md5", "md5": md5 + ".dir", "size": size, "nfiles": 3}],
        "params": {"pipelines/p.yaml": {"stages.a": {"params": params, "text": "a: 'b'\nc " * 20}}},
        "outs": [{"path": "data/p/a", "hash": "md5", "md5": md5, "size": size}],
    }


@pytest.mark.parametrize(
    "after",
    [
        entry(B, 7),
        entry("1" * 32, 7),
        entry("1" * 15 + "e" + "1" * 16, 7),
        entry("0b" + "1" * 30, 7),
        entry(B, 7, params=True),
        entry(B, 7, params=1.0),
        entry(B, 7, params={"size": 1, "md5": A}),
        {**entry(B, 7), "outs": []},
    ],
)
@pytest.mark.parametrize(
    "before", [entry(A, 1), entry("2" * 32, 1), entry(A, 1, params={"size": 1, "md5": A})]
)
def test_changed_lines_are_what_the_library_writes(
    before: dict[str, object], after: dict[str, object]
) -> None:
    parts = locktext.split(locktext.put("", "p-a", before, ()))
    assert parts is not None
    read = yamltext.load(parts.text, "dvc.lock")["stages"]["p-a"]

    changed = parts.put("p-a", after, (), read)

    assert changed is not None
    assert changed.text == locktext.put("", "p-a", after, ())


def test_where_only_hashes_change_the_library_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = locktext.split(locktext.put("", "p-a", entry(A, 1), ()))
    assert parts is not None
    monkeypatch.delattr(yamltext, "dump")

    assert parts.put("p-a", entry(B, 7), (), entry(A, 1)) is not None
