"""Globs as trees: strategies that make them, their text, and what they mean.

The meaning is written another way than in `trunkline.plan`: as the set of places where a match
that begins at some place may end, node by node, without preference and without backtracking.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, pairwise

from hypothesis import strategies as st

from trunkline.globs.machine import Group, Node, OneOf, Text, Wild

LETTERS = "ab."
SETS = {"[ab]": "ab", "[!a]": "b.*(\\-", "[a-b.]": "ab.", r"[\-(*]": "-(*"}
_SPECIAL = "\\*?[]{}()!+@|,"

Sequence_ = tuple[Node, ...]


def texts() -> st.SearchStrategy[Text]:
    return st.text(LETTERS + "*(\\", min_size=1, max_size=2).map(Text)


def nodes(slash: bool) -> st.SearchStrategy[Node]:
    """One node, groups without numbers; `slash` allows "/" inside groups."""
    simple: st.SearchStrategy[Node] = st.one_of(
        texts(), st.sampled_from([Wild("*"), Wild("**"), Wild("?")]), st.sampled_from(sorted(SETS)).map(OneOf)
    )
    inner: st.SearchStrategy[Node] = st.one_of(simple, st.just(Text("/"))) if slash else simple

    def grouped(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        options = st.lists(st.lists(children, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)
        captured = st.builds(Group, options, st.sampled_from(["", "?", "*", "+", "!"]), st.just(0))
        return st.one_of(captured, st.builds(Group, options, st.just(""), st.none()))

    return st.one_of(simple, grouped(st.recursive(inner, grouped, max_leaves=4)))


def globs() -> st.SearchStrategy[tuple[Sequence_, ...]]:
    """Components of a glob, groups numbered as they open; never "." or ".."."""
    part = st.lists(nodes(slash=True), min_size=1, max_size=4).map(tuple)
    return st.lists(part, min_size=1, max_size=3).map(_numbered).filter(_allowed)


def paths() -> st.SearchStrategy[str]:
    name = st.text(LETTERS + "*(-", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
    return st.lists(name, min_size=1, max_size=3).map("/".join)


def render(glob: Sequence[Sequence_]) -> str:
    """The glob's text."""
    return "".join("/" + _text(part) for part in glob)


def means(glob: Sequence[Sequence_], path: str) -> bool:
    """Whether `path` matches."""
    flat = [node for part in glob for node in (Text("/"), *part)]
    return len(path) + 1 in _ends(flat, "/" + path, {0})


def _text(part: Sequence[Node]) -> str:
    found = []
    for node in part:
        match node:
            case Text(text):
                found.append("".join("\\" + char if char in _SPECIAL else char for char in text))
            case Wild(kind):
                found.append(kind)
            case OneOf(name):
                found.append(name)
            case Group(options, _, None):
                found.append("{" + ",".join(map(_text, options)) + "}")
            case Group(options, repeat, _):
                found.append((repeat or "@") + "(" + "|".join(map(_text, options)) + ")")
    return "".join(found)


def _ends(part: Sequence[Node], text: str, starts: set[int]) -> set[int]:
    for node in part:
        starts = set().union(*(_node_ends(node, text, start) for start in starts))
    return starts


def _node_ends(node: Node, text: str, start: int) -> set[int]:
    char = text[start : start + 1]
    stretch = len(text[start:].split("/")[0])
    match node:
        case Text(expected):
            return {start + len(expected)} if text[start:].startswith(expected) else set()
        case Wild("?"):
            return {start + 1} if char not in ("", "/") else set()
        case Wild("*"):
            return {start + n for n in range(stretch + 1)}
        case Wild():
            return set(range(start, len(text) + 1))
        case OneOf(name):
            return {start + 1} if char and char in SETS[name] else set()
        case Group(options, "!", _):
            refused = set().union(*(_ends(option, text, {start}) for option in options))
            return {start + n for n in range(stretch + 1)} - refused
        case Group(options, repeat, _):
            return _repeated(options, repeat, text, start)


def _repeated(options: Sequence[Sequence_], repeat: str, text: str, start: int) -> set[int]:
    once = set().union(*(_ends(option, text, {start}) for option in options))
    if repeat in ("", "?"):
        return once | ({start} if repeat else set())
    reached, new = set(once), set(once)
    while new:
        new = set().union(*(_ends(option, text, new) for option in options)) - reached
        reached |= new
    return reached | ({start} if repeat == "*" else set())


def _numbered(parts: Sequence[Sequence_]) -> tuple[Sequence_, ...]:
    numbers = count(1)

    def number(part: Sequence[Node]) -> Sequence_:
        return tuple(renumber(node) if isinstance(node, Group) else node for node in part)

    def renumber(group: Group) -> Group:
        own = None if group.number is None else next(numbers)
        return Group(tuple(map(number, group.options)), group.repeat, own)

    return tuple(map(number, parts))


def _allowed(parts: Sequence[Sequence_]) -> bool:
    """Neither "." nor ".." as a component, and no two nodes that read as another when side by side."""
    return all(_text(part) not in (".", "..") and not _ambiguous(part) for part in parts)


def _ambiguous(part: Sequence[Node]) -> bool:
    """`*` before `*` is `**`, `?` before `(` a group; groups here always show their sign."""
    stars = any(isinstance(a, Wild) and a.kind == "*" and _text([b])[:1] == "*" for a, b in pairwise(part))
    inner = [option for node in part if isinstance(node, Group) for option in node.options]
    return stars or any(map(_ambiguous, inner))
