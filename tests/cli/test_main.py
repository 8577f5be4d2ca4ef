"""The program itself: help, unknown commands, what becomes of errors, of Ctrl-C, of a closed pipe."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import trunkline
from tests.cli.conftest import Cli
from tests.support import Tree
from trunkline.cli.main import COMMANDS, overview


def test_the_overview_is_the_answer_to_nothing_and_to_help(cli: Cli) -> None:
    for argument in ("--help", "-h", "help"):
        assert cli(argument).out == overview() + "\n"
    assert cli(code=2).err == overview() + "\n"
    assert cli("--version").out == f"trunkline {trunkline.__version__}\n"


def test_the_overview_names_every_command_newcomers_first() -> None:
    first, more = overview().split("more:")
    for name, command in COMMANDS.items():
        assert f"  {name} " in (first if command.first else more)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli: Cli, name: str) -> None:
    text = cli(name, "--help").out
    assert text.startswith(f"usage: trunkline {name}")
    assert "--json" in text
    assert cli("help", name).out == text


def test_an_unknown_command(cli: Cli) -> None:
    assert cli("statsu", code=2).err == (
        "error: there is no command 'statsu'\n  did you mean `trunkline status`?\n"
    )
    assert "`trunkline --help` lists the commands" in cli("xyzzy", code=2).err


def test_a_wrong_command_line_is_2_as_text_and_as_json(cli: Cli) -> None:
    text = cli("show", "a", "b", code=2)
    assert text.err.startswith("error: ")
    assert "`trunkline show --help`" in text.err
    answer = cli("show", "a", "b", "--json", code=2)
    assert answer.err == ""
    error = json.loads(answer.out)["error"]
    assert error.keys() == {"code", "message", "where", "hint"}
    assert error["code"] == "usage"


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"init", "verify"}))
def test_outside_a_project_every_command_says_what_to_type(
    cli: Cli, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = ("why", "exec", "datums", "diff", "versions", "lineage", "reproduce", "serve")
    needed = {"put": ["a", __file__], "rm": ["a", "b"], "export": ["a", "--format", "mermaid"]}
    arguments = needed.get(name, ["a"] if name in one else [])
    done = cli(name, *arguments, code=2)
    assert "there is no trunkline project here, nor above" in done.err
    assert "type `trunkline init`" in done.err
    assert json.loads(cli(name, *arguments, "--json", code=2).out)["error"]["code"] == "project"


def test_debug_shows_the_traceback(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(trunkline.errors.ProjectError):
        cli("status", "--debug")


def test_what_nobody_foresaw_is_a_message_too(letters: Tree, cli: Cli) -> None:
    """A directory where a file belongs: the operating system's words, no traceback."""
    (letters.root / ".trunkline/runs/.open").rmdir()
    letters.write(".trunkline/runs/.open", "not a directory")
    done = cli("runs", code=3)
    assert "this is a defect of trunkline; `trunkline runs … --debug` shows where" in done.err
    assert "Traceback" not in done.err


def test_a_reader_that_goes_away_is_no_error_of_ours(letters: Tree) -> None:
    command = [sys.executable, "-m", "trunkline", "status", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=letters.environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_ctrl_c_is_130_and_said_in_one_line(letters: Tree) -> None:
    code = letters.read("stages/letters.py").replace(
        'return {f"{raw', 'import time; time.sleep(60)\n    return {f"{raw'
    )
    letters.write("stages/letters.py", code)
    command = [sys.executable, "-m", "trunkline", "run", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=letters.environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        records = letters.root / ".trunkline/runs/.open"
        while not (records.exists() and any(records.glob("0*"))):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130, (out, err)
    assert json.loads(out)["error"]["code"] == "interrupted"
    assert "Traceback" not in err
