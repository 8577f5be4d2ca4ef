"""Rules about how the datums of a stage are run: limits, tries, rescue, secrets."""

from __future__ import annotations

import re

from trunkline.model import Reprocess
from trunkline.spec import quantities
from trunkline.spec.drafts import StageDraft
from trunkline.spec.fields import Fields, fields_of
from trunkline.spec.keys import DATUM_SET, RESOURCES, Key
from trunkline.spec.names import did_you_mean, listed
from trunkline.spec.read import SequenceNode, value
from trunkline.spec.world import World

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII).fullmatch


def time_limits(stage: StageDraft, world: World) -> None:
    """A time limit is a duration longer than nothing."""
    for name in ("datum_timeout", "job_timeout"):
        node = stage.fields.values.get(name)
        if node is not None and (fault := quantities.duration_fault(value(node))):
            stage.say.at(node, fault, f"write {quantities.DURATION_EXAMPLE}")


def resources(stage: StageDraft, world: World) -> None:
    """`resources` limits processors, memory or both."""
    fields = _mapping(stage, "resources", RESOURCES)
    if fields is None:
        return
    if not stage.fields.pairs("resources"):
        stage.say.at(fields.key, "'resources' limits nothing", "write resources: {cpu: 2, memory: 4GiB}")
    memory = fields.values.get("memory")
    if memory is not None and (fault := quantities.memory_fault(value(memory))):
        stage.say.at(memory, fault, f"write {quantities.MEMORY_EXAMPLE}")


def datum_sets(stage: StageDraft, world: World) -> None:
    """`datum_set_spec` says in exactly one way how many datums go together."""
    fields = _mapping(stage, "datum_set_spec", DATUM_SET)
    if fields is None:
        return
    written = list(fields.keys)
    if not stage.fields.pairs("datum_set_spec"):
        advice = "write one of number, size_bytes, per_worker: datum_set_spec: {number: 100}"
        stage.say.at(fields.key, "'datum_set_spec' says nothing", advice)
    for name in written[1:]:
        message = f"'datum_set_spec' has both '{written[0]}' and '{name}'"
        stage.say.at(fields.keys[name], message, "keep one of them")


def return_codes(stage: StageDraft, world: World) -> None:
    """`accept_return_code` are exit codes of a program."""
    fields = stage.fields
    if fields.has("accept_return_code") and fields.has("run") and not fields.has("cmd"):
        advice = "take it out: a function fails by raising an exception"
        stage.say.at(
            fields.keys["accept_return_code"],
            "'accept_return_code' belongs to 'cmd'; a function has no exit code",
            advice,
        )
    node = fields.values.get("accept_return_code")
    if isinstance(node, SequenceNode):
        for child in node.value:
            if not 0 <= value(child) <= 255:
                stage.say.at(child, f"{child.value} cannot be an exit code", "they are 0 to 255")


def err_cmd(stage: StageDraft, world: World) -> None:
    """`err_cmd` names a program, and `err_stdin` is what it reads."""
    fields = stage.fields
    words = fields.texts("err_cmd")
    if "err_cmd" in fields.values and (not words or not words[0].text):
        stage.say.at(
            fields.keys["err_cmd"], "'err_cmd' names no program", "write err_cmd: [program, argument]"
        )
    if fields.has("err_stdin") and not fields.has("err_cmd"):
        advice = "add err_cmd: [sh], or take it out"
        stage.say.at(fields.keys["err_stdin"], "'err_stdin' belongs to 'err_cmd'", advice)


def reprocess_spec(stage: StageDraft, world: World) -> None:
    """`reprocess_spec` is one of two words."""
    text = stage.fields.text("reprocess_spec")
    words = [word.value for word in Reprocess]
    if text is not None and text.text not in words:
        advice = did_you_mean(text.text, words, f"write one of: {listed(words)}")
        stage.say.at(text.node, f"'{text.text}' is no way to reprocess", advice)


def secrets(stage: StageDraft, world: World) -> None:
    """Secrets are names of environment variables, each once, that nobody else sets."""
    own = {str(key.value) for key, _ in stage.fields.pairs("env")}
    inputs = {leaf.name for leaf in stage.leaves}
    seen: set[str] = set()
    for name in stage.fields.texts("secrets"):
        if not _VARIABLE(name.text):
            advice = "write the name of the variable alone, such as WAREHOUSE_PASSWORD; never its value"
            stage.say.at(name.node, f"'{name.text}' cannot be the name of an environment variable", advice)
        elif name.text in seen:
            stage.say.at(name.node, f"'{name.text}' is here twice", "take one of them out")
        elif name.text in own:
            advice = "take it out of 'env': what stands in a file is no secret"
            stage.say.at(name.node, f"'{name.text}' is both in 'env' and a secret", advice)
        elif name.text.startswith("PACH_") or name.text in inputs:
            message = f"the environment variable '{name.text}' is set by trunkline"
            stage.say.at(name.node, message, "choose another name")
        seen.add(name.text)


def _mapping(stage: StageDraft, name: str, keys: tuple[Key, ...]) -> Fields | None:
    """The fields of a mapping that a stage declares; a wrong form is reported."""
    node = stage.fields.values.get(name)
    if node is None:
        return None
    return fields_of(node, stage.fields.keys[name], f"'{name}'", keys, stage.say)
