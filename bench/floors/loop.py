"""A stage's function on every file of a directory, in a loop: read, compute, write, nothing else.

python loop.py texts|frames SOURCE TARGET
"""

import os
import sys
from pathlib import Path


def texts(source: Path, target: Path) -> None:
    """`stages.texts:upper` on text files."""
    from stages.texts import upper  # type: ignore[import-not-found]

    for path in sorted(source.iterdir()):
        for name, text in upper(path).items():
            (target / name).write_bytes(text.encode())


def frames(source: Path, target: Path) -> None:
    """`stages.frames:scaled` on Parquet files, read and written the quick way."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from stages.frames import scaled  # type: ignore[import-not-found]

    for path in sorted(source.iterdir()):
        with pq.ParquetFile(path) as file:
            frame = file.read(use_threads=False).to_pandas(use_threads=False)
        table = pa.Table.from_pandas(scaled(frame), preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, target / path.name, compression="zstd", compression_level=3)


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    kind, source, target = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    {"texts": texts, "frames": frames}[kind](Path(source), Path(target))
