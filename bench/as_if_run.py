"""Leave a project as if its one stage had run over very many datums, without running them.

    python as_if_run.py

Everything that planning reads is there and real: results index, manifest, dvc.lock, the objects of
the outputs. Only the outputs' contents are made up: each object is a further name of a few small
files, whose stat is remembered as intact.
"""

import os
import sys

from trunkline.digest import md5_bytes
from trunkline.listing import version
from trunkline.model import File, LockEntry, LockItem, ManifestRow, Result
from trunkline.project import Project

NAMES = 50_000  # of one file: ext4 allows 65,000


def main(root: str) -> None:
    """For the first stage of the project at `root`."""
    with Project(root) as project:
        project.compile()
        stage = project.stages[0]
        planner, store = project.planner, project.store
        datums, keys = planner.keyed(stage)
        contents = [md5_bytes(datum.id.encode()) for datum in datums]
        remember_objects(project, contents)
        rows = [
            ManifestRow(datum, key, (File(f"{datum.name}.txt", md5, 8),))
            for datum, key, md5 in zip(datums, keys, contents, strict=True)
        ]
        project.ledger.record(stage.ref, (Result(row.key, row.files, "made-up", 0.001) for row in rows))
        manifest = store.save_manifest(stage.manifest_path, rows, planner.transform(stage))
        output = version(tuple(sorted(row.files[0] for row in rows)))
        entry = planner.expected(stage)
        outs = (LockItem(stage.manifest_path, *manifest), LockItem(stage.path, *output))
        store.write_lock(stage.dvc_name, LockEntry(entry.cmd, entry.deps, entry.params, outs))


def remember_objects(project: Project, contents: list[str]) -> None:
    """Objects of these md5s, each with a stat that the memo knows."""
    store, stats = project.store, {}
    for number, md5 in enumerate(contents):
        path = store.object_path(md5)
        if number % NAMES == 0:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(b"made up\n")
            os.chmod(path, 0o444)
            first, found = path, os.stat(path)
        else:
            try:
                os.link(first, path)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.link(first, path)
        stats[md5] = (found.st_ino, found.st_size, found.st_mtime_ns)
    store.memo.save_objects(stats)


if __name__ == "__main__":
    main(os.getcwd())
    sys.exit(0)
