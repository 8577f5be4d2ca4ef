"""A fixed part of the rows, for what would take too long on all of them.

    22,000 tweets  ->  1,760 of them, the same ones on every machine and in every run

Whether a row is in the sample is decided by a hash of the row alone: rows that are added or removed
beside it change nothing. The hash is salted with the seed, so that it has nothing to do with the one by
which `split` deals out rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from stages.split import places


def sample(rows: pa.Table, *, share: float = 0.1, key: Sequence[str] = (), seed: int = 7) -> pa.Table:
    """About `share` of the rows, in their order; `key` names the columns that identify one, or all do."""
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}: a part of the rows, above 0 and up to 1, is needed")
    missing = [name for name in key if name not in rows.column_names]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; there are {', '.join(rows.column_names)}")
    drawn = places(rows, key or rows.column_names, f"sample {seed}\x1e")
    return rows.filter(pa.array([place < share for place in drawn], pa.bool_()))
