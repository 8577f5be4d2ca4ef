"""Judges what stages did: what they had promised to write, and by which error a run as a whole failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trunkline.errors import StageFailed, TrunklineError
from trunkline.model import Stage, StageReport


def check_declared(stage: Stage, paths: set[str]) -> None:
    """Whatever the stage declares as model, metric or plot must have been written. Raises StageFailed."""
    declared = {"metrics": stage.metrics, "plots": tuple(plot.path for plot in stage.plots)}
    if stage.model is not None:
        declared["model"] = (stage.model.path,)
    for kind, files in declared.items():
        for path in files:
            if path not in paths:
                raise StageFailed(
                    f"stage {stage.ref} declares {path} under `{kind}`, and no datum wrote it",
                    where=stage.pipeline_file,
                    hint=f"return it from {stage.run} under the key {path!r}, or take it out of `{kind}`",
                )


def out_of_time(stage: Stage, done: int, left: int) -> StageFailed:
    """The error of a stage whose datums took longer than its `job_timeout`."""
    limit = stage.declaration.get("job_timeout", f"{stage.job_timeout:g} s")
    kept = f"{_count(done)} of it {'is' if done == 1 else 'are'} done and kept, " if done else ""
    return StageFailed(
        f"stage {stage.ref} took longer than its job_timeout of {limit}: {kept}"
        f"{left} {'was' if left == 1 else 'were'} not done by then",
        where=stage.pipeline_file,
        hint="allow it more time, or run it again: what is done is reused",
    )


def verdict(reports: Sequence[StageReport], errors: Mapping[str, TrunklineError]) -> TrunklineError | None:
    """The error of a run with these reports; None where nothing failed.

    Where stages met errors of one kind and no datum failed, that is the first such error itself, with
    its code and its hint. Otherwise it is a summary; each stage's own error is in its report.
    """
    failed = [report for report in reports if report.state == "failed"]
    if not failed:
        return None
    met = [errors[report.stage] for report in failed if report.stage in errors]
    if len(met) == len(failed) and len({type(error) for error in met}) == 1:
        return met[0]
    hints = [f"{stage}: {error.hint}" for stage, error in errors.items() if error.hint]
    names = ", ".join(report.stage for report in failed)
    return StageFailed(_summary(names, failed, reports), where=names, hint="\n".join(hints))


def _summary(names: str, failed: Sequence[StageReport], reports: Sequence[StageReport]) -> str:
    datums = sum(len(report.failures) for report in failed)
    kept = sum(report.run for report in failed)
    skipped = [report.stage for report in reports if report.state == "skipped"]
    parts = [f"{names}: {_count(datums)} failed"]
    parts += [f"{report.stage}: {report.error}" for report in failed if report.error]
    if kept:
        parts.append(
            f"{_count(kept)} beside {'it' if datums == 1 else 'them'} succeeded and {'is' if kept == 1 else 'are'} kept"
        )
    if skipped:
        parts.append(f"not run: {', '.join(skipped)}")
    return "; ".join(parts)


def _count(datums: int) -> str:
    return f"{datums} datum{'s' if datums != 1 else ''}"
