"""Rules about what a stage runs, and with which parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trunkline.spec.drafts import StageDraft
from trunkline.spec.names import (
    NAME,
    NAME_ADVICE,
    did_you_mean,
    function_parts,
    is_variable,
    listed,
)
from trunkline.spec.read import MappingNode, Node, ScalarNode, SequenceNode, pairs
from trunkline.spec.rules.paths import paths
from trunkline.spec.rules.plain import plain
from trunkline.spec.say import is_text, kind_of
from trunkline.spec.world import World

_UNLOCKABLE = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def stage_name(stage: StageDraft, world: World) -> None:
    """A stage's name is a name."""
    if not NAME(stage.name.text):
        stage.say.at(stage.name.node, f"'{stage.name.text}' cannot be the name of a stage", NAME_ADVICE)


def run_or_cmd(stage: StageDraft, world: World) -> None:
    """A stage has `run` or `cmd`, and not both."""
    fields = stage.fields
    advice = "write run: module:function, or cmd: [program, argument]"
    if fields.has("run") and fields.has("cmd"):
        stage.say.at(fields.keys["cmd"], f"{fields.what} has both 'run' and 'cmd'", "keep one of them")
    elif isinstance(stage.node, MappingNode) and not (fields.has("run") or fields.has("cmd")):
        stage.say.at(fields.key, f"{fields.what} has neither 'run' nor 'cmd'", advice)


def run_is_a_function(stage: StageDraft, world: World) -> None:
    """`run` reads module:function."""
    run = stage.fields.text("run")
    if run is not None and function_parts(run.text) is None:
        advice = "write module:function, such as stages.clean:clean for the function clean in stages/clean.py"
        stage.say.at(run.node, f"'{run.text}' names no function", advice)


def run_exists(stage: StageDraft, world: World) -> None:
    """The function that `run` names is in the project."""
    run = stage.fields.text("run")
    parts = function_parts(run.text) if run is not None else None
    if run is None or parts is None or world.known.functions is None:
        return
    module, name = parts
    file = module.replace(".", "/") + ".py"
    functions = world.known.functions(module)
    if functions is None:
        advice = f"create {file} with a function {name} in it, or correct the name"
        stage.say.at(run.node, f"this project has no module '{module}'", advice, length=len(module))
    elif name not in functions:
        advice = did_you_mean(name, functions, f"its functions: {listed(sorted(functions)) or 'none'}")
        message = f"the module '{module}' has no function '{name}'"
        stage.say.at(run.node, message, advice, offset=len(module) + 1, length=len(name))


def cmd_is_not_empty(stage: StageDraft, world: World) -> None:
    """`cmd` names a program."""
    words = stage.fields.texts("cmd")
    if "cmd" in stage.fields.values and (not words or not words[0].text):
        stage.say.at(stage.fields.keys["cmd"], "'cmd' names no program", "write cmd: [program, argument]")


def stdin_needs_cmd(stage: StageDraft, world: World) -> None:
    """`stdin` goes to a program, not to a function."""
    fields = stage.fields
    if fields.has("stdin") and fields.has("run") and not fields.has("cmd"):
        advice = "take it out, or call a program by 'cmd'"
        stage.say.at(fields.keys["stdin"], "'stdin' belongs to 'cmd'; a function reads none", advice)


def code_files(stage: StageDraft, world: World) -> None:
    """`code` names files of the project, each once."""
    for path in paths(stage, "code", "relative to the project, such as sql/clean.sql"):
        if world.known.exists is not None and not world.known.exists(path.text):
            stage.say.at(path.node, f"there is no file '{path.text}' in this project", "correct the path")


# ---------------------------------------------------------------- parameters


def param_names(stage: StageDraft, world: World) -> None:
    """A parameter's name can be a keyword argument, and is not taken."""
    inputs = {leaf.name for leaf in stage.leaves}
    for key, _ in stage.fields.pairs("params"):
        name = str(key.value)
        if not is_text(key) or not is_variable(name):
            advice = "it becomes a keyword argument: letters, digits and _"
            stage.say.at(key, f"'{name}' cannot be the name of a parameter", advice)
        elif name == "out":
            stage.say.at(key, "'out' is the directory to write to, not a parameter", "choose another name")
        elif name in inputs:
            stage.say.at(key, f"'{name}' is both an input and a parameter", "rename one of them")


def params_are_plain(stage: StageDraft, world: World) -> None:
    """Parameters are what JSON can say: dvc.lock and every reader then hold the same value."""
    for _, node in stage.fields.pairs("params"):
        plain(node, stage.say)


def texts_can_be_locked(stage: StageDraft, world: World) -> None:
    """Every text of a stage can be written into dvc.lock by DVC, and read back as it was."""
    for node in _nodes(stage.node):
        if is_text(node) and _UNLOCKABLE.search(str(node.value)):
            advice = "leave it out: DVC cannot write it into dvc.lock and read it back"
            stage.say.at(node, "this text has a line separator or half a character in it", advice)


def nothing_shared(stage: StageDraft, world: World) -> None:
    """No list or mapping stands twice in a stage: DVC would write an anchor into dvc.lock."""
    seen: set[int] = set()
    for node in _nodes(stage.node):
        if not isinstance(node, ScalarNode) and id(node) in seen:
            advice = "write it out at the second place; aliases of plain words are fine"
            stage.say.at(
                node, f"{kind_of(node)} that stands twice in {stage.fields.what}, by an alias", advice
            )
        seen.add(id(node))


def _nodes(node: Node) -> Iterator[Node]:
    """A node and all nodes below it, keys too; what an alias names comes at each place."""
    yield node
    if isinstance(node, MappingNode):
        for key, child in pairs(node):
            yield key
            yield from _nodes(child)
    elif isinstance(node, SequenceNode):
        for child in node.value:
            yield from _nodes(child)


def env_names_and_values(stage: StageDraft, world: World) -> None:
    """Environment variables have names, and values that are text."""
    inputs = {leaf.name for leaf in stage.leaves}
    for key, node in stage.fields.pairs("env"):
        name = str(key.value)
        if not is_text(key) or not is_variable(name):
            advice = "letters, digits and _, such as OMP_NUM_THREADS"
            stage.say.at(key, f"'{name}' cannot be the name of an environment variable", advice)
        elif name.startswith("PACH_") or name in inputs:
            advice = "choose another name"
            stage.say.at(key, f"the environment variable '{name}' is set by trunkline", advice)
        if not is_text(node):
            advice = f'write {name}: "{node.value}"' if not isinstance(node.value, list) else "write text"
            stage.say.at(node, f"the value of '{name}' must be text; this is {kind_of(node)}", advice)
