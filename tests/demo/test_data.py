from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from demo.data import HELD_BACK, SourceError, day_files, files_by_day, main, pointer, verify, write
from trunkline.digest import md5_bytes, tree_oid

# What the pointers in git name: the first 364 days, then all 365.
VERSIONS = {
    "flights_raw": ("fe6946172036a90aa0eaf7571c31b431.dir", "075807e44824e35b970755b11b21d583.dir"),
    "weather_raw": ("9adc49c5ac1c24515995d45c2c595fab.dir", "06b99f61d5e75aef2bddead450114989.dir"),
}


def oid(name: str, days: int) -> str:
    files = list(files_by_day(name).items())[:days]
    return tree_oid((f"{day}.csv", md5_bytes(text)) for day, text in files)


def point(root: Path, days: int) -> None:
    (root / "data").mkdir(exist_ok=True)
    for name in VERSIONS:
        out = {"md5": oid(name, days), "nfiles": days, "hash": "md5", "path": name}
        (root / "data" / f"{name}.dvc").write_text(yaml.safe_dump({"outs": [out]}))


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("year")
    point(root, 364)
    assert write(root) == {"flights_raw": 364, "weather_raw": 364}
    return root


@pytest.mark.parametrize("name", VERSIONS)
def test_the_bytes_never_change(name: str) -> None:
    assert (oid(name, 364), oid(name, 365)) == VERSIONS[name]


def test_every_day_of_the_year_has_both_files() -> None:
    days = list(files_by_day("flights_raw"))
    assert len(days) == 365
    assert days == sorted(days) == list(files_by_day("weather_raw"))
    assert (days[0], days[-1]) == ("2013-01-01", HELD_BACK)


def test_the_lines_are_the_packages_own() -> None:
    flights = files_by_day("flights_raw")
    lines = [line for text in flights.values() for line in text.splitlines()[1:]]
    assert len(lines) == 336_776
    assert all(line.startswith(b"2013,2,12,") for line in flights["2013-02-12"].splitlines()[1:])
    assert sum(text.count(b"\n") - 1 for text in files_by_day("weather_raw").values()) == 26_115
    assert files_by_day("weather_raw")[HELD_BACK].count(b"\n") == 1
    assert files_by_day("weather_raw")[HELD_BACK].startswith(b"origin,year,month,day,hour,")


def test_the_last_day_is_held_back(year: Path) -> None:
    for name in VERSIONS:
        assert len(list((year / "data" / name).iterdir())) == 364
        assert not (year / "data" / name / f"{HELD_BACK}.csv").exists()
    assert {name: found.nfiles for name, found in verify(year).items()} == dict.fromkeys(VERSIONS, 364)


def test_writing_again_touches_nothing(year: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in (year / "data").rglob("*.csv")}
    assert write(year) == {"flights_raw": 0, "weather_raw": 0}
    assert {file: file.stat().st_mtime_ns for file in (year / "data").rglob("*.csv")} == before


def test_a_changed_file_is_repaired_and_never_written_through_a_link(year: Path, tmp_path: Path) -> None:
    file = year / "data" / "flights_raw" / "2013-05-05.csv"
    file.write_bytes(b"damaged")
    os.link(file, tmp_path / "object")
    with pytest.raises(SourceError, match=r"1 changed: 2013-05-05\.csv"):
        verify(year)
    assert write(year)["flights_raw"] == 1
    assert (tmp_path / "object").read_bytes() == b"damaged"
    verify(year)


def test_what_differs_is_named(year: Path) -> None:
    own = year / "data" / "weather_raw" / "2014-01-01.csv"
    missing = year / "data" / "weather_raw" / "2013-07-01.csv"
    own.write_text("mine")
    missing.unlink()
    with pytest.raises(SourceError) as caught:
        verify(year)
    own.unlink()
    write(year)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("data/weather_raw is not the version that data/weather_raw.dvc names")
    assert "  1 not from the package: 2014-01-01.csv" in lines
    assert "  1 missing: 2013-07-01.csv" in lines


def test_once_the_day_has_arrived_it_is_written_too(year: Path, tmp_path: Path) -> None:
    point(tmp_path, 365)
    for file in (year / "data").rglob("*.csv"):
        target = tmp_path / file.relative_to(year)
        target.parent.mkdir(exist_ok=True)
        os.link(file, target)
    assert write(tmp_path) == {"flights_raw": 1, "weather_raw": 1}
    verify(tmp_path)


def test_without_a_pointer_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert pointer(tmp_path, "flights_raw").oid == ""
    (tmp_path / "data" / "flights_raw").mkdir(parents=True)
    with pytest.raises(SourceError, match="dvc add data/flights_raw"):
        verify(tmp_path)


def test_a_day_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = day_files(HELD_BACK, tmp_path)
    for name, path in paths.items():
        assert path.read_bytes() == files_by_day(name)[HELD_BACK]
        assert path.name == f"{HELD_BACK}.csv"
    assert not (tmp_path / "data").exists()
    assert main(["--day", "2013-04-31", "--root", str(tmp_path)]) == 1
    assert "there is no 2013-04-31 in the data" in capsys.readouterr().err
