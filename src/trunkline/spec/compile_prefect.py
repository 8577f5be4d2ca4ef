"""Pipelines -> the text of prefect.yaml: one deployment each, under the name of the pipeline.

    name: flights-1a2b3c4d  # of the project, where a server is shared
    deployments:
    - name: flights
      entrypoint: trunkline.deployed.retrain
      parameters:
        pipeline: flights
      work_pool:
        name: trunkline
        work_queue_name: flights-1a2b3c4d
      concurrency_limit:
        limit: 1
        collision_strategy: ENQUEUE
      schedules:
      - cron: 0 3 * * *
        timezone: UTC
        slug: cron
        active: true
      build: []
      push:
      - trunkline.flows.deployments.prune: {pipeline: flights, project: flights-1a2b3c4d, schedules: [cron]}
      pull:
      - trunkline.deployed.worktree: {pipeline: flights, branch: main}

(and `description`, `tags`, the values of `push` and `pull` on lines of their own.)

The file's `name` is Prefect's own word for the project. It is written once and then kept, so every clone has
it; people may change it. On a server that several projects use it tells them apart: as a tag, as the queue
from which the project's worker takes its runs, and `prune` refuses a deployment of another project.

What others wrote into the file keeps every byte, as in dvc.yaml. A deployment is ours by its entrypoint
and by being called like the pipeline that it runs.

No path of this machine is in it. With a pull step of our own Prefect stores none either; without one it
would store where the project lies. `build` and `push` are those of no other deployment: `push` is where
`prefect deploy` calls us, before it changes anything, to delete the schedules that are in the file no
longer (it adds and changes schedules that have slugs, and deletes none). Intervals have their anchor,
which otherwise is the moment of deploying, another one each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trunkline.errors import Problem, SpecError
from trunkline.model import Cron, Interval, Pipeline, RRule, Schedule
from trunkline.spec import emit
from trunkline.spec.read import MappingNode, SequenceNode
from trunkline.spec.say import Say
from trunkline.spec.splice import Content, Layout, child_of, content, nodes, parsed, spliced

ENTRYPOINT = "trunkline.deployed.retrain"
WORKTREE = "trunkline.deployed.worktree"
PRUNE = "trunkline.flows.deployments.prune"
POOL = "trunkline"  # the work pool of `trunkline up`

_LAYOUT = Layout(
    "prefect.yaml",
    {"deployments": False},
    "Prefect",
    "write it in block style, one entry a line, as `prefect init` does",
)
_SECTION = "deployments"
_NAMED = "  # of the project, where a server is shared\n"


def compile_prefect(
    existing: str, pipelines: Sequence[Pipeline], new_name: Callable[[], str], *, always: bool = False
) -> str:
    """The new text of prefect.yaml, "" where there is to be none. `new_name` is asked where it has no name.

    A project without schedules and without the file gets none, unless `always`. Raises SpecError where
    a hand-written deployment has the name of a pipeline, or where the file cannot be edited.
    """
    if not existing.strip() and not always and not any(pipeline.schedules for pipeline in pipelines):
        return existing
    by_name = sorted(pipelines, key=lambda pipeline: pipeline.name)
    _check_clashes(existing, {pipeline.name for pipeline in pipelines})
    found = _name(parsed(existing, _LAYOUT))
    name = found or new_name()
    wanted: Content = [(None, deployment(pipeline, name)) for pipeline in by_name]
    text = spliced(existing, _LAYOUT, {_SECTION: wanted}, _owned)
    if not wanted:
        return _unnamed(text)
    return text if found else _named(text, name)


def project_name(text: str) -> str:
    """The project's name in the text of a prefect.yaml, "" where it has none, or cannot be read."""
    try:
        return _name(parsed(text, _LAYOUT))
    except SpecError:
        return ""


def _name(document: Mapping[str, Any]) -> str:
    found = document.get("name")
    return found if isinstance(found, str) else ""


