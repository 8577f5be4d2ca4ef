"""Rules about what a stage reads."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.globs import GlobError, Pattern, Template
from trunkline.model import DatasetKind
from trunkline.spec import interval, ticks
from trunkline.spec.datasets import Found
from trunkline.spec.drafts import StageDraft
from trunkline.spec.fields import Text
from trunkline.spec.inputs import GroupDraft, InputDraft, LeafDraft
from trunkline.spec.keys import GRAMMAR
from trunkline.spec.names import NAME, NAME_ADVICE, is_variable
from trunkline.spec.read import value
from trunkline.spec.say import Say
from trunkline.spec.world import World

_RESERVED = GRAMMAR | {"out", "params", "env"}


def input_names(stage: StageDraft, world: World) -> None:
    """Every input has a name that a parameter can have, and its own; branches of a union may share one."""
    for leaf in stage.leaves:
        name, say = leaf.name, stage.say
        if name == "":
            say.at(leaf.place, "this input needs a name", "add name: …")
        elif name is not None and name in _RESERVED:
            message = f"'{name}' has a meaning of its own here and cannot name an input"
            advice = "choose another name; the long form of an input has both dataset: and name:"
            say.at(leaf.place, message, advice)
        elif name is not None and not _is_name(name):
            advice = NAME_ADVICE if not NAME(name) else "it is a word of Python; choose another name"
            say.at(leaf.place, f"'{name}' cannot be the name of an input", advice)
    if stage.input is not None:
        _names(stage.input, stage.say, grouped=False)


def _is_name(name: str) -> bool:
    return bool(NAME(name)) and is_variable(name)


def _names(draft: InputDraft, say: Say, *, grouped: bool) -> dict[str, LeafDraft]:
    """The leaves of this part of the input by name; of two that may not share one the second is reported."""
    if isinstance(draft, LeafDraft):
        name = draft.name
        return {name: draft} if name is not None and _is_name(name) and name not in _RESERVED else {}
    found: dict[str, LeafDraft] = {}
    for child in draft.inputs:
        for name, leaf in _names(child, say, grouped=grouped or draft.word == "group").items():
            if found.setdefault(name, leaf) is not leaf and (draft.word != "union" or grouped):
                # below a group both branches may come together in one datum
                say.at(leaf.place, f"two inputs are called '{name}'", "give one of them another name")
    return found


def shared_names_agree(stage: StageDraft, world: World) -> None:
    """Inputs that share a name are handed over alike."""
    first: dict[str | None, LeafDraft] = {}
    for leaf in stage.leaves:
        other = first.setdefault(leaf.name, leaf)
        for word in ("empty_files", "reference"):
            if leaf.flag(word) != other.flag(word):
                message = f"of the inputs called '{leaf.name}' only one has '{word}'"
                stage.say.at(leaf.place, message, f"write {word}: true for both, or give one another name")


def datasets_are_known(stage: StageDraft, world: World) -> None:
    """Every input's dataset is there, and is only one."""
    for leaf in stage.leaves:
        if leaf.dataset is None or _is_misplaced(leaf):
            continue
        found = world.datasets.find(leaf, stage.pipeline)
        text = leaf.dataset.text
        name = text.partition("/")[0] if leaf.short else text
        if not found and not world.datasets.may_be_unread(leaf):
            advice = world.datasets.advice(leaf, stage.pipeline, stage.name.text)
            stage.say.at(leaf.dataset.node, f"there is no dataset '{name}'", advice, length=len(name))
        elif len(found) > 1:
            meanings = " or ".join(_meaning(each) for each in found)
            stages = [each for each in found if each.dataset.kind is DatasetKind.STAGE]
            advice = "rename one of them"
            if stages and stages[0].dataset.name != name:
                advice = f"write '{stages[0].dataset.name}' for the stage, or {advice}"
            stage.say.at(leaf.dataset.node, f"'{name}' may be {meanings}", advice, length=len(name))


def _meaning(found: Found) -> str:
    words = {
        DatasetKind.STAGE: f"the stage {found.dataset.name}",
        DatasetKind.SOURCE: f"the source dataset {found.dataset.path}",
        DatasetKind.FOREIGN: f"the output {found.dataset.path} of a hand-written DVC stage",
    }
    return words[found.dataset.kind]


def _is_misplaced(leaf: LeafDraft) -> bool:
    """Whether a short input is no `dataset/pattern` at all; `globs_are_well_formed` says so."""
    return leaf.dataset is not None and leaf.dataset.text.partition("/")[0] in ("", ".", "..")


def globs_are_well_formed(stage: StageDraft, world: World) -> None:
    """Every glob has the form of one, and stays in its dataset."""
    for leaf in stage.leaves:
        if leaf.dataset is not None and _is_misplaced(leaf):
            message = f"'{leaf.dataset.text}' leads out of the project's datasets"
            stage.say.at(leaf.dataset.node, message, "write dataset/pattern, such as flights_raw/*")
            continue
        glob, text, shift = _glob_of(leaf, stage, world)
        if text is None:
            continue
        try:
            Pattern(glob)
        except GlobError as error:
            offset = min(error.position + shift, len(text.text) - 1)
            message = f"'{text.text}' is no pattern: {error.message}"
            stage.say.at(text.node, message, error.advice, offset=offset, length=1)


