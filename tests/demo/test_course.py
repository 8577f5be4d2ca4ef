"""The data of the course, without a network: packages come from a folder of wheels, or are not there."""

from __future__ import annotations

import bz2
import hashlib
import re
import zipfile
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_digits, load_iris, load_wine

from demo.course import PIPELINES, metrics, verify, write
from demo.data import SourceError, pointer
from demo.packages import DOWNLOADS, LARGEST, content, download, downloaded
from demo.sources import SOURCES, File, Installed, Source, Vendored, Wheel
from trunkline.digest import md5_bytes, tree_oid

ROOT = Path(__file__).resolve().parents[2]
TOY = Wheel("Toy-Data", "1.0")
TABLE = b"a,b\n1,2\n"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def source(*files: File, name: str = "toy_raw") -> Source:
    return Source(name, ("carseats",), files, "CC0", "Nobody")


PLAIN = File("table.csv", TOY, "toy/table.csv", sha256(TABLE))
PACKED = File("packed.csv", TOY, "toy/packed.bz2", sha256(bz2.compress(TABLE)), bz2.decompress)


def wheel(folder: Path, members: dict[str, bytes], name: str = "toy_data-1.0-py3-none-any.whl") -> Path:
    """A package that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "toy_data-1.0.dist-info"
    records = [*members, f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
    texts = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: Toy-Data\nVersion: 1.0\nRequires-Dist: not-there\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "".join(f"{record},,\n" for record in records).encode(),
    }
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, data in (members | texts).items():
            archive.writestr(path, data)
    return folder / name


TOY_MEMBERS = {"toy/table.csv": TABLE, "toy/packed.bz2": bz2.compress(TABLE), "toy/__init__.py": b"1 / 0\n"}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip, as a machine may have it configured that has no network and a folder of wheels."""
    for name in ("PIP_NO_INDEX", "PIP_ISOLATED", "PIP_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def point(root: Path, name: str, files: dict[str, bytes]) -> None:
    oid = tree_oid((path, md5_bytes(data)) for path, data in files.items())
    (root / "data").mkdir(exist_ok=True)
    out = {"md5": oid, "nfiles": len(files), "hash": "md5", "path": name}
    (root / "data" / f"{name}.dvc").write_text(yaml.safe_dump({"outs": [out]}))


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("each", SOURCES, ids=lambda each: each.name)
def test_every_dataset_has_a_pointer_a_pipeline_a_licence_and_its_owners(each: Source) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*_raw", each.name)
    assert pointer(ROOT, each.name).nfiles == len(each.files)
    assert f"/{each.name}\n" in (ROOT / "data/.gitignore").read_text()
    assert each.licence
    assert each.attribution
    assert set(each.pipelines) <= set(PIPELINES)
    assert len({file.path for file in each.files}) == len(each.files)
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in each.files)


def test_every_pipeline_of_the_course_has_data() -> None:
    assert {name for each in SOURCES for name in each.pipelines} == set(PIPELINES)
    assert len({each.name for each in SOURCES}) == len(SOURCES)