def _named(text: str, name: str) -> str:
    """The text with a name before its first key. Raises SpecError."""
    lines = text.splitlines(keepends=True)
    skipped = ("#", "%", "---")
    at = next(number for number, line in enumerate(lines) if line.strip() and not line.startswith(skipped))
    new = "".join([*lines[:at], *(f"{line}{_NAMED}" for line in emit.entry("name", name, 0)), *lines[at:]])
    if project_name(new) != name:
        advice = "write `name:` and a name for the project at the top of it"
        raise SpecError([Problem(_LAYOUT.file, 0, 0, f"{_LAYOUT.file} has no name", advice)])
    return new


def _unnamed(text: str) -> str:
    """The text without the name that `_named` has written."""
    lines = text.splitlines(keepends=True)
    new = "".join(line for line in lines if not (line.startswith("name:") and line.endswith(_NAMED)))
    return new if new.strip() not in ("", "---") else ""


def deployment(pipeline: Pipeline, project: str) -> dict[str, Any]:
    """A pipeline's deployment as Prefect will read it from prefect.yaml."""
    place, name = pipeline.deploy, pipeline.name
    # Prefect would put something else where it finds one of its templates
    description = "" if "{{" in pipeline.description else pipeline.description
    pull = {"pipeline": name, "branch": pipeline.branch}
    slugs = [each.slug for each in pipeline.schedules]
    pool: dict[str, Any] = {"name": place.work_pool}
    if place.work_pool == POOL:  # workers of other pools are other people's, and take from every queue
        pool["work_queue_name"] = project
    if place.job_variables:
        pool["job_variables"] = dict(place.job_variables)
    return {
        "name": name,
        **({"description": description} if description else {}),
        "entrypoint": ENTRYPOINT,
        "parameters": {"pipeline": name},
        "tags": ["trunkline", f"pipeline:{name}", f"project:{project}"],
        "work_pool": pool,
        "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
        "schedules": [_schedule(schedule) for schedule in pipeline.schedules],
        "build": [],
        "push": [{PRUNE: {"pipeline": name, "project": project, "schedules": slugs}}],
        "pull": [{WORKTREE: {**pull, **({"repository": place.repository} if place.repository else {})}}],
    }


def _schedule(schedule: Schedule) -> dict[str, Any]:
    parameters = {stage: dict(values) for stage, values in schedule.parameters.items()}
    return {
        **_when(schedule.when),
        "timezone": schedule.timezone,
        "slug": schedule.slug,
        "active": schedule.active,
        **({"parameters": {"params": parameters}} if parameters else {}),
    }


def _when(when: Cron | Interval | RRule) -> dict[str, Any]:
    match when:
        case Cron(expression):
            return {"cron": expression}
        case Interval(seconds, anchor):
            return {"interval": seconds, "anchor_date": anchor}
        case RRule(rule):
            return {"rrule": rule}


def _owned(section: str, value: Any) -> bool:
    """Whether a deployment is ours."""
    if not isinstance(value, dict) or value.get("entrypoint") != ENTRYPOINT:
        return False
    parameters = value.get("parameters")
    name = parameters.get("pipeline") if isinstance(parameters, dict) else None
    return isinstance(name, str) and value.get("name") == name


def _check_clashes(existing: str, names: set[str]) -> None:
    found: Mapping[str, Any] = parsed(existing, _LAYOUT)
    say = Say(_LAYOUT.file, existing)
    for index, (_, value) in enumerate(content(found, _SECTION)):
        if isinstance(value, dict) and value.get("name") in names and not _owned(_SECTION, value):
            entry = child_of(nodes(existing, _LAYOUT), _SECTION)
            assert isinstance(entry, SequenceNode)
            written = entry.value[index]
            place = child_of(written, "name") if isinstance(written, MappingNode) else None
            message = (
                f"the deployment '{value['name']}' is written by hand here, and compiled from a pipeline too"
            )
            say.at(place or written, message, "rename one of them")
    if say.problems:
        raise SpecError(say.problems)
