"""What a process that was killed while it replaced a file has left beside it, and its removal.

.dvc.lock.<pid>.<8 hexadecimal digits>      as `files.replace_bytes` names it
"""

from __future__ import annotations

import contextlib
import os
import re

from trunkline.store.locks import is_alive

_TEMPORARY = re.compile(r"\..+\.([0-9]+)\.[0-9a-f]{8}")


def remove_leftovers(directory: str) -> None:
    """Remove the temporary files in `directory` whose process was killed while it replaced a file."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        found = _TEMPORARY.fullmatch(name)
        if found is not None and not is_alive(int(found[1])):
            with contextlib.suppress(OSError):  # somebody else's, or a disk that cannot be written to
                os.unlink(os.path.join(directory, name))