def test_what_the_page_says_of_the_data_is_what_the_table_says() -> None:
    page = (ROOT / "docs/course/data.md").read_text()
    for each in SOURCES:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{each.name}`"))
        for file in each.files:
            assert file.path in row
            assert str(file.origin) in row
        assert each.licence in row
        assert each.attribution in page


@pytest.mark.parametrize(
    "each",
    [e for e in SOURCES if not any(isinstance(f.origin, Wheel) for f in e.files)],
    ids=lambda each: each.name,
)
def test_what_is_here_already_becomes_what_the_pointers_name(each: Source, tmp_path: Path) -> None:
    files = {file.path: file.change(content(ROOT, file)) for file in each.files}
    assert tree_oid((path, md5_bytes(data)) for path, data in files.items()) == pointer(ROOT, each.name).oid


def test_headers_say_what_the_columns_are() -> None:
    by_name = {each.name: each.files[0].change(content(ROOT, each.files[0])).decode().splitlines()
               for each in SOURCES if each.name in ("iris_raw", "wine_raw", "digits_raw")}  # fmt: skip
    iris, wine, digits = load_iris(), load_wine(), load_digits()
    assert by_name["iris_raw"][0] == "sepal_length,sepal_width,petal_length,petal_width,species"
    for line, row, kind in zip(by_name["iris_raw"][1:], iris.data, iris.target, strict=True):
        *numbers, species = line.split(",")
        assert [float(number) for number in numbers] == row.tolist()
        assert species == iris.target_names[kind]
    for line, row, kind in zip(by_name["wine_raw"][1:], wine.data, wine.target, strict=True):
        assert [float(number) for number in line.split(",")] == [*row.tolist(), kind]
    assert len(by_name["wine_raw"][0].split(",")) == 14
    for line, row, digit in zip(by_name["digits_raw"][1:], digits.data, digits.target, strict=True):
        assert [float(number) for number in line.split(",")] == [*row.tolist(), digit]
    assert by_name["digits_raw"][0].split(",")[-2:] == ["pixel_7_7", "digit"]


def test_the_detectors_origin_names_the_file_that_is_here() -> None:
    (nanodet,) = (each for each in SOURCES if each.name == "nanodet_raw")
    assert nanodet.files[0].sha256 in (ROOT / "demo/nanodet/ORIGIN.md").read_text()
    assert all(isinstance(file.origin, Vendored) for file in nanodet.files)


# ---------------------------------------------------------------- packages


@pytest.mark.usefixtures("offline")
def test_a_package_is_fetched_once_and_read_without_being_installed(tmp_path: Path) -> None:
    links = wheel(tmp_path / "wheels", TOY_MEMBERS).parent
    assert downloaded(tmp_path, TOY) is None
    found = download(tmp_path, TOY, ["--find-links", str(links)])
    assert found == tmp_path / DOWNLOADS / "toy_data-1.0-py3-none-any.whl" == downloaded(tmp_path, TOY)
    assert [path.name for path in found.parent.iterdir()] == [found.name], "nothing half done is left"
    assert content(tmp_path, PLAIN) == TABLE
    assert PACKED.change(content(tmp_path, PACKED)) == TABLE


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_error_says_how_to_help_oneself(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        content(tmp_path, PLAIN)
    lines = str(caught.value).splitlines()
    assert lines[0] == "Toy-Data 1.0 could not be downloaded; pip says:"
    assert "No matching distribution found for Toy-Data==1.0" in str(caught.value)
    assert lines[-2:] == [
        "Without a network, put its wheel into build/downloads; where one is that has it, this fetches it:",
        '  python -m pip download --no-deps --dest build/downloads "Toy-Data==1.0"',
    ]
    assert not list((tmp_path / DOWNLOADS).iterdir())


def test_another_version_of_a_package_is_not_taken(tmp_path: Path) -> None:
    wheel(tmp_path / DOWNLOADS, TOY_MEMBERS, "toy_data-1.1-py3-none-any.whl")
    wheel(tmp_path / DOWNLOADS, TOY_MEMBERS, "toy_data_more-1.0-py3-none-any.whl")
    assert downloaded(tmp_path, TOY) is None


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path / DOWNLOADS, TOY_MEMBERS | {"toy/table.csv": b"a,b\n1,3\n"})
    with pytest.raises(SourceError) as caught:
        content(tmp_path, PLAIN)
    assert str(caught.value) == (
        "toy/table.csv of Toy-Data 1.0 is not the file that demo/sources.py names:\n"
        f"  sha256 is {sha256(b'a,b' + bytes([10]) + b'1,3' + bytes([10]))},\n"
        f"  should be {PLAIN.sha256}\n"
        "remove build/downloads/toy_data-1.0-py3-none-any.whl and try again"
    )


def test_a_package_without_the_file_and_one_that_is_damaged(tmp_path: Path) -> None:
    file = wheel(tmp_path / DOWNLOADS, {"toy/other.csv": TABLE})
    with pytest.raises(
        SourceError, match=r"^Toy-Data 1\.0 has no file toy/table\.csv\nremove build/downloads/"
    ):
        content(tmp_path, PLAIN)
    file.write_bytes(b"PK half a file")
    with pytest.raises(SourceError, match=r"^Toy-Data 1\.0 cannot be read: .+\nremove build/downloads/"):
        content(tmp_path, PLAIN)


def test_a_file_that_is_called_as_no_wheel_is_passed_over(tmp_path: Path) -> None:
    for name in ("ISLP.whl", "toy_data.whl", "toy_data-1.0.whl", "toy_data-1.0-any.whl"):
        wheel(tmp_path / DOWNLOADS, {}, name)
    assert downloaded(tmp_path, TOY) is None
    named = wheel(tmp_path / DOWNLOADS, TOY_MEMBERS, "toy_data-1.0-1-py3-none-any.whl")
    assert downloaded(tmp_path, TOY) == named


def damaged(file: Path, header: int, change: bytes) -> None:
    """Other bytes at a place of the first header in the directory at the archive's end."""
    data = bytearray(file.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + header : start + header + len(change)] = change
    file.write_bytes(data)


@pytest.mark.parametrize("kind", ["stream", "cut", "method"])
def test_a_package_whose_file_cannot_be_unpacked(tmp_path: Path, kind: str) -> None:
    """zlib.error, EOFError, NotImplementedError: each is said like any other damage."""
    path = tmp_path / DOWNLOADS / "toy_data-1.0-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    method = zipfile.ZIP_STORED if kind == "cut" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("toy/table.csv", TABLE * 100)
    data = path.read_bytes()
    behind = 30 + len("toy/table.csv")
    if kind == "stream":
        path.write_bytes(data[:behind] + b"\xff" * 4 + data[behind + 4 :])
    elif kind == "cut":
        damaged(path, 20, 2 * (1 << 20).to_bytes(4, "little"))  # both its sizes: more than is there
    else:
        damaged(path, 10, (99).to_bytes(2, "little"))  # its method: one that nobody has
    with pytest.raises(SourceError, match=r"^Toy-Data 1\.0 cannot be read: .*\nremove build/downloads/"):
        content(tmp_path, PLAIN)


def test_what_would_unpack_to_more_than_any_file_has_is_not_unpacked(tmp_path: Path) -> None:
    file = wheel(tmp_path / DOWNLOADS, TOY_MEMBERS)
    damaged(file, 24, LARGEST.to_bytes(4, "little"))
    assert content(tmp_path, PLAIN) == TABLE
    damaged(file, 24, (LARGEST + 1).to_bytes(4, "little"))
    with pytest.raises(SourceError) as caught:
        content(tmp_path, PLAIN)
    assert str(caught.value) == (
        "toy/table.csv of Toy-Data 1.0 would unpack to 209,715,201 bytes, and none has more than 209,715,200\n"
        "remove build/downloads/toy_data-1.0-py3-none-any.whl and try again"
    )


def test_a_library_that_is_not_installed(tmp_path: Path) -> None:
    file = File("a.csv", Installed("no-such-library", "no_such_library"), "a.csv", "0" * 64)
    with pytest.raises(
        SourceError, match=r"^no-such-library is not installed; type: pip install '\.\[course\]'$"
    ):
        content(tmp_path, file)


# ---------------------------------------------------------------- writing


def test_only_what_differs_is_written_and_nothing_is_fetched_for_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = wheel(tmp_path / DOWNLOADS, TOY_MEMBERS)
    point(tmp_path, "toy_raw", {"table.csv": TABLE, "packed.csv": TABLE})
    assert write(tmp_path, [source(PLAIN, PACKED)]) == {"toy_raw": 2}
    assert "data/toy_raw: 2 files, 2 written, as data/toy_raw.dvc in git says" in capsys.readouterr().out
    (tmp_path / "data/toy_raw/packed.csv").write_bytes(b"changed")
    kept = (tmp_path / "data/toy_raw/table.csv").stat()
    assert write(tmp_path, [source(PLAIN, PACKED)]) == {"toy_raw": 1}
    assert (tmp_path / "data/toy_raw/table.csv").stat().st_mtime_ns == kept.st_mtime_ns
    assert (tmp_path / "data/toy_raw/packed.csv").read_bytes() == TABLE
    package.unlink()
    assert write(tmp_path, [source(PLAIN, PACKED)]) == {"toy_raw": 0}


def test_a_link_into_the_cache_is_replaced_not_written_through(tmp_path: Path) -> None:
    wheel(tmp_path / DOWNLOADS, TOY_MEMBERS)
    point(tmp_path, "toy_raw", {"table.csv": TABLE})
    (tmp_path / "cached").write_bytes(b"another version")
    (tmp_path / "data/toy_raw").mkdir()
    (tmp_path / "data/toy_raw/table.csv").symlink_to(tmp_path / "cached")
    write(tmp_path, [source(PLAIN)])
    assert (tmp_path / "cached").read_bytes() == b"another version"
    assert not (tmp_path / "data/toy_raw/table.csv").is_symlink()


def test_what_is_not_what_the_pointer_names_is_said(tmp_path: Path) -> None:
    wheel(tmp_path / DOWNLOADS, TOY_MEMBERS)
    with pytest.raises(SourceError, match=r"has no pointer to compare with; type: dvc add data/toy_raw"):
        write(tmp_path, [source(PLAIN)])
    point(tmp_path, "toy_raw", {"table.csv": TABLE})
    verify(tmp_path, source(PLAIN))
    (tmp_path / "data/toy_raw/mine.csv").write_bytes(b"1")
    with pytest.raises(SourceError) as caught:
        write(tmp_path, [source(PLAIN)])
    assert str(caught.value).splitlines()[1:] == [
        "  not from demo/sources.py: mine.csv",
        "`git diff data/toy_raw.dvc` shows whether the pointer was changed,",
        "`dvc checkout data/toy_raw.dvc` brings the pointer's version back if it is in the cache.",
    ]


@pytest.mark.usefixtures("offline")
def test_what_is_fetched_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path / "wheels", TOY_MEMBERS).parent))
    point(tmp_path, "toy_raw", {"table.csv": TABLE})
    write(tmp_path, [source(PLAIN)])
    assert re.match(
        r"  fetching Toy-Data 1\.0, for toy_raw … 0\.0 MB in \d+\.\d s\n  data/toy_raw: 1 file, 1 written",
        capsys.readouterr().out,
    )


# ---------------------------------------------------------------- the command


def test_metrics_are_shown_as_the_pipeline_declares_them(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/toy.yaml").write_text(
        "pipeline: toy\nstages:\n  look: {run: a:b, metrics: [metrics.json]}\n  other: {run: a:c, metrics: [m.json]}\n"
    )
    (tmp_path / "data/toy/look").mkdir(parents=True)
    (tmp_path / "data/toy/look/metrics.json").write_text(
        '{"rows": 9, "holdout": {"auc": 0.91234567, "by": {"a": 1}}, "name": "x"}'
    )
    assert list(metrics(tmp_path, "toy")) == [
        "look               rows 9",
        "look   holdout     auc 0.912346",
        "look   holdout.by  a 1",
        "other              not made",
    ]
