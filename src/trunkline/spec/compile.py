"""Pipelines -> the text of dvc.yaml.

What is not compiled from pipelines is somebody else's, and keeps every byte, comments and order
included. An entry of ours that already says the right thing keeps its text as well. Stages are
written upstream first: that is the order in which DVC runs and locks them.

The result is read back before it is returned: what cannot be edited is an error, never a broken
file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.errors import SpecError
from trunkline.graph import topological
from trunkline.model import DatasetKind, Pipeline, Stage
from trunkline.spec import emit, entries
from trunkline.spec.owned import FILE, SECTIONS, Content, Owned, content, parsed
from trunkline.spec.read import LOCK_LIMIT, MappingNode, Node, read
from trunkline.spec.say import Say
from trunkline.spec.sheet import Edit, Entry, Section, Sheet, UneditableError

_ADVICE = "write it in block style, one entry a line, as `dvc stage add` does"


def compile_dvc(existing: str, pipelines: Sequence[Pipeline], code: Mapping[str, Sequence[str]]) -> str:
    """The new text of dvc.yaml, "" where nothing is left. `code`: stage -> its code files.

    Raises SpecError where a hand-written entry has a name that we need, or where the file is
    written so that it cannot be edited.
    """
    document = parsed(existing)
    owned = Owned(document, pipelines)
    wanted = _wanted(pipelines, code)
    _check_clashes(existing, document, wanted, owned)
    changed = [name for name in SECTIONS if owned.split(document, name)[0] != wanted[name]]
    text = existing
    if changed:
        try:
            text = _edited(Sheet(existing, _nodes(existing)), changed, wanted, owned)
        except UneditableError as error:
            raise _unspliceable(existing, error) from None
        _check_result(existing, document, text, wanted, owned)
    return text if text.strip() not in ("", "---") else ""


def stale(existing: str, stage: Stage, code_files: Sequence[str]) -> list[str]:
    """How dvc.yaml differs from what it should say of a stage, in words. Raises SpecError."""
    found = dict(content(parsed(existing), "stages")).get(stage.dvc_name)
    if not isinstance(found, dict):
        return [f"{FILE} has no stage {stage.dvc_name}"]
    wanted = entries.stage_entry(stage, code_files)
    differences: list[str] = []
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        have, want = found.get(key), wanted.get(key)
        if key in ("deps", "outs") and isinstance(have or [], list) and isinstance(want or [], list):
            differences += _list_differences(key, have or [], want or [])
        elif have != want:
            differences.append(f"{key} is {_shown(have)}, and should be {_shown(want)}")
    return differences


def _list_differences(key: str, have: Sequence[Any], want: Sequence[Any]) -> list[str]:
    gone = [f"{key}: {path} should not be there" for path in have if path not in want]
    return [f"{key}: {path} is missing" for path in want if path not in have] + gone


def _shown(value: Any) -> str:
    return "not there" if value is None else f"'{value}'" if isinstance(value, str) else repr(value)


def _wanted(pipelines: Sequence[Pipeline], code: Mapping[str, Sequence[str]]) -> dict[str, Content]:
    """What is ours in each section, in its order."""
    by_name = sorted(pipelines, key=lambda pipeline: pipeline.name)
    return {
        "stages": [
            (stage.dvc_name, entries.stage_entry(stage, code.get(stage.ref, ())))
            for stage in _upstream_first(by_name)
        ],
        "metrics": [(None, path) for pipeline in by_name for path in entries.metrics(pipeline)],
        "plots": [(None, plot) for pipeline in by_name for plot in entries.plots(pipeline)],
        "params": [(None, pipeline.file) for pipeline in by_name],
        "artifacts": [item for pipeline in by_name for item in entries.artifacts(pipeline).items()],
    }


def _upstream_first(pipelines: Sequence[Pipeline]) -> list[Stage]:
    stages = {stage.ref: stage for pipeline in pipelines for stage in pipeline.stages}
    reads = {
        ref: [leaf.dataset.name for leaf in stage.leaves if leaf.dataset.kind is DatasetKind.STAGE]
        for ref, stage in stages.items()
    }
    return [stages[ref] for ref in topological(tuple(stages), reads)]


# ---------------------------------------------------------------- editing


def _edited(sheet: Sheet, changed: Sequence[str], wanted: Mapping[str, Content], owned: Owned) -> str:
    edits: list[Edit] = []
    appended: list[str] = []
    for name in changed:
        section = sheet.section(name)
        if section is None:
            appended += [" " * sheet.indent + f"{name}:", *_lines(wanted[name], _indent(sheet, name))]
        else:
            ours = [entry for entry in section.entries if owned(name, entry.value)]
            edits += _section_edits(sheet, name, section, ours, wanted[name])
    if appended:
        edits.append(Edit(sheet.end(), sheet.end(), appended))
    return sheet.text(edits)


def _section_edits(
    sheet: Sheet, name: str, section: Section, ours: Sequence[Entry], wanted: Content
) -> list[Edit]:
    """Put what is wanted where the first of ours stands, or last where there is none yet."""
    removals = [Edit(entry.start, entry.end) for entry in ours]
    if not wanted and len(ours) == len(section.entries):
        return [Edit(section.key_line, section.key_line + 1), *removals]
    if not section.entries:
        lines = [sheet.without_value(section), *_lines(wanted, _indent(sheet, name))]
        return [Edit(section.key_line, section.key_line + 1, lines)]
    kept = {(entry.key, repr(entry.value)): sheet.lines[entry.start : entry.end] for entry in ours}
    lines = []
    for key, value in wanted:
        lines += kept.get((key, repr(value))) or _lines([(key, value)], section.indent)
    if ours:
        return [removals[0]._replace(lines=lines), *removals[1:]]
    end = section.entries[-1].end
    return [Edit(end, end, lines)]


def _indent(sheet: Sheet, name: str) -> int:
    """The column of a new section's entries: a list stands under its key, as DVC writes it."""
    return sheet.indent + (2 if SECTIONS[name] else 0)


