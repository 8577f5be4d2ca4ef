"""Matching by a small machine, for the globs that a regular expression cannot hold.

The nodes of a glob become a program of instructions; for `a*(b)!(c)`:

    0 text  "a"
    1 save  0
    2 fork  3 5      more of `b` first, as greedy as a regular expression is
    3 text  "b"
    4 jump  2
    5 save  1
    6 save  2
    7 not   (program of `c`)
    8 save  3
    9 done

Threads are tried in order of preference from a stack. No (instruction, position) is tried twice:
the program has no memory beyond its captures, so what failed once would fail again. The time is
therefore bounded by the size of the program times the length of the path.

Touches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple


class Text(NamedTuple):
    """These characters."""

    text: str


class Wild(NamedTuple):
    """`*`, `**` or `?`."""

    kind: str


class OneOf(NamedTuple):
    """One character, as the source of a regular expression that matches just one."""

    source: str


class Group(NamedTuple):
    """One of `options`; `repeat` is "", "?", "*", "+" or "!"; `number` None: not captured."""

    options: tuple[tuple[Any, ...], ...]
    repeat: str
    number: int | None


Node = Text | Wild | OneOf | Group
_Op = Literal["text", "one", "fork", "jump", "save", "not", "done"]
_ONE = re.compile("[^/]", re.DOTALL)
_ANY = re.compile(".", re.DOTALL)


class _Step(NamedTuple):
    """`argument`: a text, a regular expression, instruction numbers, a slot or a Machine."""

    op: _Op
    argument: Any = None


class Machine:
    """A program and the number of captures that it fills."""

    __slots__ = ("groups", "steps")

    def __init__(self, steps: Sequence[_Step], groups: int) -> None:
        self.steps = tuple(steps)
        self.groups = groups

    def __call__(self, path: str) -> tuple[str, ...] | None:
        """The captures, or None where `path` does not match."""
        slots = self.run(path, 0, len(path))
        if slots is None:
            return None
        return tuple(path[max(slots[n], 0) : max(slots[n + 1], 0)] for n in range(0, 2 * self.groups, 2))

    def run(self, text: str, start: int, end: int) -> tuple[int, ...] | None:
        """Match all of `text[start:end]`: where the captures begin and end, -1 where not taken."""
        stack = [(0, start, (-1,) * (2 * self.groups))]
        tried: set[tuple[int, int]] = set()
        while stack:
            pc, position, slots = stack.pop()
            if (pc, position) in tried:
                continue
            tried.add((pc, position))
            op, argument = self.steps[pc]
            if op == "done":
                if position == end:
                    return slots
            elif op == "save":
                stack.append((pc + 1, position, (*slots[:argument], position, *slots[argument + 1 :])))
            elif op == "jump":
                stack.append((argument, position, slots))
            elif op == "fork":
                stack += [(choice, position, slots) for choice in reversed(argument)]
            else:
                ends = _consume(op, argument, text, position, end)
                stack += [(pc + 1, place, slots) for place in ends]
        return None


def _consume(op: _Op, argument: Any, text: str, position: int, end: int) -> Sequence[int]:
    """Where an instruction that reads characters may stop, the preferred place last."""
    if op == "text":
        place = position + len(argument)
        return (place,) if place <= end and text.startswith(argument, position) else ()
    if op == "one":
        return (position + 1,) if position < end and argument.match(text, position) else ()
    slash = text.find("/", position, end)
    furthest = end if slash < 0 else slash
    return [p for p in range(position, furthest + 1) if argument.run(text, position, p) is None]


def compile_nodes(nodes: Sequence[Node], groups: int) -> Machine:
    """The machine that matches `nodes` one after the other, to the end."""
    steps: list[_Step] = []
    _sequence(nodes, steps)
    return Machine([*steps, _Step("done")], groups)


def _sequence(nodes: Sequence[Node], steps: list[_Step]) -> None:
    for node in nodes:
        match node:
            case Text(text):
                steps.append(_Step("text", text))
            case Wild("?"):
                steps.append(_Step("one", _ONE))
            case Wild(kind):
                here = len(steps)
                one = _Step("one", _ONE if kind == "*" else _ANY)
                steps += [_Step("fork", (here + 1, here + 3)), one, _Step("jump", here)]
            case OneOf(source):
                steps.append(_Step("one", re.compile(source, re.DOTALL)))
            case Group():
                _group(node, steps)


def _group(node: Group, steps: list[_Step]) -> None:
    slot = None if node.number is None else 2 * node.number - 2
    if slot is not None:
        steps.append(_Step("save", slot))
    if node.repeat == "!":
        # What is captured inside is what must not be there: its captures stay empty.
        inner = Group(_uncaptured(node.options), "", None)
        steps.append(_Step("not", compile_nodes([inner], 0)))
    else:
        _repeated(node, steps)
    if slot is not None:
        steps.append(_Step("save", slot + 1))


def _repeated(node: Group, steps: list[_Step]) -> None:
    here = len(steps)
    if node.repeat in ("*", "?"):
        steps.append(_Step("fork"))
    _options(node.options, steps)
    if node.repeat == "*":
        steps.append(_Step("jump", here))
    elif node.repeat == "+":
        steps.append(_Step("fork", (here, len(steps) + 1)))
    if node.repeat in ("*", "?"):
        steps[here] = _Step("fork", (here + 1, len(steps)))


def _options(options: Sequence[Sequence[Node]], steps: list[_Step]) -> None:
    fork = len(steps)
    steps.append(_Step("fork"))
    starts, ends = [], []
    for option in options:
        starts.append(len(steps))
        _sequence(option, steps)
        ends.append(len(steps))
        steps.append(_Step("jump"))
    steps[fork] = _Step("fork", tuple(starts))
    for end in ends:
        steps[end] = _Step("jump", len(steps))


def _uncaptured(options: Sequence[Sequence[Node]]) -> tuple[tuple[Node, ...], ...]:
    return tuple(
        tuple(
            Group(_uncaptured(node.options), node.repeat, None) if isinstance(node, Group) else node
            for node in option
        )
        for option in options
    )
