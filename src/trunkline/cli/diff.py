"""`trunkline diff`: what differs between two versions of a dataset, or between two runs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from trunkline import listing
from trunkline.cli.output import Answer, table
from trunkline.errors import TrunklineError, UsageError
from trunkline.project import Project

if TYPE_CHECKING:
    from trunkline.artifacts import Named
    from trunkline.differences import Side
    from trunkline.ledger.records import RunRecord
    from trunkline.model import File
    from trunkline.reading.diff import DatasetDiff, FileDiff

_RUN = re.compile(r"latest|[0-9a-f]{6,8}(-[0-9a-f-]*)?")
_SHOWN = 20  # files and packages in a list for people


def arguments_diff(parser: argparse.ArgumentParser) -> None:
    """The arguments of `diff`."""
    parser.add_argument("a", help="DATASET@REV, DATASET@RUN, a file or directory of one; or a run")
    parser.add_argument(
        "b",
        nargs="?",
        default="",
        help="the same; without it, the dataset as it is now; for a run, another run",
    )
    parser.add_argument(
        "--key", default="", metavar="COLUMN[,…]", help="the columns that say which row is which (datasets)"
    )
    parser.add_argument("--files", action="store_true", help="compare files only, open none (datasets)")
    parser.add_argument("--patch", action="store_true", help="show the code's changes as git does (runs)")


def command_diff(args: argparse.Namespace) -> Answer:
    """Find both sides, compare, render."""
    with Project.find() as project:
        one = _run(project, args.a)
        if one is None:
            return _datasets(project, args)
        if not args.b:
            raise UsageError("a run is compared with another run", hint=f"type `trunkline diff {args.a} RUN`")
        return _runs(project, one, project.runs.load(args.b), args.patch)


def _run(project: Project, given: str) -> RunRecord | None:
    """The run that is called so; None where it is something else."""
    if _RUN.fullmatch(given) and given not in project.store.sources():
        with suppress(UsageError):
            return project.runs.load(given)
    return None


# ---------------------------------------------------------------- datasets


def _datasets(project: Project, args: argparse.Namespace) -> Answer:
    from trunkline.reading.diff import diff

    name = args.a.rpartition("@")[0] or args.a
    first = args.a if args.b or "@" in args.a else f"{args.a}@HEAD"
    sides = [project.reachable.find(each) for each in (first, args.b or name)]
    key = [each.strip() for each in args.key.split(",") if each.strip()]
    old, new = (_files(project, side) for side in sides)
    found = diff(old, new, project.objects, key=key, look=not args.files)
    return Answer(_dataset_data(sides, found), lambda: _dataset_text(sides, found, not args.files))


def _files(project: Project, named: Named) -> dict[str, str]:
    """The files that were named, by their names in it."""
    if not named.md5.endswith(".dir"):
        return {named.path.rpartition("/")[2]: named.md5}
    skip = len(named.inside) + 1 if named.inside else 0
    files = listing.below(project.objects.listing(named.oid), named.inside)
    return {file.path[skip:]: file.md5 for file in files}


def _dataset_data(sides: Sequence[Named], found: DatasetDiff) -> dict[str, Any]:
    return {
        "a": {"name": sides[0].given, "path": sides[0].path, "version": sides[0].md5},
        "b": {"name": sides[1].given, "path": sides[1].path, "version": sides[1].md5},
        "files": [
            {
                "path": file.path,
                "change": file.change,
                "was": file.was or None,
                "now": file.now or None,
                "rows": None if file.rows is None else file.rows._asdict(),
                "note": file.note,
            }
            for file in found.files
        ],
        "same": found.same,
        "rows": None if found.rows is None else found.rows._asdict(),
        "key": list(found.key),
        "columns": [
            {"name": column.name, "was": column.was or None, "now": column.now or None, "files": files}
            for column, files in found.columns.items()
        ],
    }


def _dataset_text(sides: Sequence[Named], found: DatasetDiff, looked: bool) -> str:
    one, two = sides
    head = f"{one.given} {one.md5[:8]} -> {two.given} {two.md5[:8]}"
    if not found.files:
        return f"{head}: the same, {_count(found.same, 'file')}"
    counts = [
        (change, sum(file.change == change for file in found.files))
        for change in ("added", "removed", "changed")
    ]
    lines = [
        head,
        "files: " + ", ".join(f"{n} {change}" for change, n in counts if n) + f", {found.same} the same",
    ]
    if found.rows is not None:
        by = (
            f"by {', '.join(found.key)}"
            if found.key
            else "as a whole: with --key a changed row is told as such"
        )
        lines.append(f"rows: {_rows(found.rows._asdict())} ({by})")
    for column, files in found.columns.items():
        lines.append(f"column {column.name}: {_change(column.was, column.now)}, in {_count(files, 'file')}")
    lines.append(table(("", "file", "rows"), [_file_row(file, looked) for file in found.files[:_SHOWN]]))
    if len(found.files) > _SHOWN:
        lines.append(f"… and {len(found.files) - _SHOWN} more: --json has them all")
    return "\n".join(lines)


def _file_row(file: FileDiff, looked: bool) -> tuple[str, str, str]:
    said = _rows(file.rows._asdict()) if file.rows is not None else file.note if looked else ""
    return file.change, file.path, said


def _rows(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {change}" for change, count in rows.items() if count) or "the same"


# ---------------------------------------------------------------- runs


def _runs(project: Project, one: RunRecord, two: RunRecord, patch: bool) -> Answer:
    from trunkline.differences import Reads, between
    from trunkline.store import gitdiff

    def code(old: str, new: str) -> list[dict[str, Any]] | None:
        if not all(gitdiff.has(project.root, each) for each in (old, new)):
            return None
        return [each._asdict() for each in gitdiff.edited(project.root, old, new)]

    sides = [_side(project, run) for run in (one, two)]
    reads = Reads(lambda oid: _listing(project, oid), lambda md5: _bytes(project, md5), code)
    data = between(sides[0], sides[1], reads)
    if patch and data["code"]["basis"] != "unknown":
        data["code"]["patch"] = gitdiff.patch(project.root, sides[0].code, sides[1].code)
    return Answer(data, lambda: _runs_text(data))


def _side(project: Project, run: RunRecord) -> Side:
    from trunkline.differences import Side
    from trunkline.store import gitdiff, snapshots

    commit = snapshots.commit_of(project.root, run.id) or run.git.commit
    locked: Mapping[str, Any] = {}
    with suppress(TrunklineError):  # a commit that is not here: a shallow clone, a branch that is gone
        locked = project.artifacts.at_commit(commit).entries if commit else {}
    own = {ref.replace(".", "-", 1): stage.entry for ref, stage in run.stages.items() if stage.entry}
    tree = str(run.code.get("tree") or "")
    return Side(run, {**locked, **own}, tree if tree and gitdiff.has(project.root, tree) else "")


def _listing(project: Project, oid: str) -> Sequence[File] | None:
    with suppress(TrunklineError):
        return project.objects.listing(oid)
    return None


def _bytes(project: Project, md5: str) -> bytes | None:
    with suppress(TrunklineError, OSError), open(project.objects.path(md5), "rb") as stream:
        return stream.read()
    return None


def _runs_text(data: Mapping[str, Any]) -> str:
    one, two = data["runs"]
    lines = [
        f"{each['id']}  {each['started'][:16].replace('T', ' ')}  {each['state']}" for each in (one, two)
    ]
    parts = {
        "data": [*_data_lines(data["data"])],
        "code": [*_code_lines(data["code"])],
        "params": [
            f"{each['stage']}  {each['name']}: {_change(each['was'], each['now'])}" for each in data["params"]
        ],
        "environment": [
            f"{each['name']}: {_change(each['was'], each['now'])}" for each in data["environment"]
        ],
        "metrics": [
            f"{each['stage']}  {each['name']}: {_change(each['was'], each['now'])}{_by(each['difference'])}"
            for each in data["metrics"]
        ],
    }
    for title, some in parts.items():
        lines.append(title if some else f"{title}: the same")
        lines += [f"  {line}" for line in some[:_SHOWN]]
        if len(some) > _SHOWN:
            lines.append(f"  … and {len(some) - _SHOWN} more: --json has them all")
    return "\n".join(lines) + ("\n\n" + data["code"]["patch"].rstrip() if data["code"].get("patch") else "")


def _data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    for each in [*data["sources"], *data["outputs"]]:
        was, now = ((each[side] or "")[:8] for side in ("was", "now"))
        files = each["files"]
        said = "its files are not at hand" if files is None else _rows(files)
        yield f"{each.get('path') or each['stage']}  {_change(was, now)}  {said}"


def _code_lines(code: Mapping[str, Any]) -> Iterator[str]:
    for each in code["files"]:
        added, removed = each["added"], each["removed"]
        yield f"{each['path']}  " + ("binary" if added is None else f"+{added} -{removed}")
    known = {each["path"] for each in code["files"]}
    for each in code["read"]:
        if each["path"] not in known:
            yield f"{each['path']}  {_change((each['was'] or '')[:8], (each['now'] or '')[:8])} (not recorded in git)"
    if code["basis"] == "unknown":
        yield "git has not got the code of both runs here"
    for each in code["not_recorded"]:
        some = ", ".join(each["files"][:3]) + (" …" if len(each["files"]) > 3 else "")
        yield f"run {each['run'][:8]} had uncommitted edits that are not recorded: {some}"


def _change(was: object, now: object) -> str:
    """`1 -> 2`, `new: 2`, `gone, was 1`."""
    if was in (None, ""):
        return f"new: {now}"
    return f"gone, was {was}" if now in (None, "") else f"{was} -> {now}"


def _by(difference: float | None) -> str:
    return "" if difference is None else f" ({difference:+.6g})"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