def _lines(wanted: Content, indent: int) -> list[str]:
    lines: list[str] = []
    for key, value in wanted:
        lines += emit.item(value, indent) if key is None else emit.entry(key, value, indent)
    return lines


# ---------------------------------------------------------------- what cannot be


def _nodes(existing: str) -> Node:
    return read(existing, FILE, limit=LOCK_LIMIT, portable=False)


def _check_clashes(
    existing: str, document: Mapping[str, Any], wanted: Mapping[str, Content], owned: Owned
) -> None:
    say = Say(FILE, existing)
    for section, what in (("stages", "stage"), ("artifacts", "model")):
        _, others = owned.split(document, section)
        for name in sorted({str(name) for name, _ in others} & {str(name) for name, _ in wanted[section]}):
            message = f"the {what} '{name}' is written by hand here, and compiled from a pipeline too"
            root = _nodes(existing)
            say.at(_key(_child(root, section), name) or root, message, "rename one of them")
    if say.problems:
        raise SpecError(say.problems)


def _child(node: Node | None, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((child for key, child in pairs if key.value == name), None)


def _key(node: Node | None, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((key for key, _ in pairs if key.value == name), None)


def _check_result(
    existing: str, document: Mapping[str, Any], text: str, wanted: Mapping[str, Content], owned: Owned
) -> None:
    """Raise SpecError unless the new text says what is wanted, and otherwise what it said."""
    try:
        result = parsed(text)
    except SpecError:
        result = {}
    rest = [{key: doc[key] for key in doc if key not in SECTIONS} for doc in (document, result)]
    sections = all(
        owned.split(result, name) == (wanted[name], owned.split(document, name)[1]) for name in SECTIONS
    )
    if rest[0] != rest[1] or not sections:
        raise _unspliceable(existing, UneditableError(None, "its anchors or its layout do not allow it"))


def _unspliceable(existing: str, error: UneditableError) -> SpecError:
    message = f"{FILE} cannot be edited without changing what is yours: {error.message}"
    say = Say(FILE, existing)
    if error.node is None:
        say.file_wide(message, _ADVICE)
    else:
        say.at(error.node, message, _ADVICE)
    return SpecError(say.problems)
