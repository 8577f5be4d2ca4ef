"""Give the project in the working directory a past: N runs of five stages, as they would have been recorded.

    python record_runs.py N

A dataset of thirty files of which each run changed one; the listings of every version in the cache, and
the manifests of the last two hundred; run.json as `trunkline run` writes it, each with 150 packages; a
git ref for each run; 200 commits of dvc.lock and of the pointer. Prints, as JSON, what to ask about.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

from trunkline.digest import md5_bytes, md5_file, tree_bytes, tree_oid
from trunkline.ledger.ids import uuid7
from trunkline.ledger.owner import Owner
from trunkline.ledger.records import RunRecord, StageRecord, to_json
from trunkline.model import Datum, File, GitState, Item, LockEntry, LockItem, ManifestRow
from trunkline.store import lockfile, yamltext
from trunkline.store.manifest import write_manifest

FILES, COMMITS, MANIFESTS = 30, 200, 200
STAGES = {"upper": "letters", "again": "upper", "count": "again", "train": "count", "report": "train"}
COUNTS = {"run": 1, "reuse": FILES - 1, "drop": 0, "failed": 0, "recovered": 0, "wait": 0, "total": FILES}
Texts = Mapping[str, str]


def md5(text: str) -> str:
    """The hash of a text."""
    return md5_bytes(text.encode())


class Past:
    """The runs, one after the other."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._letters = {f"{number:02}.txt": "0" for number in range(FILES)}
        with open("pipelines/texts.yaml", encoding="utf-8") as stream:
            self._stages = yamltext.load(stream.read(), "pipelines/texts.yaml")["stages"]
        self._code = md5_file("stages/texts.py")
        self._history: list[bytes] = []
        self._ids: list[str] = []

    def record(self) -> dict[str, str]:
        """All of it; what to ask about."""
        asked: dict[str, str] = {}
        for number in range(self._runs):
            self._letters[f"{number % FILES:02}.txt"] = str(number)
            last = number == self._runs - 1
            letters = self._listed(self._letters, write=last)
            entries = dict(self._entries(number, letters))
            run = self._record(number, entries)
            if number == self._runs // 2:
                asked = {"run": run, "letters": letters, "model": entries["texts.train"].outs[1].md5}
            if number % (self._runs // COMMITS) == 0 or last:
                self._commit(number, letters, entries)
        feed = b"".join(self._history)
        subprocess.run(["git", "fast-import", "--quiet", "--force"], input=feed, check=True)
        subprocess.run(["git", "reset", "-q", "--hard"], check=True)
        refs = "".join(f"create refs/trunkline/runs/2026-01/{name} HEAD\n" for name in sorted(self._ids))
        subprocess.run(["git", "update-ref", "--stdin"], input=refs.encode(), check=True)
        return asked

    def _entries(self, number: int, letters: str) -> Iterable[tuple[str, LockEntry]]:
        texts, before, oid = dict(self._letters), "data/letters", letters
        for stage, source in STAGES.items():
            alone = stage in ("train", "report")
            made = (
                {f"{stage}.txt": f"{stage} {oid}"} if alone else {n: f"{stage} {t}" for n, t in texts.items()}
            )
            version = self._listed(made)
            rows = self._rows(source, texts, made, oid, alone=alone)
            manifest = self._manifest(rows) if number >= self._runs - MANIFESTS else md5(repr(rows)) + ".dir"
            declared = {**self._stages[stage]}
            if stage == "train":
                declared["params"] = {"alpha": (1 + number * 20 // self._runs) / 1000}
            yield f"texts.{stage}", LockEntry(
                f"trunkline exec texts.{stage}",
                (LockItem(before, oid, 900, len(texts)), LockItem("stages/texts.py", self._code, 800)),
                {"pipelines/texts.yaml": {f"stages.{stage}": declared}},
                (LockItem(f"data/texts/.manifests/{stage}", manifest, 900, 1),
                 LockItem(f"data/texts/{stage}", version, 900, len(made))),
            )  # fmt: skip
            texts, before, oid = made, f"data/texts/{stage}", version

    def _rows(self, source: str, texts: Texts, made: Texts, oid: str, *, alone: bool) -> list[ManifestRow]:
        name = source if source == "letters" else f"texts.{source}"
        if alone:
            items = [(Item("part", name, "", oid, 900, len(texts)),)]
        else:
            items = [(Item("part", name, path, md5(text), 9, None),) for path, text in texts.items()]
        files = [File(path, md5(text), len(text)) for path, text in made.items()]
        return [
            ManifestRow(Datum(md5(item[0].path), item[0].path, item), md5(item[0].oid), (file,))
            for item, file in zip(items, files, strict=True)
        ]

    def _manifest(self, rows: list[ManifestRow]) -> str:
        os.makedirs("aside", exist_ok=True)
        (file,) = write_manifest("aside", rows, "0" * 64)
        with open(f"aside/{file.path}", "rb") as stream:
            self._object(stream.read())
        return self._object(tree_bytes([(file.path, file.md5)]), ".dir")

    def _listed(self, texts: Texts, *, write: bool = False) -> str:
        pairs = [(path, md5(text)) for path, text in texts.items()]
        for path, text in texts.items() if write else ():
            with open(f"data/letters/{path}", "w", encoding="utf-8") as stream:
                stream.write(text)
        self._object(tree_bytes(pairs), ".dir")
        return tree_oid(pairs)

    def _object(self, data: bytes, suffix: str = "") -> str:
        oid = md5_bytes(data)
        os.makedirs(f".dvc/cache/files/md5/{oid[:2]}", exist_ok=True)
        with open(f".dvc/cache/files/md5/{oid[:2]}/{oid[2:]}{suffix}", "wb") as stream:
            stream.write(data)
        return oid + suffix

    def _record(self, number: int, entries: Mapping[str, LockEntry]) -> str:
        packages = {f"package-{each}": f"1.{each}.0" for each in range(149)}
        packages["numpy"] = f"2.{number * 20 // self._runs}.0"
        run, time = uuid7(), f"2026-01-{1 + number * 28 // self._runs:02}T00:00:00.{number % 1000:03}Z"
        stages = {
            ref: StageRecord(
                ref, "done", "run", (), COUNTS, time, time, 0.1, "0" * 64, entry, outcome="committed"
            )
            for ref, entry in entries.items()
        }
        record = RunRecord(
            run, "done", "trunkline", "trunkline run", time, GitState(f"{number:040x}", "main"), Owner(1, "", ""),
            {"python": "3.12.1", "system": "Linux", "machine": "x86_64", "packages": packages}, time, 1.0, {}, stages,
        )  # fmt: skip
        os.makedirs(f".trunkline/runs/{run}")
        with open(f".trunkline/runs/{run}/run.json", "w", encoding="utf-8") as stream:
            stream.write(to_json(record))
        self._ids.append(run)
        return run

    def _commit(self, number: int, letters: str, entries: Mapping[str, LockEntry]) -> None:
        stages = {ref.replace(".", "-"): lockfile.as_data(entry) for ref, entry in entries.items()}
        lock = yamltext.dump(json.loads(json.dumps({"schema": "2.0", "stages": stages})))
        pointer = f"outs:\n- md5: {letters}\n  size: 900\n  nfiles: {FILES}\n  hash: md5\n  path: letters\n"
        who = f"A Bench <bench@example.invalid> {1767225600 + number} +0000"
        start = "from refs/heads/main^0\n" if not self._history else ""
        text = f"commit refs/heads/main\ncommitter {who}\ndata 3\nrun\n{start}"
        for path, content in (("dvc.lock", lock), ("data/letters.dvc", pointer)):
            text += f"M 644 inline {path}\ndata {len(content)}\n{content}\n"
        self._history.append(text.encode())


if __name__ == "__main__":
    print(json.dumps(Past(int(sys.argv[1])).record()))
