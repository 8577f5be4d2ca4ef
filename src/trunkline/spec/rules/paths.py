"""What every path in a pipeline file must be: inside, plain, there once."""

from __future__ import annotations

from collections.abc import Iterator

from trunkline.spec.drafts import StageDraft
from trunkline.spec.fields import Text
from trunkline.spec.names import path_fault
from trunkline.spec.say import Say


def paths(stage: StageDraft, key: str, example: str) -> Iterator[Text]:
    """The well-formed paths of a key that holds a list of them; the others are reported."""
    seen: set[str] = set()
    for path in stage.fields.texts(key):
        if check_path(path, example, stage.say, seen):
            yield path


def check_path(path: Text, example: str, say: Say, seen: set[str] | None = None) -> bool:
    """Whether a path is well-formed, and not in `seen`; what is wrong is reported."""
    fault = path_fault(path.text)
    if fault:
        say.at(path.node, f"the path '{path.text}' {fault}", f"write a path {example}")
    elif seen is not None and path.text in seen:
        say.at(path.node, f"'{path.text}' is here twice", "take one of them out")
    elif seen is not None:
        seen.add(path.text)
    return not fault
