"""Rules about what a stage reads."""

from __future__ import annotations

from trunkline.globs import GlobError, Pattern, Template
from trunkline.model import DatasetKind
from trunkline.spec.datasets import Found
from trunkline.spec.drafts import StageDraft
from trunkline.spec.fields import Text
from trunkline.spec.inputs import InputDraft, LeafDraft
from trunkline.spec.keys import GRAMMAR
from trunkline.spec.names import NAME, NAME_ADVICE, is_variable
from trunkline.spec.say import Say
from trunkline.spec.world import World

_RESERVED = GRAMMAR | {"out", "params", "env"}


def input_names(stage: StageDraft, world: World) -> None:
    """Every input has a name of its own that a parameter can have."""
    seen: set[str] = set()
    for leaf in stage.leaves:
        name, say = leaf.name, stage.say
        if name == "":
            say.at(leaf.place, "this input needs a name", "add name: …")
        elif name is not None and name in _RESERVED:
            message = f"'{name}' has a meaning of its own here and cannot name an input"
            advice = "choose another name; the long form of an input has both dataset: and name:"
            say.at(leaf.place, message, advice)
        elif name is not None and not (NAME(name) and is_variable(name)):
            advice = NAME_ADVICE if not NAME(name) else "it is a word of Python; choose another name"
            say.at(leaf.place, f"'{name}' cannot be the name of an input", advice)
        elif name is not None and name in seen:
            say.at(leaf.place, f"two inputs are called '{name}'", "give one of them another name")
        seen.add(name or "")


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
            bare = text.text.rstrip("/")
            advice = f"write {bare} for all of it, {bare}/* for each of its files"
            advice = advice if bare != text.text and bare else error.advice
            stage.say.at(
                text.node, f"'{text.text}' is no pattern: {error.message}", advice, offset=offset, length=1
            )


def _glob_of(leaf: LeafDraft, stage: StageDraft, world: World) -> tuple[str, Text | None, int]:
    """A leaf's glob, the text that holds it, and how far into that text it begins."""
    if not leaf.short:
        return (leaf.glob.text, leaf.glob, 0) if leaf.glob is not None else ("/", None, 0)
    assert leaf.dataset is not None
    found = world.found(leaf, stage)
    glob = found.glob if found is not None else "/" + leaf.dataset.text.partition("/")[2]
    if glob == "/" and leaf.dataset.text.endswith("/"):
        return "//", leaf.dataset, len(leaf.dataset.text) - 2
    return glob, leaf.dataset, len(leaf.dataset.text) - len(glob)


def joins_have_keys(stage: StageDraft, world: World) -> None:
    """Every input of a join has a `join_on`, and no other input has one."""
    if stage.input is not None:
        _check_keys(stage.input, stage.say, joined=False)


def _check_keys(draft: InputDraft, say: Say, *, joined: bool) -> bool:
    """Whether there is a `join_on` in this part of the input."""
    if isinstance(draft, LeafDraft):
        if draft.join_on is not None and not joined:
            say.at(draft.join_on.node, "'join_on' has no join around it", "put the inputs into join: […]")
        return draft.join_on is not None
    joined = joined or draft.word == "join"
    keyed = [_check_keys(child, say, joined=joined) for child in draft.inputs]
    if draft.word == "join":
        for child, has_key in zip(draft.inputs, keyed, strict=True):
            if not has_key:
                what = "an input" if isinstance(child, LeafDraft) else f"a {child.word}"
                advice = 'write join_on: $1, and put the part of the path that it means in ( ): "/(*).csv"'
                say.at(child.place, f"{what} of a join has no 'join_on'", advice)
    return any(keyed)


def join_on_has_captures(stage: StageDraft, world: World) -> None:
    """`join_on` refers to captures that its glob has."""
    for leaf in stage.leaves:
        if leaf.join_on is None:
            continue
        glob = leaf.glob.text if leaf.glob is not None else "/"
        try:
            captures = Pattern(glob).groups
        except GlobError:
            continue
        numbers = Template(leaf.join_on.text).numbers
        advice = 'put what should be equal in ( ) in the glob, such as "/(*).csv"; $1 is the first one'
        if not numbers:
            say = f"'{leaf.join_on.text}' refers to no part of the glob"
            stage.say.at(leaf.join_on.node, say, advice)
        elif not all(1 <= number <= captures for number in numbers):
            wrong = next(number for number in numbers if not 1 <= number <= captures)
            message = f"the glob '{glob}' has no ${wrong}: it has {captures} ( )"
            stage.say.at(leaf.join_on.node, message, advice)


def no_self_input(stage: StageDraft, world: World) -> None:
    """A stage does not read what it writes."""
    for leaf in stage.leaves:
        found = world.found(leaf, stage)
        if leaf.dataset is not None and found is not None and found.dataset.name == stage.ref:
            advice = "read another dataset; a stage's last output is not its input"
            stage.say.at(leaf.dataset.node, f"{stage.fields.what} reads its own output", advice)
