"""YAML in and out for the files that are DVC's: read as DVC reads, written as DVC writes.

Both libraries are imported at the first use: with nothing to do, everything comes from the memo.
"""

from __future__ import annotations

import io
from typing import Any


def load(text: str, file: str) -> Any:
    """The plain value of a YAML text. Raises SpecError with file, line and column."""
    from trunkline.spec.read import load as read

    return read(text, file)


def load_commented(text: str) -> Any:
    """The value of a YAML text that was read before, with its comments and layout."""
    return _yaml().load(text)


def dump(data: Any) -> str:
    """The text that DVC would write for `data`. What stands in it twice gets an anchor, as there."""
    stream = io.StringIO()
    _yaml().dump(data, stream)
    return stream.getvalue()


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    return yaml
