"""`trunkline deploy`, and Prefect's own `prefect deploy`, on a real server: what is stored, and what stays.

One server for the module; the tests follow one another as they are written.
"""

from __future__ import annotations

import itertools
import os
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests import keeping
from tests.keeping import Kept
from tests.support import PIPELINE, Done
from trunkline.flows import state
from trunkline.flows.api import FINAL
from trunkline.flows.deployments import project_name
from trunkline.store.worktree import Worktree

PAGE = Path(__file__).parents[2] / "docs/how-to/schedule.md"
BERLIN = ZoneInfo("Europe/Berlin")
SCHEDULES = """\
description: Letters, counted.
schedules:
- {cron: "0 3 * * *", timezone: Europe/Berlin}
- {interval: 10m}
- {interval: 1d, anchor: "2024-01-31T09:30:00", slug: shout, parameters: {upper: {suffix: "on"}}}
- {rrule: "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", timezone: Europe/Berlin}
- {cron: "*/5 * * * *", active: false}
"""
STORED = {
    "cron": {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "day_or": True},
    "interval": {"interval": 600.0, "anchor_date": "2020-01-01T00:00:00Z", "timezone": "UTC"},
    "shout": {"interval": 86400.0, "anchor_date": "2024-01-31T09:30:00Z", "timezone": "UTC"},
    "rrule": {
        "rrule": "DTSTART:20200101T000000\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18",
        "timezone": "Europe/Berlin",
    },
    "cron-2": {"cron": "*/5 * * * *", "timezone": "UTC", "day_or": True},
}
OTHER = "pipeline: other\nstages: {s: {cmd: [echo]}}\n"
# What changes with every call, and says nothing of the deployment.
PASSING = ("updated", "updated_by", "status", "last_polled")


def write(tree: Kept, text: str) -> None:
    """The pipeline `letters`, and what is said of its deployment."""
    tree.write("pipelines/letters.yaml", PIPELINE + text)


def prefect_deploy(tree: Kept, *arguments: str, check: bool = True) -> Done:
    """`prefect deploy …`, as a person types it beside a server that he has."""
    home = str(tree.root.parent / "mine")
    command = ("-m", "prefect", "--no-prompt", "deploy", *arguments)
    return tree.command(
        sys.executable, *command, check=check, PREFECT_API_URL=tree.api.url, PREFECT_HOME=home
    )


def stored(tree: Kept) -> dict[str, dict[str, Any]]:
    """Every deployment of the flow `trunkline` as the server has it, by name; its schedules by slug."""
    wanted = {"flows": {"name": {"any_": ["trunkline"]}}}
    found = {}
    for each in map(lasting, tree.api.each("/deployments/filter", wanted)):
        each["schedules"] = {schedule["slug"]: lasting(schedule) for schedule in each["schedules"]}
        assert each["global_concurrency_limit"].pop("updated")
        found[each["name"]] = each
    return found


def lasting(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in PASSING}


def schedules(tree: Kept, name: str = "letters") -> dict[str, dict[str, Any]]:
    """The schedules of a deployment by slug."""
    found: dict[str, dict[str, Any]] = stored(tree)[name]["schedules"]
    return found


def runs(tree: Kept) -> list[dict[str, Any]]:
    """The flow runs that are to come; each is scheduled once."""
    found = list(tree.api.each("/flow_runs/filter", {}))
    times = Counter((run["created_by"]["id"], run["expected_start_time"]) for run in found)
    assert [key for key, many in times.items() if many > 1] == []
    return found


def rows(tree: Kept) -> dict[str, Any]:
    """What `trunkline deploy --list --json` says, by pipeline."""
    return {row["pipeline"]: row for row in tree.trunkline("deploy", "--list", "--json").data}


@pytest.fixture(scope="module")
def deployed(prefect_project: Kept) -> Kept:
    """The project after its first `trunkline deploy`."""
    write(prefect_project, SCHEDULES)
    done = prefect_project.trunkline("deploy")
    assert done.out.startswith(
        f"wrote prefect.yaml\ndeployed on {prefect_project.state.pages}\npipeline  schedule"
    )
    return prefect_project


# ---------------------------------------------------------------- what is stored


