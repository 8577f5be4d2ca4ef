"""A stage whose outputs were made before: what remains of a run is committing them."""

from __future__ import annotations

import os
from pathlib import Path


def deliver(out: Path, *, prepared: str) -> None:
    """Put the prepared directory where the outputs are expected, by one rename."""
    os.rename(Path.cwd() / prepared, out)
