"""Returned values and written files as outputs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest

from tests.runners.conftest import Bench
from trunkline.digest import md5_bytes
from trunkline.errors import TrunklineError
from trunkline.model import Command, File
from trunkline.runners.failures import Fault
from trunkline.runners.outputs import TakenError, check_path, collect, write_returned

FRAME = pd.DataFrame({"n": [1, 2], "s": ["x", "y,z"]})


def write(value: object, out: Path, name: str = "day") -> dict[str, bytes]:
    files = write_returned(value, name, str(out))
    contents = {file.path: (out / file.path).read_bytes() for file in files}
    assert [File(path, md5_bytes(data), len(data)) for path, data in contents.items()] == files
    return contents


@pytest.mark.parametrize(
    ("key", "value", "content"),
    [
        (
            "m.json",
            {"b": 1, "a": [1.5, None, True, "ä"]},
            '{\n  "a": [\n    1.5,\n    null,\n    true,\n    "ä"\n  ],\n  "b": 1\n}\n',
        ),
        ("m.json", np.float32(0.5), "0.5\n"),
        ("m.json", {"a": np.arange(2)}, '{\n  "a": [\n    0,\n    1\n  ]\n}\n'),
        ("m.json", b"{}", "{}"),
        ("m.jsonl", FRAME, '{"n": 1, "s": "x"}\n{"n": 2, "s": "y,z"}\n'),
        ("m.jsonl", [{"b": 1, "a": 2}], '{"a": 2, "b": 1}\n'),
        ("m.csv", FRAME, '"n","s"\n1,"x"\n2,"y,z"\n'),
        ("m.csv", pa.table({"n": [None, 1.5], "m": [1, 2]}), '"n","m"\n,1\n1.5,2\n'),
        ("m.csv", "a;b\n", "a;b\n"),
        ("m.txt", "text", "text"),
        ("m.html", "<p>ä</p>", "<p>ä</p>"),
        ("m.svg", "<svg/>", "<svg/>"),
        ("m.tar.gz", b"\x00", "\x00"),
        ("deep/er/m.txt", "text", "text"),
    ],
)
def test_a_key_with_a_suffix_is_a_file_written_by_its_kind(
    key: str, value: object, content: str, tmp_path: Path
) -> None:
    assert write({key: value}, tmp_path) == {key: content.encode()}


def test_a_frame_alone_and_keys_without_suffix_are_parquet(tmp_path: Path) -> None:
    written = write({"train": FRAME, "deep/test": pa.table({"n": [1]})}, tmp_path)

    assert list(written) == ["train/day.parquet", "deep/test/day.parquet"]
    assert write(FRAME, tmp_path) == {"day.parquet": written["train/day.parquet"]}
    assert write({"x.parquet": FRAME}, tmp_path) == {"x.parquet": written["train/day.parquet"]}


def test_an_onnx_model_is_written_deterministically(tmp_path: Path) -> None:
    model = onnx.ModelProto()
    for key in "zyx":
        model.metadata_props.add(key=key, value=key)

    written = write({"m.onnx": model, "n.onnx": b"raw"}, tmp_path)

    assert written == {"m.onnx": model.SerializeToString(deterministic=True), "n.onnx": b"raw"}


def test_an_empty_dict_is_no_output(tmp_path: Path) -> None:
    assert write({}, tmp_path / "none") == {}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            None,
            "the function returned None: return a frame, a table or a dict of them, "
            "or take `out: Path` and write files there",
        ),
        (FRAME["n"], "the function returned a Series; return a frame: series.to_frame()"),
        ("text", 'the function returned str; name its file: {"day.txt": value}'),
        (
            [FRAME],
            "the function returned a list: return a frame, a table or a dict of them, "
            "or take `out: Path` and write files there",
        ),
        ({1: FRAME}, "the key 1 is not text: keys are names of files or folders"),
        (
            {"metrics": {"n": 1}},
            "the key 'metrics' has no suffix, so it is a folder for a frame or a table, not for a dict; "
            "for a file give it a suffix (.parquet, .csv, .json, .jsonl, .txt, .md, .html, .onnx)",
        ),
        (
            {"m.json": {"a": float("nan")}},
            "m.json has no form in JSON: NaN and infinity do not exist there; use None",
        ),
        (
            {"m.json": {1: 1, "a": 2}},
            "m.json has no form in JSON: the keys of a dict are of several types; use text",
        ),
        (
            {"m.json": {"a": {1, 2}}},
            "m.json has no form in JSON: a set ({1, 2}) is neither text, number, list nor dict",
        ),
        ({"m.jsonl": "text"}, "m.jsonl takes a frame, a table or a list, not a str"),
        (
            {"m.csv": pa.table({"n": [1, None]})},
            "a single column with empty values has no form in CSV: readers skip empty lines",
        ),
        ({"m.csv": [1]}, "m.csv takes a frame, a table or text, not a list"),
        ({"m.parquet": {"n": [1]}}, "m.parquet takes a frame or a table, not a dict"),
        ({"m.onnx": "text"}, "m.onnx takes bytes or an ONNX model, not a str"),
        ({"m.txt": FRAME}, "m.txt takes bytes or text, not a DataFrame"),
        ({"a": FRAME, "a/day.parquet": FRAME}, "a/day.parquet is written twice by this datum"),
        ({"a.txt": "", "a.txt/b.txt": ""}, "a.txt/b.txt would lie below a file that this stage writes"),
        ({"../a.txt": ""}, "'../a.txt' is no path for an output: it may not contain '..'"),
        ({"/etc/a.txt": ""}, "'/etc/a.txt' is no path for an output: it is absolute or has an empty part"),
    ],
)
def test_a_value_without_a_form_says_why_and_leaves_nothing(
    value: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(Fault) as caught:
        write(value, tmp_path / "out")
    assert caught.value.failure.kind == "BadOutput"
    assert caught.value.failure.message == message
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_frame_that_cannot_be_written_leaves_nothing_of_its_datum(tmp_path: Path) -> None:
    with pytest.raises(TrunklineError, match="the column name 1 is not text"):
        write({"a.txt": "first", "b": pd.DataFrame({1: [1]})}, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_place_of_another_datum_is_not_taken(tmp_path: Path) -> None:
    write({"b.txt": "theirs"}, tmp_path)

    with pytest.raises(TakenError):
        write({"a.txt": "ours", "b.txt": "ours"}, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b.txt": "theirs"}


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("2013-01-01~a (b)/é[1].parquet", True),
        ("a/./b", False),
        ("a//b", False),
        ("a/", False),
        (".git/config", False),
        ("a/.dvcignore", False),
        ("a.dvc", False),
        ("a\nb", False),
        ("a\\b", False),
        (" a", False),
        ("\ud800", False),
        ("é" * 128, False),
    ],
)
def test_names_that_dvc_and_git_carry(path: str, good: bool) -> None:
    if good:
        check_path(path)
    else:
        with pytest.raises(Fault, match="is no path for an output"):
            check_path(path)


# ---------------------------------------------------------------- files that were written


def test_files_are_collected_hashed_and_sorted_without_empty_directories(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "b" / "1").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"")

    assert collect(str(tmp_path)) == [File("a", md5_bytes(b""), 0), File("b/1", md5_bytes(b"1"), 1)]


def test_large_files_among_small_ones_are_hashed_in_their_places(tmp_path: Path) -> None:
    contents = {f"{n}": bytes([n]) * (2 << 20 if n % 2 else 3) for n in range(5)}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    assert collect(str(tmp_path)) == [
        File(name, md5_bytes(data), len(data)) for name, data in contents.items()
    ]


def test_links_become_the_content_they_point_to(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    (outside / "deep").mkdir(parents=True)
    out.mkdir()
    (outside / "deep" / "1").write_text("one")
    (outside / "2").symlink_to("deep/1")
    (out / "file").symlink_to("../outside/deep/1")
    (out / "tree").symlink_to(outside)
    (out / "again").symlink_to("file")

    assert [(file.path, file.size) for file in collect(str(out))] == [
        ("again", 3),
        ("file", 3),
        ("tree/2", 3),
        ("tree/deep/1", 3),
    ]
    assert not any(path.is_symlink() for path in out.rglob("*"))


def test_a_file_with_another_name_elsewhere_becomes_a_copy(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").write_text("one")
    os.link(tmp_path / "elsewhere", out / "a")

    assert [file.path for file in collect(str(out))] == ["a"]
    (tmp_path / "elsewhere").write_text("two")
    assert (out / "a").read_text() == "one"
    assert os.stat(out / "a").st_nlink == 1


def _replaced(out: Path) -> None:
    out.rmdir()
    out.symlink_to("/tmp")


def _dangling(out: Path) -> None:
    (out / "a").symlink_to("nowhere")


def _circle(out: Path) -> None:
    (out / "a").mkdir()
    (out / "a" / "b").symlink_to("..")


def _two_in_a_circle(out: Path) -> None:
    (out / "a").symlink_to("b")
    (out / "b").symlink_to("a")


def _circle_outside(out: Path) -> None:
    outside = out.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "back").symlink_to("..")
    (out / "a").symlink_to(outside)


def _back_into_the_output(out: Path) -> None:
    outside = out.parent / "outside"
    outside.mkdir()
    (outside / "home").symlink_to(out)
    (out / "a").symlink_to(outside)


def _dangling_outside(out: Path) -> None:
    outside = out.parent / "outside"
    outside.mkdir()
    (outside / "gone").symlink_to("nowhere")
    (out / "a").symlink_to(outside)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda out: out.rmdir(), "pfs/out is gone or no directory: write files into it, do not replace it"),
        (_replaced, "pfs/out is gone or no directory: write files into it, do not replace it"),
        (_dangling, "a is a link that leads nowhere"),
        (_circle, "a/b is a link to a directory that it lies in"),
        (_two_in_a_circle, "a is a link that leads nowhere"),
        (_circle_outside, "a/deep/back is a link to a directory that it lies in"),
        (_back_into_the_output, "a/home is a link to a directory that it lies in"),
        (_dangling_outside, "a/gone is a link that leads nowhere"),
        (lambda out: (out / "a").symlink_to("/"), "a is a link to a directory that it lies in"),
        (lambda out: (out / "a").symlink_to("/dev/zero"), "a is no file but a pipe, a socket or a device"),
        (lambda out: os.mkfifo(out / "a"), "a is no file but a pipe, a socket or a device"),
        (
            lambda out: (out / ".dvc").mkdir(),
            "'.dvc' is no path for an output: .dvc has a meaning for DVC or git",
        ),
    ],
)
def test_what_cannot_be_an_output_says_so(spoil: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    spoil(out)

    with pytest.raises(Fault) as caught:
        collect(str(out))
    assert caught.value.failure.message == message


def test_json_is_the_same_for_equal_values(tmp_path: Path) -> None:
    one = write({"a.json": {"x": 1, "y": {"b": 1, "a": 2}}}, tmp_path)
    other = write({"b.json": json.loads('{"y": {"a": 2, "b": 1}, "x": 1}')}, tmp_path)

    assert one["a.json"] == other["b.json"]


def test_a_link_to_an_input_without_content_is_the_content(bench: Bench) -> None:
    """As Pachyderm's TestEmptyFiles and TestCopyOutToIn have it."""
    given = [
        bench.many("raw", {"a.txt": "alpha", "d/b.txt": "beta", "d/e/c.txt": ""})._replace(empty=True),
        bench.one("other", "o.txt", "other"),
    ]
    script = """
        test "$(cat pfs/raw/a.txt pfs/raw/d/b.txt)" = ""
        ln -s ../raw/a.txt pfs/out/soft
        ln -s "$PWD/pfs/out/soft" pfs/out/twice
        ln pfs/raw/a.txt pfs/out/hard
        ln -s ../raw/d pfs/out/tree
        ln -s ../other/o.txt pfs/out/full
        cp pfs/raw/a.txt pfs/out/copied
    """
    outcome = bench.do(Command(("sh", "-ec", script)), given)
    assert outcome.failure is None, outcome.failure
    assert {file.path: bench.out(outcome, file.path).decode() for file in outcome.files} == {
        "soft": "alpha",
        "twice": "alpha",
        "hard": "alpha",
        "tree/b.txt": "beta",
        "tree/e/c.txt": "",
        "full": "other",
        "copied": "",
    }
    assert {file.path: file.size for file in outcome.files}["hard"] == 5


def test_an_input_without_content_may_not_be_written_to_either(bench: Bench) -> None:
    given = [bench.one("raw", "a.txt", "alpha")._replace(empty=True)]
    outcome = bench.do(Command(("sh", "-c", "chmod u+w pfs/raw/a.txt; echo x > pfs/raw/a.txt")), given)
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.damaged) == ("InputModified", ())
    assert bench.file("a.txt", "alpha").size == 5


def test_a_link_to_content_that_is_nowhere_says_so(bench: Bench) -> None:
    given = bench.one("raw", "a.txt", "alpha")._replace(empty=True, objects=str(bench.base / "none"))
    outcome = bench.do(Command(("ln", "-s", "../raw/a.txt", "pfs/out/a")), [given])
    assert outcome.failure is not None
    assert (outcome.failure.kind, "a.txt, whose content is not in the cache" in outcome.failure.message) == (
        "MissingData",
        True,
    )
