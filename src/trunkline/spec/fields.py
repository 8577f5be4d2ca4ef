"""The values of a mapping by key: what is unknown, missing or of the wrong kind is reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trunkline.spec.keys import LATER, Key, Kind, named
from trunkline.spec.names import did_you_mean, listed
from trunkline.spec.read import MappingNode, Node, ScalarNode, SequenceNode, pairs, value
from trunkline.spec.say import Say, is_count, is_moment, is_number, is_text, is_whole, kind_of


class Text(NamedTuple):
    """A text and where it stands."""

    text: str
    node: Node


class Fields:
    """The values of a mapping whose keys are known, as far as they have the right kind.

    `what` names the mapping in messages, and `key` is where a problem with all of it is marked.
    """

    def __init__(self, what: str, key: Node) -> None:
        self.what = what
        self.key = key
        self.keys: dict[str, Node] = {}
        self.values: dict[str, Node] = {}

    def has(self, name: str) -> bool:
        """Whether the key is there, whatever its value."""
        return name in self.keys

    def text(self, name: str) -> Text | None:
        """The value of a key that holds text."""
        node = self.values.get(name)
        return Text(node.value, node) if node is not None and is_text(node) else None

    def flag(self, name: str, otherwise: bool) -> bool:
        """The value of a key that holds true or false."""
        node = self.values.get(name)
        return otherwise if node is None else bool(value(node))

    def count(self, name: str, otherwise: int) -> int:
        """The value of a key that holds a whole number."""
        node = self.values.get(name)
        return otherwise if node is None else int(value(node))

    def texts(self, name: str) -> list[Text]:
        """The texts of a key that holds a list of texts, or one text."""
        node = self.values.get(name)
        if isinstance(node, SequenceNode):
            return [Text(child.value, child) for child in node.value]
        return [Text(node.value, node)] if node is not None and is_text(node) else []

    def items(self, name: str) -> list[Node]:
        """The nodes of a key that holds a list."""
        node = self.values.get(name)
        return list(node.value) if isinstance(node, SequenceNode) else []

    def pairs(self, name: str) -> list[tuple[ScalarNode, Node]]:
        """The keys and values of a key that holds a mapping."""
        node = self.values.get(name)
        return pairs(node) if isinstance(node, MappingNode) else []


def fields_of(node: Node, key: Node, what: str, keys: tuple[Key, ...], say: Say, advice: str = "") -> Fields:
    """The fields of a mapping; unknown, missing and mistyped ones are reported.

    `advice` says what to write in the place of something that is no mapping.
    """
    fields = Fields(what, key)
    if not isinstance(node, MappingNode):
        examples = listed(each.example for each in keys if each.required)
        advice = advice or f"write {{{examples}}}"
        say.at(key, f"{what} must be a mapping; this is {kind_of(node)}", advice)
        return fields
    table = named(keys)
    for name_node, child in pairs(node):
        name = str(name_node.value)
        if name not in table:
            _unknown(name, name_node, what, table, say)
            continue
        fields.keys[name] = name_node
        fault = list(kind_faults(child, table[name].kind))
        for place, message in fault:
            say.at(place, f"'{name}' of {what} {message}", f"write {table[name].example}")
        if not fault:
            fields.values[name] = child
    for each in keys:
        if each.required and each.name not in fields.keys:
            say.at(key, f"{what} has no '{each.name}'", f"write {each.example}")
    return fields


def _unknown(name: str, node: Node, what: str, table: dict[str, Key], say: Say) -> None:
    if name in LATER:
        say.at(node, f"'{name}' is not supported yet in this version of trunkline", "take it out")
    else:
        advice = did_you_mean(name, table, f"known here: {listed(table)}")
        say.at(node, f"{what} has an unknown key '{name}'", advice)


def kind_faults(node: Node, kind: Kind) -> Iterator[tuple[Node, str]]:
    """Where a value is not of its kind, and what to say of it."""
    is_list = isinstance(node, SequenceNode)
    right = {
        Kind.TEXT: is_text(node),
        Kind.TEXTS: is_list,
        Kind.TEXT_OR_TEXTS: is_list or is_text(node),
        Kind.TEXT_OR_NUMBER: is_text(node) or kind_of(node) == "a number",
        Kind.MOMENT: is_moment(node),
        Kind.FLAG: kind_of(node) == "true or false",
        Kind.COUNT: is_count(node),
        Kind.NUMBER: is_number(node),
        Kind.NUMBERS: is_list,
        Kind.TEXT_OR_MAPPING: isinstance(node, MappingNode) or is_text(node),
        Kind.MAPPING: isinstance(node, MappingNode),
        Kind.LIST: is_list,
    }
    if not right[kind]:
        yield node, f"must be {kind}; this is {kind_of(node)}"
    elif isinstance(node, SequenceNode) and kind in (Kind.TEXTS, Kind.TEXT_OR_TEXTS):
        for child in node.value:
            if not is_text(child):
                yield child, f"must be {kind}; this is {kind_of(child)}"
    elif isinstance(node, SequenceNode) and kind is Kind.NUMBERS:
        for child in node.value:
            if not is_whole(child):
                yield child, f"must be {kind}; this is {kind_of(child)}"