def _glob_of(leaf: LeafDraft, stage: StageDraft, world: World) -> tuple[str, Text | None, int]:
    """A leaf's glob, the text that holds it, and how far into that text it begins."""
    if not leaf.short:
        return (leaf.glob.text, leaf.glob, 0) if leaf.glob is not None else ("/", None, 0)
    assert leaf.dataset is not None
    found = world.found(leaf, stage)
    glob = found.glob if found is not None else "/" + leaf.dataset.text.partition("/")[2]
    return glob, leaf.dataset, len(leaf.dataset.text) - len(glob)


# ---------------------------------------------------------------- joins and groups

_KEYS = {"join": "join_on", "group": "group_by"}


def members_have_keys(stage: StageDraft, world: World) -> None:
    """Every input of a join has a `join_on`, of a group a `group_by`, and no other input has one."""
    if stage.input is not None:
        for word, key in _KEYS.items():
            _check_keys(stage.input, word, key, stage.say, inside=False)


def _check_keys(draft: InputDraft, word: str, key: str, say: Say, *, inside: bool) -> bool:
    """Whether everything that this part of the input gives has a key."""
    if isinstance(draft, LeafDraft):
        own = draft.text(key)
        if own is not None and not inside:
            say.at(own.node, f"'{key}' has no {word} around it", f"put the inputs into {word}: […]")
        return own is not None
    inside = inside or draft.word == word
    keyed = [_check_keys(child, word, key, say, inside=inside) for child in draft.inputs]
    if draft.word == word:
        for child, has_key in zip(draft.inputs, keyed, strict=True):
            if not has_key:
                _no_key(child, word, key, say)
    return all(keyed) if draft.word == "union" else any(keyed)


def _no_key(draft: InputDraft, word: str, key: str, say: Say) -> None:
    advice = f'write {key}: $1, and put the part of the path that it means in ( ): "/(*).csv"'
    if isinstance(draft, GroupDraft):
        what = f"a {draft.word}"
    elif draft.ticks:
        what, advice = "a cron input", f"put it beside the {word}, into the list of a cross"
    else:
        what = "an input"
    say.at(draft.place, f"{what} of a {word} has no '{key}'", advice)


def keys_have_captures(stage: StageDraft, world: World) -> None:
    """`join_on` and `group_by` refer to captures that their glob has."""
    for leaf in stage.leaves:
        for key in _KEYS.values():
            text = leaf.text(key)
            if text is not None:
                _check_captures(text, leaf.glob.text if leaf.glob is not None else "/", stage.say)


def _check_captures(text: Text, glob: str, say: Say) -> None:
    try:
        captures = Pattern(glob).groups
    except GlobError:
        return
    places = Template(text.text).places
    advice = 'put what should be equal in ( ) in the glob, such as "/(*).csv"; $1 is the first one'
    if not places:
        say.at(text.node, f"'{text.text}' refers to no part of the glob", advice)
    for number, start, length in places:
        if not 1 <= number <= captures:
            message = f"the glob '{glob}' has no ${number}: it has {captures} ( )"
            say.at(text.node, message, advice, offset=start, length=length)
            return


def outer_joins(stage: StageDraft, world: World) -> None:
    """`outer_join` stands in a join."""
    joined = {id(leaf) for leaf in _below(stage.input, "join")}
    for leaf in stage.leaves:
        if leaf.flag("outer_join") and id(leaf) not in joined:
            place = leaf.fields.keys["outer_join"]
            stage.say.at(place, "'outer_join' has no join around it", "put the inputs into join: […]")


def _below(draft: InputDraft | None, word: str) -> Iterator[LeafDraft]:
    """The leaves that have such a node around them."""
    if isinstance(draft, GroupDraft):
        for child in draft.inputs:
            yield from child.leaves() if draft.word == word else _below(child, word)


# ---------------------------------------------------------------- what starts a run


def propagation(stage: StageDraft, world: World) -> None:
    """`propagation` is `never`, or not there."""
    for leaf in stage.leaves:
        text = leaf.text("propagation")
        if text is not None and text.text != "never":
            message = f"'propagation' cannot be '{text.text}'"
            stage.say.at(text.node, message, "write propagation: never, or take it out")


def clocks(stage: StageDraft, world: World) -> None:
    """A cron input says when it ticks, and from when on."""
    for leaf in stage.leaves:
        if not leaf.ticks:
            continue
        spec, start = leaf.text("spec"), leaf.fields.values.get("start")
        if spec is not None and (fault := ticks.fault(spec.text)):
            stage.say.at(spec.node, fault, f"write {ticks.EXAMPLE}")
        if start is not None and interval.moment(value(start)) is None:
            stage.say.at(start, f"'{start.value}' is no moment", f"write {interval.ANCHOR_EXAMPLE}")


def no_self_input(stage: StageDraft, world: World) -> None:
    """A stage does not read what it writes."""
    for leaf in stage.leaves:
        found = world.found(leaf, stage)
        if leaf.dataset is not None and found is not None and found.dataset.name == stage.ref:
            advice = "read another dataset; a stage's last output is not its input"
            stage.say.at(leaf.dataset.node, f"{stage.fields.what} reads its own output", advice)
