"""The project that suffers: small, real, with every kind of stage that a crash can meet.

    data/raw/           a source dataset, some dozen small files
    mill.upper          a cheap function, one datum a file, two output files each
    mill.twice          a command, so its datums run in worker processes
    mill.total          one datum over a directory of `upper`
    mill.apart          a function in worker processes, which takes half a second to prepare: not in the short form
    mill.more_1 …       stages that come in the course of a life

It is changed at random, as a person would: by `put` and `rm`, by hand, in code, parameters, comments.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support import Done, Tree
from tests.torture.forks import Forks

RUN = ("trunkline", "run", "--engine", "local")

_HEAD = """\
pipeline: mill

stages:
  upper:
    run: stages.mill:upper
    input: {raw: raw/*.txt}
    params: {suffix: "!"}
  twice:
    cmd: [sh, scripts/twice.sh]
    input: {raw: raw/a*.txt}
    datum_tries: 3
  total:
    run: stages.mill:total
    input: {texts: upper/text}
    metrics: [metrics.json]
"""

_APART = """\
  apart:
    run: stages.mill:apart
    input: {raw: "raw/[bc]*.txt"}
    datum_timeout: 60s
"""

_MORE = """\
  more_{number}:
    run: stages.more:more
    input: {{texts: upper/text/b*}}
"""

_MILL = '''\
"""Stages over small texts."""

from pathlib import Path

MARK = "0"


def upper(raw: Path, *, suffix: str):
    text = raw.read_text().upper() + MARK + suffix
    return {f"text/{raw.stem}.txt": text, f"size/{raw.stem}.json": {"characters": len(text)}}


def apart(raw: Path, out: Path):
    (out / "of" / raw.stem).mkdir(parents=True)
    for line in raw.read_text().splitlines()[:3]:
        (out / "of" / raw.stem / f"{len(line)}.txt").write_text(line)


def total(texts: list[Path]):
    return {"metrics.json": {"files": len(texts), "characters": sum(len(p.read_text()) for p in texts)}}
'''

_MORE_CODE = '''\
"""What comes later."""

from pathlib import Path


def more(texts: Path):
    return {texts.name: texts.read_text()[::-1]}
'''

_TWICE = """\
# 0
cat "$raw" "$raw" > "pfs/out/$(basename "$raw")"
"""


def make(root: Path, files: int, forks: Forks, *, short: bool) -> Tree:
    """The project, with so many files, compiled and committed, not yet run."""
    root.mkdir(parents=True)
    tree = Tree(root)
    tree.git("init", "-q", "-b", "main")
    forks.warm(root, "dvc", "init", "-q")
    tree.write(".gitignore", "/.trunkline/\n__pycache__/\n")
    tree.write("pipelines/mill.yaml", _HEAD if short else _HEAD + _APART)
    tree.write("stages/mill.py", _MILL)
    tree.write("stages/more.py", _MORE_CODE)
    tree.write("scripts/twice.sh", _TWICE)
    for number in range(files):
        tree.write(f"data/raw/{'abcdef'[number % 6]}{number // 6}.txt", f"text {number} of the mill\n" * 3)
    forks.warm(root, "dvc", "add", "-q", "data/raw")
    forks.warm(root, "trunkline", "compile")
    tree.commit("Start")
    return tree


def sources_only(tree: Tree, to: Path) -> Tree:
    """A copy that has never run anything."""
    shutil.copytree(
        tree.root,
        to,
        symlinks=True,
        ignore=lambda folder, _: _NEVER.get(str(Path(folder).relative_to(tree.root)), set()),
    )
    return Tree(to)


_NEVER = {".": {".trunkline", "dvc.lock"}, ".dvc": {"cache", "tmp"}, "data": {"mill"}}


class Changes:
    """Random changes of one project. Each says in a word what it was."""

    def __init__(self, tree: Tree, forks: Forks, rng: random.Random) -> None:
        self._tree = tree
        self._forks = forks
        self._rng = rng
        self._count = 0
        self._stages = 0
        self.last = Done(0, "", "")  # of these commands

    def any(self) -> str:
        """One that leaves something to do."""
        choices: list[Callable[[], str]] = [
            self.edit, self.edit, self.edit, self.add, self.delete, self.code, self.param, self.script,
            self.comment, self.same, self.take_back, self.take_back, self.lose_lock, self.lose_memo, self.lose_workspace, self.put, self.remove,
        ]  # fmt: skip
        return self._rng.choice(choices)()

    # ------------------------------------------------------------ data, by hand

    def edit(self) -> str:
        """Some files have other contents."""
        for name in self._some(self._rng.choice(("b", "bc", "ab"))):
            self._tree.write(f"data/raw/{name}", self._text())
        return "edit"

    def add(self) -> str:
        """There is one file more."""
        self._tree.write(f"data/raw/{self._name()}", self._text())
        return "add"

    def delete(self) -> str:
        """A file is gone."""
        (self._tree.root / "data/raw" / self._rng.choice(self._files())).unlink()
        return "delete"

    def same(self) -> str:
        """Two files are equal."""
        one, other = self._rng.sample(self._files(), 2)
        self._tree.write(f"data/raw/{one}", self._tree.read(f"data/raw/{other}"))
        return "same"

    # ------------------------------------------------------------ data, by commands

    def put(self, crash: str = "", files: int = 2) -> str:
        """`trunkline put` of new and changed files; refused where something is unversioned."""
        place = self._incoming(files)
        self.last = self._forks.run(self._tree.root, "trunkline", "put", "raw", str(place), crash=crash)
        shutil.rmtree(place)
        return "put"

    def put_new(self, crash: str = "") -> str:
        """`trunkline put` into a dataset that there was not."""
        self._count += 1
        place = self._incoming(2)
        name = f"other_{self._count}"
        self.last = self._forks.run(self._tree.root, "trunkline", "put", name, str(place), crash=crash)
        shutil.rmtree(place)
        return "put_new"

    def remove(self, crash: str = "") -> str:
        """`trunkline rm` of some files."""
        names = self._rng.sample(self._files(), 2)
        self.last = self._forks.run(self._tree.root, "trunkline", "rm", "raw", *names, crash=crash)
        return "rm"

    # ------------------------------------------------------------ code and declarations

    def code(self) -> str:
        """The function does something else."""
        return self._rewrite("stages/mill.py", "MARK = ", f'MARK = "{self._rng.randrange(10**6)}"')

    def comment(self) -> str:
        """The code has another comment."""
        return self._rewrite("stages/mill.py", '"""', f'"""Stages over small texts."""  # {self._number()}')

    def script(self) -> str:
        """The command's script is another."""
        return self._rewrite("scripts/twice.sh", "# ", f"# {self._number()}")

    def param(self) -> str:
        """A parameter has another value."""
        return self._rewrite(
            "pipelines/mill.yaml", "    params: ", f'    params: {{suffix: "{self._number()}"}}'
        )

    def stage(self) -> str:
        """There is one stage more."""
        self._stages += 1
        text = self._tree.read("pipelines/mill.yaml") + _MORE.format(number=self._stages)
        self._tree.write("pipelines/mill.yaml", text)
        return "stage"

    def take_back(self) -> str:
        """Everything declared, coded and given is as in the last commit."""
        self._tree.git("checkout", "-q", "HEAD", "--", "pipelines", "stages", "scripts", "data/raw.dvc")
        self.last = self._forks.run(self._tree.root, "dvc", "checkout", "-q", "-f", "data/raw.dvc")
        return "take_back"

    # ------------------------------------------------------------ losses

    def lose_lock(self) -> str:
        """Somebody has deleted dvc.lock."""
        (self._tree.root / "dvc.lock").unlink(missing_ok=True)
        return "lose_lock"

    def lose_memo(self) -> str:
        """The memory of stats is gone."""
        (self._tree.root / ".dvc/tmp/trunkline/memo.db").unlink(missing_ok=True)
        return "lose_memo"

    def lose_workspace(self) -> str:
        """The outputs are gone from the workspace."""
        shutil.rmtree(self._tree.root / "data/mill/upper", ignore_errors=True)
        return "lose_workspace"

    # ------------------------------------------------------------ small things

    def _rewrite(self, path: str, begin: str, line: str) -> str:
        lines = self._tree.read(path).splitlines()
        at = next(number for number, old in enumerate(lines) if old.startswith(begin))
        lines[at] = line
        self._tree.write(path, "\n".join(lines) + "\n")
        return path

    def _incoming(self, files: int) -> Path:
        place = self._tree.root.parent / "incoming"
        place.mkdir()
        for name in [*self._rng.sample(self._files(), max(0, files - 1)), self._name()]:
            (place / name).write_text(self._text())
        return place

    def _files(self) -> list[str]:
        return sorted(path.name for path in (self._tree.root / "data/raw").iterdir())

    def _some(self, letters: str) -> list[str]:
        """A file of each of these letters."""
        found = [self._rng.choice([n for n in self._files() if n[0] == c] or self._files()) for c in letters]
        return sorted(set(found))

    def _name(self) -> str:
        return f"{self._rng.choice('abc')}{self._number()}.txt"

    def _number(self) -> int:
        self._count += 1
        return 1000 + self._count

    def _text(self) -> str:
        return f"line {self._rng.randrange(10**9)}\n" * self._rng.choice([1, 3, 300])

    def take_over(self, other: Changes) -> None:
        """Go on counting where another left off."""
        self._count, self._stages = other._count, other._stages
