"""Reads YAML as DVC reads it: text in, values or nodes out. Touches nothing else.

    load("stages: {a: 010}")          {"stages": {"a": 10}}
    read("stages: {a: 010}", "x")     the same as nodes that know their line and column
    value(node)                       a node's plain value

A file that DVC's readers (of which there are two, with and without a C library) would refuse, or
would understand differently from each other, is refused here with the advice what to write
instead: tags, directives, duplicate keys, tabs between words, an unquoted `a:/b` inside `{}`.
`portable=False` lets through what only one of them refuses: dvc.yaml and dvc.lock are DVC's own.

A file is also refused when it is too long, nested too deeply, or when its aliases would blow it
up. Every problem of a file is reported at once, except where its syntax is broken.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import Composer

from trunkline.errors import SpecError
from trunkline.spec import scalars
from trunkline.spec.syntax import syntax_problem
from trunkline.spec.values import CParser, PureParser, Values

Node = yaml.nodes.Node
ScalarNode = yaml.nodes.ScalarNode
SequenceNode = yaml.nodes.SequenceNode
MappingNode = yaml.nodes.MappingNode

PIPELINE_LIMIT = 4 << 20
LOCK_LIMIT = 256 << 20


def load(text: str, file: str = "", *, limit: int = LOCK_LIMIT, pure: bool = False) -> Any:
    """The plain value of a YAML text, `{}` where there is nothing in it, as DVC's reader has it.

    What an alias names twice is one object, twice. Raises SpecError.
    """
    return Values(text, file, limit, portable=False, pure=pure).run() or {}


def read(
    text: str, file: str, *, limit: int = PIPELINE_LIMIT, portable: bool = True, pure: bool = False
) -> Node:
    """The root node of a YAML text; an empty text is a null scalar. Raises SpecError."""
    Values(text, file, limit, portable=portable, pure=pure).run()
    composer = _PureComposer(text) if pure or CParser is None else _CComposer(text)
    try:
        node: Node | None = composer.get_single_node()
    except yaml.YAMLError as error:
        raise SpecError([syntax_problem(error, text, file)]) from None
    if node is None:
        start = yaml.Mark(file, 0, 0, 0, "", 0)
        return ScalarNode(scalars.NULL, "", start, start)
    return node


def value(node: Node) -> Any:
    """The plain value of a node that `read` returned."""
    return _value(node, {})


def pairs(node: MappingNode) -> list[tuple[ScalarNode, Node]]:
    """The keys and values of a mapping with its merge keys (`<<`) applied, in DVC's order."""
    written: list[tuple[ScalarNode, Node]] = node.value
    if all(key.tag != scalars.MERGE for key, _ in written):
        return written
    merged: dict[Any, tuple[ScalarNode, Node]] = {}
    own = []
    for key, child in written:
        if key.tag != scalars.MERGE:
            own.append((key, child))
            continue
        sources: list[Any] = child.value if isinstance(child, SequenceNode) else [child]
        for source in reversed(sources):
            merged.update((value(k), (k, v)) for k, v in pairs(source))
    merged.update((value(k), (k, v)) for k, v in own)
    return list(merged.values())


def _value(node: Node, seen: dict[int, Any]) -> Any:
    if isinstance(node, ScalarNode):
        return scalars.construct(node.tag, node.value)
    if id(node) not in seen:
        if isinstance(node, SequenceNode):
            seen[id(node)] = [_value(child, seen) for child in node.value]
        else:
            assert isinstance(node, MappingNode)
            seen[id(node)] = {_value(k, seen): _value(v, seen) for k, v in pairs(node)}
    return seen[id(node)]


class _Resolver:
    """The three methods that PyYAML's composers call for every node."""

    def resolve(self, kind: type[Node], text: str, implicit: tuple[bool, bool]) -> str:
        if kind is ScalarNode:
            return scalars.tag_of(text) if implicit[0] else scalars.STR
        return scalars.SEQ if kind is SequenceNode else scalars.MAP

    def descend_resolver(self, parent: Node | None, index: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


class _PureComposer(_Resolver, PureParser, Composer):
    def __init__(self, text: str) -> None:
        PureParser.__init__(self, text)
        Composer.__init__(self)


if CParser is not None:

    class _CComposer(_Resolver, CParser):
        pass
