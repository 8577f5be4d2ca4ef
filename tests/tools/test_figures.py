"""The numbers in the course's pages come from the metrics, and a stale one is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.figures import main

FIGURE = "<!--= cars/judge/metrics.json {} {}-->{}<!--/-->"


def page_with(rmse: str, rows: str) -> str:
    return (
        f"RMSE is {FIGURE.format('holdout.rmse', '.2f', rmse)}, of {FIGURE.format('rows', ',', rows)} rows.\n"
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "cars" / "judge"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text('{"holdout": {"rmse": 1.0449}, "rows": 4000}')
    return tmp_path / "data"


def test_numbers_are_written_and_checked(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(page_with("1.10", ""))
    arguments = ["--data", str(data), str(page)]

    assert main(["--check", *arguments]) == 1
    said = capsys.readouterr().out
    assert "holdout.rmse is 1.04, the page says 1.10" in said
    assert "rows is 4,000, the page says nothing" in said
    assert main(arguments) == 0
    assert page.read_text() == page_with("1.04", "4,000")
    assert main(["--check", *arguments]) == 0


def test_places_of_a_list_and_words(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "said.json").write_text('{"classes": [{"label": "cup"}, {"label": "tea cup"}]}')
    page = tmp_path / "page.md"
    page.write_text("<!--= said.json classes.1.label s--><!--/-->")
    assert main(["--data", str(data), str(page)]) == 0
    assert page.read_text() == "<!--= said.json classes.1.label s-->tea cup<!--/-->"
    page.write_text("<!--= said.json classes.2.label s--><!--/-->")
    assert main(["--data", str(data), str(page)]) == 2
    assert "at '2' there is a list of 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ("cars/judge/metrics.json train.rmse .2f", "at 'train' there is holdout, rows"),
        ("cars/judge/metrics.json rows.all .2f", "at 'all' there is a number"),
        ("cars/other/metrics.json rows .2f", "is not there: type `make course` first"),
    ],
)
def test_a_figure_that_no_metrics_has_is_an_error(
    figure: str, message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"<!--= {figure}-->1<!--/-->")
    assert main(["--data", str(data), str(page)]) == 2
    assert message in capsys.readouterr().err