def test_the_deployment_is_what_the_pipeline_file_says(deployed: Kept) -> None:
    (found,) = stored(deployed).values()
    expected = {
        "name": "letters",
        "description": "Letters, counted.",
        "entrypoint": "trunkline.deployed.retrain",
        "parameters": {"pipeline": "letters"},
        "tags": ["trunkline", "pipeline:letters", f"project:{project_name(str(deployed.root))}"],
        "work_pool_name": "trunkline",
        "path": None,
        "pull_steps": [{"trunkline.deployed.worktree": {"pipeline": "letters", "branch": "main"}}],
        "paused": False,
        "enforce_parameter_schema": True,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert set(found["parameter_openapi_schema"]["properties"]) == {"pipeline", "params", "data"}


def test_every_kind_of_schedule_is_stored_as_it_is_meant(deployed: Kept) -> None:
    found = schedules(deployed)
    assert {slug: each["schedule"] for slug, each in found.items()} == STORED
    assert [slug for slug, each in found.items() if not each["active"]] == ["cron-2"]
    parameters = {slug: each["parameters"] for slug, each in found.items() if each["parameters"]}
    assert parameters == {"shout": {"params": {"upper": {"suffix": "on"}}}}


def test_runs_come_when_they_are_meant_to(deployed: Kept) -> None:
    rows(deployed)  # asks the server to schedule now what it would schedule soon
    found: dict[str, list[datetime]] = {}
    for run in runs(deployed):
        at = datetime.fromisoformat(run["expected_start_time"])
        found.setdefault(run["created_by"]["display_value"], []).append(at)
        params = (
            {"params": {"upper": {"suffix": "on"}}} if run["created_by"]["display_value"] == "shout" else {}
        )
        assert run["parameters"] == {"pipeline": "letters", **params}
    assert set(found) == {"cron", "interval", "shout", "rrule"}
    assert {(at.astimezone(BERLIN).hour, at.minute) for at in found["cron"]} == {(3, 0)}
    assert {at.minute % 10 for at in found["interval"]} == {0}
    assert {(at.hour, at.minute) for at in found["shout"]} == {(9, 30)}
    fridays = [at.astimezone(BERLIN) for at in found["rrule"]]
    assert {(at.weekday(), at.hour) for at in fridays} == {(4, 18)}
    assert all(at.day > 21 for at in fridays)


def test_no_path_of_this_machine_is_stored(deployed: Kept) -> None:
    folder = Path(deployed.home.database)
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert any(b"trunkline.deployed.worktree" in text for text in texts)
    assert not any(str(deployed.root.parent).encode() in text for text in texts)


def test_the_list_says_what_is_deployed_and_when_it_runs(deployed: Kept) -> None:
    row = rows(deployed)["letters"]
    kinds = {each["slug"]: (each["next"] is not None, each["active"]) for each in row["schedules"]}
    assert kinds == {**dict.fromkeys(STORED, (True, True)), "cron-2": (False, False)}
    assert row["next"] == min(each["next"] for each in row["schedules"] if each["next"])
    text = deployed.trunkline("deploy", "--list").out
    for words in ("cron 0 3 * * * (Europe/Berlin)", "every 10m", "every 1d with upper.suffix=on", "paused"):
        assert words in text


# ---------------------------------------------------------------- again, and by Prefect itself


def test_deploying_again_changes_nothing(deployed: Kept) -> None:
    before, many = stored(deployed), {run["expected_start_time"] for run in runs(deployed)}
    again = deployed.trunkline("deploy", "--json").data
    assert again["written"] == []
    assert [row["pipeline"] for row in again["deployments"]] == ["letters"]
    assert stored(deployed) == before
    assert len({run["expected_start_time"] for run in runs(deployed)} & many) > len(many) // 2


def test_prefects_own_command_comes_to_the_same(deployed: Kept) -> None:
    before = stored(deployed)
    prefect_deploy(deployed, "--all")
    assert stored(deployed) == before
    prefect_deploy(deployed, "--name", "letters", "--prefect-file", "prefect.yaml")
    assert stored(deployed) == before
    rows(deployed)
    assert runs(deployed)


def test_what_is_changed_in_the_file_is_changed_and_keeps_its_identity(deployed: Kept) -> None:
    before = schedules(deployed)
    changed = SCHEDULES.replace("0 3 * * *", "30 4 * * *").replace("active: false", "active: true")
    write(deployed, changed.replace(', parameters: {upper: {suffix: "on"}}', ""))
    deployed.trunkline("deploy", "letters")
    found = schedules(deployed)
    assert {slug: each["id"] for slug, each in found.items()} == {s: e["id"] for s, e in before.items()}
    assert found["cron"]["schedule"]["cron"] == "30 4 * * *"
    assert found["cron-2"]["active"] is True
    assert found["shout"]["parameters"] == {}


def test_a_schedule_that_is_no_longer_in_the_file_is_deleted(deployed: Kept) -> None:
    """Prefect's own command would leave it where it is; ours is the step that it calls."""
    write(deployed, SCHEDULES)
    deployed.trunkline("deploy")
    kept = schedules(deployed)["interval"]["id"]
    for text, slugs in (("schedules: [{interval: 10m}]\n", ["interval"]), ("", [])):
        write(deployed, text)
        deployed.trunkline("compile")
        prefect_deploy(deployed, "--all")
        found = schedules(deployed)
        assert list(found) == slugs
        assert [each["id"] for each in found.values()] == [kept] * len(slugs)
    assert not runs(deployed), "what they had scheduled went with them"
    assert rows(deployed)["letters"]["next"] is None


# ---------------------------------------------------------------- other pools


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_other_work_pools_take_the_same_deployment(deployed: Kept, kind: str) -> None:
    """Accepted by a real server, with the settings that its own pages give to such a pool; not executed."""
    missing = f"deploy: {{work_pool: {kind}_pool}}\n"
    write(deployed, missing)
    done = deployed.trunkline("deploy", check=False)
    assert (done.code, f"there is no work pool '{kind}_pool'" in done.err) == (3, True)

    views = deployed.api.call("GET", "/collections/views/aggregate-worker-metadata")
    (template,) = [each[kind]["default_base_job_configuration"] for each in views.values() if kind in each]
    pool = {"name": f"{kind}_pool", "type": kind, "base_job_template": template}
    deployed.api.post("/work_pools/", pool)
    write(
        deployed,
        'schedules: [{cron: "0 3 * * *"}]\n'
        f"deploy:\n  work_pool: {kind}_pool\n"
        '  job_variables: {image: "registry.example.org/letters:1", env: {TRUNKLINE_ENGINE: prefect}}\n'
        '  repository: "https://git.example.org/letters.git"\n',
    )
    deployed.trunkline("deploy")
    found = stored(deployed)["letters"]
    assert found["work_pool_name"] == f"{kind}_pool"
    assert found["job_variables"]["image"] == "registry.example.org/letters:1"
    assert found["pull_steps"][0]["trunkline.deployed.worktree"]["repository"].startswith("https://")
    assert list(schedules(deployed)) == ["cron"]


# ---------------------------------------------------------------- several pipelines, several projects


def test_only_the_pipelines_that_are_named_are_deployed(deployed: Kept) -> None:
    deployed.trunkline("deploy", "--delete", "letters")
    write(deployed, SCHEDULES)
    deployed.write("pipelines/other.yaml", OTHER)
    assert deployed.trunkline("deploy", "other").out.count("other ") == 1
    assert list(stored(deployed)) == ["other"]
    assert rows(deployed)["letters"] == {"pipeline": "letters", "deployed": False}
    assert "not deployed: letters" in deployed.trunkline("deploy", "--list").out
    deployed.trunkline("deploy")
    assert sorted(stored(deployed)) == ["letters", "other"]


def test_what_people_wrote_into_prefect_yaml_is_deployed_too(deployed: Kept) -> None:
    deployed.write("pipelines/other.yaml", OTHER)
    deployed.trunkline("compile")
    text = deployed.read("prefect.yaml")
    deployed.write("flows.py", "from prefect import flow\n\n\n@flow\ndef report():\n    pass\n")
    mine = "- name: mine\n  entrypoint: flows.py:report\n  work_pool: {name: trunkline}\n  pull: []\n"
    deployed.write("prefect.yaml", text.replace("deployments:\n", f"deployments:\n{mine}"))
    deployed.trunkline("deploy")
    found = {each["name"] for each in deployed.api.each("/deployments/filter", {})}
    assert found == {"letters", "other", "mine"}
    assert sorted(rows(deployed)) == ["letters", "other"], "only ours are listed"
    deployed.write("prefect.yaml", text)


def test_what_is_left_of_a_pipeline_is_told_and_deleted(deployed: Kept) -> None:
    deployed.write("pipelines/other.yaml", OTHER)
    deployed.trunkline("deploy")
    (deployed.root / "pipelines/other.yaml").unlink()
    words = "other is deployed, and there is no such pipeline any more: `trunkline deploy --delete other`"
    assert words in deployed.trunkline("deploy").out
    assert words in deployed.trunkline("deploy", "--list").out
    assert rows(deployed)["other"]["pipeline_exists"] is False
    done = deployed.trunkline("deploy", "--delete")
    assert done.out == (
        "deleted letters: 5 schedules, and the runs that were to come\n"
        "deleted other: 0 schedules, and the runs that were to come\n"
    )
    assert not stored(deployed)
    assert not runs(deployed)
    assert {each["name"] for each in deployed.api.each("/deployments/filter", {})} == {"mine"}
    assert deployed.trunkline("deploy", "--delete").out == f"nothing is deployed on {deployed.state.pages}\n"
    done = deployed.trunkline("deploy", "--delete", "other", check=False)
    assert (done.code, "'other' is not deployed" in done.err) == (2, True)


@pytest.fixture
def neighbour(deployed: Kept, _letters: Path, prefect_cache: Path, tmp_path: Path) -> Iterator[Kept]:
    """Another project, whose user has set PREFECT_API_URL to the same server."""
    tree = keeping.make(_letters, tmp_path / "neighbour", prefect_cache, PREFECT_API_URL=deployed.api.url)
    with keeping.kept(tree):
        yield tree


def test_on_a_shared_server_other_peoples_deployments_are_left_alone(deployed: Kept, neighbour: Kept) -> None:
    write(deployed, SCHEDULES)
    deployed.trunkline("deploy")
    before = stored(deployed)
    done = neighbour.trunkline("deploy", check=False)
    owner = project_name(str(deployed.root))
    words = f"letters is deployed there already, by another project: {owner}"
    assert (done.code, words in done.err) == (2, True)
    by_prefect = prefect_deploy(neighbour, "--all", check=False)
    assert by_prefect.code
    assert words in " ".join((by_prefect.out + by_prefect.err).split())
    assert stored(deployed) == before

    (neighbour.root / "pipelines/letters.yaml").unlink()
    neighbour.write("pipelines/next_door.yaml", "pipeline: next_door\nstages: {s: {cmd: [echo]}}\n")
    neighbour.trunkline("deploy")
    assert sorted(stored(neighbour)) == ["letters", "next_door"]
    assert "letters" not in neighbour.trunkline("deploy", "--list").out
    assert list(rows(neighbour)) == ["next_door"]
    assert neighbour.trunkline("deploy", "--delete").out.startswith("deleted next_door:")
    assert list(stored(neighbour)) == ["letters"]
    assert not Path(neighbour.home.folder).exists(), "nothing of its own was started"


# ---------------------------------------------------------------- the page


def blocks(language: str) -> list[str]:
    """The blocks of the how-to in a language ("": what commands print)."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


def test_the_how_to_does_what_it_says(deployed: Kept) -> None:
    """Every command but `trunkline up`, whose page has its own test: no run is executed here."""
    deployed.trunkline("deploy", "--delete")
    (deployed.root / "pipelines/letters.yaml").unlink()
    text = PIPELINE.replace("pipeline: letters", "pipeline: flights")
    schedules, deploy = blocks("yaml")
    deployed.write("pipelines/flights.yaml", text + schedules)
    printed = []
    for line in "".join(blocks("sh")).splitlines():
        if line != "trunkline up":
            url = deployed.api.url if line.startswith("prefect ") else ""
            printed.append(deployed.command("sh", "-c", line, PREFECT_API_URL=url).out)
    (shown,) = blocks("")
    assert same(shown) in map(same, printed)
    assert any("Created flow run" in each for each in printed)
    assert deployed.git("log", "-1", "--format=%s").out == "Retrain by itself\n"

    deployed.write("pipelines/flights.yaml", text + schedules + deploy)
    deployed.trunkline("check")


def same(shown: str) -> str:
    """What a command printed, without what is another one each time."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "THEN", shown)
    return re.sub(r"http://127\.0\.0\.1:\d+", "HERE", text)


# ---------------------------------------------------------------- missed runs

POLICIES = {"every": "all", "newest": "latest", "nothing": "none"}
HOURS = 2


def test_missed_runs_are_made_up_for_as_the_pipeline_says(deployed: Kept) -> None:
    """Some hours without a worker, of which Prefect had scheduled the first one beforehand."""
    deployed.trunkline("deploy", "--delete")
    for path in (deployed.root / "pipelines").iterdir():
        path.unlink()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    for name, policy in POLICIES.items():
        anchor = f"{now + timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}"
        text = PIPELINE.partition("  count:")[0].replace("pipeline: letters", f"pipeline: {name}")
        more = f'schedules: [{{interval: 1h, anchor: "{anchor}"}}]\ncatch_up: {policy}\n'
        deployed.write(f"pipelines/{name}.yaml", text + more)
    deployed.trunkline("deploy")
    deployed.commit("Others")
    _pretend_to_have_been_away(deployed, now - timedelta(hours=HOURS))

    said = deployed.up().out
    assert said.splitlines()[3:6] == [
        f"every: {HOURS} of {HOURS} missed runs are made up for (catch_up: all)",
        "newest: a missed run is made up for (catch_up: latest)",
        "nothing: a missed run is not made up for (catch_up: none)",
    ]
    found = keeping.until(lambda: _made_up_for(deployed), 4 * keeping.PATIENCE)
    assert [run["state_name"] for run in found["every"]] == ["Completed", *["Cached"] * (HOURS - 1)]
    due = [datetime.fromisoformat(run["expected_start_time"]) for run in found["every"]]
    assert due == [now + timedelta(minutes=30 - 60 * hours) for hours in range(HOURS, 0, -1)]
    ends = [(run["start_time"], run["end_time"]) for run in found["every"]]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends)), "one after the other"
    assert {name: len(of) for name, of in found.items()} == {"every": HOURS, "newest": 1}

    place = Worktree(str(deployed.root), "every")
    assert place.is_sound()
    with place.hold(print):
        done = deployed.trunkline("deploy", "--delete", check=False)
    assert "a run of every is at work: process" in done.err
    assert len(stored(deployed)) == len(POLICIES)
    deployed.trunkline("deploy", "--delete")
    assert not place.is_made()
    deployed.down()


