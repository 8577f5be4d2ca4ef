"""What every parameter must be: what JSON can say, so that every reader and writer holds the same value."""

from __future__ import annotations

import math

from trunkline.spec.read import MappingNode, Node, SequenceNode, pairs, value
from trunkline.spec.say import Say, is_text, kind_of


def plain(node: Node, say: Say) -> None:
    """Report what in a value is no JSON."""
    if isinstance(node, SequenceNode):
        for child in node.value:
            plain(child, say)
    elif isinstance(node, MappingNode):
        for key, child in pairs(node):
            if not is_text(key) or key.value == "":
                advice = f'write it in quotes: "{key.value}"' if key.value else "give it a name"
                say.at(key, f"a key must be text that is not empty; this is {kind_of(key)}", advice)
            plain(child, say)
    elif kind_of(node) == "a date":
        say.at(node, f"'{node.value}' is a date for YAML", f'write it in quotes: "{node.value}"')
    elif isinstance(found := value(node), float) and not math.isfinite(found):
        say.at(node, f"'{node.value}' is no finite number", "write a number, null, or text in quotes")
