"""The grammar of `input:`, as a tree of drafts.

input: {raw: flights_raw/*}                                   short; several names: their cross
input: {name: raw, dataset: flights_raw, glob: "/*"}          one leaf
input: {join: [{dataset: ingest, glob: "/(*).csv", join_on: $1}, …]}    cross, union, join, group, nested
input: {cron: {name: tick, spec: "@hourly"}}                  a clock, alone or in a list
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trunkline.spec.fields import Fields, Text, fields_of
from trunkline.spec.keys import GROUPS, LATER, LEAF, TICKS
from trunkline.spec.names import NAME
from trunkline.spec.read import MappingNode, Node, ScalarNode, SequenceNode, pairs
from trunkline.spec.say import Say, is_text, kind_of


@dataclass(slots=True)
class LeafDraft:
    """One input as it is written.

    In the short form `dataset` is all of `dataset/pattern`. `name` is "" where none is given and
    none follows from the dataset, None where that has been reported; `place` is where a problem
    with the name is marked. `fields` are those of the long form, or of a clock (`ticks`).
    """

    name: str | None
    place: Node
    dataset: Text | None
    fields: Fields
    short: bool = False
    ticks: bool = False

    def text(self, word: str) -> Text | None:
        """The text of a key of the long form."""
        return self.fields.text(word)

    def flag(self, word: str) -> bool:
        """Whether a key of the long form is there and true."""
        return self.fields.flag(word, False)

    @property
    def glob(self) -> Text | None:
        """The glob of the long form."""
        return None if self.ticks else self.text("glob")

    def leaves(self) -> Iterator[LeafDraft]:
        """Itself."""
        yield self


@dataclass(slots=True)
class GroupDraft:
    """A cross, union, join or group as it is written; the short form with several names is a cross."""

    word: str
    place: Node
    inputs: list[LeafDraft | GroupDraft]

    def leaves(self) -> Iterator[LeafDraft]:
        """Every leaf below, in the order in which it is written."""
        for child in self.inputs:
            yield from child.leaves()


InputDraft = LeafDraft | GroupDraft


def input_draft(node: Node, key: Node, say: Say) -> InputDraft | None:
    """The draft of a stage's input; what has the wrong form is reported."""
    assert isinstance(node, MappingNode)
    written = {str(name.value): (name, child) for name, child in pairs(node)}
    if not written:
        say.at(key, "'input' is empty", "write name: dataset/pattern, or take 'input' out")
        return None
    if _is_group(written):
        return _group(written, say)
    if "dataset" in written and not (len(written) == 1 and "/" in str(written["dataset"][1].value)):
        return _leaf(node, key, say)  # `dataset: a/*` alone is a short input with a bad name
    leaves: list[InputDraft] = [
        draft for name, child in written.values() if (draft := _short(name, child, say)) is not None
    ]
    return leaves[0] if len(leaves) == 1 else GroupDraft("cross", key, leaves) if leaves else None


def _is_group(written: dict[str, tuple[ScalarNode, Node]]) -> bool:
    """Whether a word of the grammar stands here as such, not as the name of a short input."""
    return any(word in written and not is_text(written[word][1]) for word in (*GROUPS, "cron"))


def _group(written: dict[str, tuple[ScalarNode, Node]], say: Say) -> InputDraft | None:
    words = [word for word in written if word in (*GROUPS, "cron")]
    name, child = written[words[0]]
    for other, (place, _) in written.items():
        if other != words[0]:
            lists = [word for word in words if word in GROUPS]
            advice = f"put it into the list of '{lists[0] if lists else 'cross'}'"
            advice += "" if other in GROUPS or other == "cron" else ", as {name: …, dataset: …, glob: …}"
            say.at(place, f"'{other}' stands beside '{words[0]}', which must stand alone", advice)
    if words[0] == "cron":
        return _ticks(name, child, say)
    members = child.value if isinstance(child, SequenceNode) else []
    if not members:
        this = "empty" if isinstance(child, SequenceNode) else kind_of(child)
        advice = f"write {words[0]}: [{{name: a, dataset: …, glob: …}}, {{name: b, dataset: …, glob: …}}]"
        say.at(name, f"'{words[0]}' must be a list of inputs; this is {this}", advice)
    inputs = [draft for member in members if (draft := _member(member, say)) is not None]
    return GroupDraft(words[0], name, inputs)


def _ticks(key: ScalarNode, node: Node, say: Say) -> LeafDraft | None:
    fields = fields_of(node, key, "a cron input", TICKS, say)
    name = fields.text("name")
    if name is None:
        return None
    return LeafDraft(name.text, name.node, None, fields, ticks=True)


def _member(node: Node, say: Say) -> InputDraft | None:
    if not isinstance(node, MappingNode):
        advice = 'write {name: a, dataset: b, glob: "/*"}'
        say.at(node, f"an input in a list must be a mapping; this is {kind_of(node)}", advice)
        return None
    written = {str(name.value): (name, child) for name, child in pairs(node)}
    if _is_group(written):
        return _group(written, say)
    if len(written) == 1 and not written.keys() & {key.name for key in LEAF}:
        ((name, child),) = written.values()
        if is_text(child) and str(name.value) not in LATER:
            dataset, _, rest = str(child.value).partition("/")
            advice = f'write {{name: {name.value}, dataset: {dataset}, glob: "/{rest}"}}'
            say.at(name, "the short form of an input cannot stand in a list", advice)
            return None
    return _leaf(node, node, say)


def _leaf(node: Node, key: Node, say: Say) -> LeafDraft:
    fields = fields_of(node, key, "an input", LEAF, say)
    dataset, name = fields.text("dataset"), fields.text("name")
    if name is not None:
        return LeafDraft(name.text, name.node, dataset, fields)
    implied: str | None = None
    if dataset is not None and not fields.has("name"):
        last = dataset.text.rpartition(".")[2]
        implied = last if NAME(last) else ""
    place = dataset.node if dataset is not None else key
    return LeafDraft(implied, place, dataset, fields)


def _short(name: ScalarNode, node: Node, say: Say) -> LeafDraft | None:
    if not is_text(node):
        message = f"the input '{name.value}' must be text: dataset/pattern; this is {kind_of(node)}"
        advice = f"write {name.value}: flights_raw/*"
        if isinstance(node, MappingNode):
            advice = f'write input: {{name: {name.value}, dataset: …, glob: "/*"}}'
        say.at(name, message, advice)
        return None
    nothing = Fields("an input", name)
    return LeafDraft(str(name.value), name, Text(str(node.value), node), nothing, short=True)