def _pretend_to_have_been_away(tree: Kept, since: datetime) -> None:
    """The worker was there until then; the deployments are older; Prefect had made the run of the next hour."""
    with sqlite3.connect(Path(tree.home.database) / "prefect.db", timeout=30) as database:
        before = f"{since - timedelta(days=1):%Y-%m-%d %H:%M:%S.%f}"
        database.execute("UPDATE deployment SET created = ? WHERE name != 'mine'", (before,))
    hour = {"start_time": since.isoformat(), "end_time": (since + timedelta(hours=1)).isoformat()}
    for each in stored(tree).values():
        tree.api.post(f"/deployments/{each['id']}/schedule", {**hour, "min_runs": 1, "max_runs": 1})
    state.note_worked(tree.home)
    os.utime(tree.home.wanted(state.WORKED), (since.timestamp(), since.timestamp()))


def _made_up_for(tree: Kept) -> dict[str, list[dict[str, Any]]] | None:
    """The runs that were due until now by pipeline, in the order of their times; once all of them have ended."""
    now = datetime.now(UTC).isoformat()
    query = {"flow_runs": {"expected_start_time": {"before_": now}}, "sort": "EXPECTED_START_TIME_ASC"}
    found: dict[str, list[dict[str, Any]]] = {}
    for run in tree.api.each("/flow_runs/filter", query):
        if run["auto_scheduled"]:
            found.setdefault(run["parameters"]["pipeline"], []).append(run)
    return found if all(run["state_type"] in FINAL for of in found.values() for run in of) else None
