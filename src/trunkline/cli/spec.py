"""`trunkline check` and `compile`."""

from __future__ import annotations

import argparse

from trunkline.cli.output import Answer
from trunkline.project import Project


def arguments_check(_parser: argparse.ArgumentParser) -> None:
    """`check` takes no arguments."""


def arguments_compile(parser: argparse.ArgumentParser) -> None:
    """The arguments of `compile`."""
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where something is stale")


def command_check(_args: argparse.Namespace) -> Answer:
    """Check every pipeline file."""
    project = Project.find()
    data = [
        {
            "pipeline": pipeline.name,
            "file": pipeline.file,
            "stages": [stage.name for stage in pipeline.stages],
        }
        for pipeline in project.pipelines
    ]
    lines = [f"{item['file']}: {len(item['stages'])} stages, no problems" for item in data]
    return Answer(data, lambda: "\n".join(lines) or "there is no pipeline in pipelines/ yet")


def command_compile(args: argparse.Namespace) -> Answer:
    """Write, or check, what is compiled from the pipeline files."""
    project = Project.find()
    if args.check:
        project.check_compiled()
        return Answer({"stale": []}, lambda: "up to date")
    written = project.compile()
    return Answer(
        {"written": written}, lambda: "\n".join(f"wrote {path}" for path in written) or "up to date"
    )
