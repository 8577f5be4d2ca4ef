"""server.json, wishes and marks: read back as written, and nothing of what is broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trunkline.flows import state
from trunkline.flows.home import Home
from trunkline.flows.state import State, read_state, write_state
from trunkline.ledger.owner import Owner, owner_of

GONE = Owner(2**22 + 1, "0", "")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(str(tmp_path))
    made.make()
    return made


def myself() -> Owner:
    found = owner_of(os.getpid())
    assert found is not None
    return found


def test_the_folder_is_hidden_from_git(home: Home) -> None:
    assert Path(home.folder, ".gitignore").read_text() == "*\n"


def test_a_state_is_read_as_it_was_written(home: Home) -> None:
    written = State(
        state="running", url="http://127.0.0.1:4217/api", pages="http://127.0.0.1:4217", port=4217, kept=True,
        prefect="3.8.8", keeper=myself(), server=GONE, worker_ready=True, interrupted=("a", "b"), undrained=3,
    )  # fmt: skip
    write_state(home, written)
    assert read_state(home) == written
    assert written.lives
    assert not State(keeper=GONE).lives
    assert not State().lives


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 2, "state": "running"}', '{"schema": 1, "keeper": {"pid": 1}}']
)
def test_a_state_that_cannot_be_read_is_no_state(home: Home, text: str) -> None:
    Path(home.state).write_text(text)
    assert read_state(home) == State()


def test_what_a_later_version_adds_is_ignored(home: Home) -> None:
    Path(home.state).write_text(json.dumps({"schema": 1, "state": "running", "color": "blue"}))
    assert read_state(home).state == "running"


def test_wishes(home: Home) -> None:
    assert not state.wished(home, state.KEPT)
    state.wish(home, state.KEPT)
    assert state.wished(home, state.KEPT)
    state.unwish(home, state.KEPT)
    state.unwish(home, state.KEPT)
    assert not state.wished(home, state.KEPT)


def test_use_is_remembered(home: Home) -> None:
    state.touch(home)
    os.utime(home.wanted(state.USED), (1000, 1000))
    assert state.used(home) == 1000
    state.touch(home)
    assert state.used(home) > 1000


def test_only_the_keeper_that_is_meant_stops(home: Home) -> None:
    assert not state.asked_to_stop(home, myself())
    state.ask_to_stop(home, myself())
    assert state.asked_to_stop(home, myself())
    assert not state.asked_to_stop(home, GONE)
    assert not state.asked_to_stop(home, None)


def test_a_flow_run_says_who_it_is(tmp_path: Path) -> None:
    home = Home(str(tmp_path))
    assert state.marks(home) == []
    state.mark_flow(str(tmp_path), "f1", myself())
    assert state.marks(home) == ["f1"]
    mark = state.read_mark(home, "f1")
    assert mark is not None
    assert mark[0] == myself()
    state.unmark_flow(str(tmp_path), "f1")
    assert state.read_mark(home, "f1") is None
