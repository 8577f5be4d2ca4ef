"""Puts compiled entries into a YAML file of which other entries are somebody else's.

    spliced(text, layout, wanted, owned)      the text in which ours are what is wanted

What is not ours keeps every byte, comments and order included. An entry of ours that already says
the right thing keeps its text as well. The result is read back before it is returned: what cannot
be edited is an error, never a broken file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from trunkline.errors import Problem, SpecError
from trunkline.spec import emit
from trunkline.spec.read import LOCK_LIMIT, MappingNode, Node, load, read
from trunkline.spec.say import Say
from trunkline.spec.sheet import Edit, Entry, Section, Sheet, UneditableError

# What a section holds: pairs of key (None in a list) and plain value.
Content = list[tuple[str | None, Any]]

# Whether an entry of a section is ours: (section, value) -> bool.
Owns = Callable[[str, Any], bool]


class Layout(NamedTuple):
    """A file and the sections of it that we write to, in the order in which they are made.

    A section is True where it is a mapping, False where it is a list. `tool` documents the file,
    `advice` says how to write it so that it can be edited.
    """

    file: str
    sections: Mapping[str, bool]
    tool: str
    advice: str


def parsed(text: str, layout: Layout) -> dict[str, Any]:
    """The plain value of a file; `{}` where it is empty. Raises SpecError."""
    file = layout.file
    found = load(text, file)
    if not isinstance(found, dict):
        advice = f"write it as {layout.tool}'s documentation has it, or move it away"
        raise SpecError([Problem(file, 0, 0, f"{file} is not a mapping", advice)])
    for section, mapping in layout.sections.items():
        if found.get(section) and not isinstance(found[section], dict if mapping else list):
            what = "a mapping" if mapping else "a list"
            raise SpecError([Problem(file, 0, 0, f"'{section}' in {file} is not {what}", "correct it")])
    return found


def content(document: Mapping[str, Any], section: str) -> Content:
    """What a section holds."""
    found = document.get(section)
    if not found:
        return []
    return list(found.items()) if isinstance(found, dict) else [(None, each) for each in found]


def split(document: Mapping[str, Any], section: str, owned: Owns) -> tuple[Content, Content]:
    """(ours, other people's) of a section."""
    found = content(document, section)
    ours = [pair for pair in found if owned(section, pair[1])]
    return ours, [pair for pair in found if not owned(section, pair[1])]


def spliced(existing: str, layout: Layout, wanted: Mapping[str, Content], owned: Owns) -> str:
    """The new text of a file, "" where nothing is left. Raises SpecError where it cannot be edited."""
    document = parsed(existing, layout)
    changed = [name for name in layout.sections if not _same(split(document, name, owned)[0], wanted[name])]
    text = existing
    if changed:
        try:
            text = _edited(Sheet(existing, nodes(existing, layout)), layout, changed, wanted, owned)
        except UneditableError as error:
            raise _unspliceable(existing, layout, error) from None
        _check_result(existing, layout, text, wanted, owned)
    return text if text.strip() not in ("", "---") else ""


def _same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal and of one type, all the way down: 1, 1.0 and true are three."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other or (one != one and other != other))


def nodes(existing: str, layout: Layout) -> Node:
    """The root node of a file."""
    return read(existing, layout.file, limit=LOCK_LIMIT, portable=False)


def child_of(node: Node | None, name: str) -> Node | None:
    """The value of a key of a mapping."""
    found = node.value if isinstance(node, MappingNode) else []
    return next((value for key, value in found if key.value == name), None)


def key_of(node: Node | None, name: str) -> Node | None:
    """A key of a mapping."""
    found = node.value if isinstance(node, MappingNode) else []
    return next((key for key, _ in found if key.value == name), None)


# ---------------------------------------------------------------- editing


def _edited(
    sheet: Sheet, layout: Layout, changed: Sequence[str], wanted: Mapping[str, Content], owned: Owns
) -> str:
    edits: list[Edit] = []
    appended: list[str] = []
    for name in changed:
        section = sheet.section(name)
        if section is None:
            appended += [" " * sheet.indent + f"{name}:", *_lines(wanted[name], _indent(sheet, layout, name))]
        else:
            ours = [entry for entry in section.entries if owned(name, entry.value)]
            edits += _section_edits(sheet, section, ours, wanted[name], _indent(sheet, layout, name))
    if appended:
        edits.append(Edit(sheet.end(), sheet.end(), appended))
    return sheet.text(edits)


def _section_edits(
    sheet: Sheet, section: Section, ours: Sequence[Entry], wanted: Content, indent: int
) -> list[Edit]:
    """Put what is wanted where the first of ours stands, or last where there is none yet."""
    removals = [Edit(entry.start, entry.end) for entry in ours]
    if not wanted and len(ours) == len(section.entries):
        return [Edit(section.key_line, section.key_line + 1), *removals]
    if not section.entries:
        lines = [sheet.without_value(section), *_lines(wanted, indent)]
        return [Edit(section.key_line, section.key_line + 1, lines)]
    kept = {(entry.key, repr(entry.value)): sheet.lines[entry.start : entry.end] for entry in ours}
    lines = []
    for key, value in wanted:
        lines += kept.get((key, repr(value))) or _lines([(key, value)], section.indent)
    if ours:
        return [removals[0]._replace(lines=lines), *removals[1:]]
    end = section.entries[-1].end
    return [Edit(end, end, lines)]


def _indent(sheet: Sheet, layout: Layout, name: str) -> int:
    """The column of a new section's entries: a list stands under its key, as DVC writes it."""
    return sheet.indent + (2 if layout.sections[name] else 0)


def _lines(wanted: Content, indent: int) -> list[str]:
    lines: list[str] = []
    for key, value in wanted:
        lines += emit.item(value, indent) if key is None else emit.entry(key, value, indent)
    return lines


# ---------------------------------------------------------------- what cannot be


def _check_result(
    existing: str, layout: Layout, text: str, wanted: Mapping[str, Content], owned: Owns
) -> None:
    """Raise SpecError unless the new text says what is wanted, and otherwise what it said."""
    document = parsed(existing, layout)
    try:
        result = parsed(text, layout)
    except SpecError:
        result = {}
    rest = [{key: doc[key] for key in doc if key not in layout.sections} for doc in (document, result)]
    sections = all(
        _same(split(result, name, owned), (wanted[name], split(document, name, owned)[1]))
        for name in layout.sections
    )
    if not _same(*rest) or not sections:
        message = "its anchors or its layout do not allow it"
        raise _unspliceable(existing, layout, UneditableError(None, message))


def _unspliceable(existing: str, layout: Layout, error: UneditableError) -> SpecError:
    message = f"{layout.file} cannot be edited without changing what is yours: {error.message}"
    say = Say(layout.file, existing)
    if error.node is None:
        say.file_wide(message, layout.advice)
    else:
        say.at(error.node, message, layout.advice)
    return SpecError(say.problems)
