"""One git worktree per deployment, where its runs work: `<home>/.trunkline/worktrees/<name>/`.

    make     `git worktree add --detach` at a commit of the tracked branch
    refresh  untracked files go, tracked ones become the commit's; what git ignores stays: data, memo
    repair   a worktree that is missing, half-made, pruned or another repository's is made again
    hold     a lock (flock) that one run of the deployment has, for as long as it works there

The home's HEAD, index and working tree are never touched, whatever is edited, staged or under way in it;
of its repository only what git itself writes for a worktree. Its hooks do not run. `.dvc/config.local` of
the worktree names the home's cache, and says all that the home's own configuration says.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property

from trunkline.errors import LockedError, ProjectError, StoreError, UsageError
from trunkline.spec.names import NAME
from trunkline.store import config, home
from trunkline.store.files import remove_quietly, replace_bytes
from trunkline.store.gitcall import attempt, call, text
from trunkline.store.locks import file_lock, holder

__all__ = ["Worktree"]

# no hook of the user's (`dvc install` has one after each checkout), no submodules, no watcher of files
_PLAIN = ("-c", f"core.hooksPath={os.devnull}", "-c", "submodule.recurse=false", "-c", "core.fsmonitor=false")
_PATIENCE = 10.0  # seconds for a git that a killed run left under way
_KEPT = (".dvc/tmp", ".dvc/config.local", ".dvc/cache")
_HALF = "initializing"  # why git locks a worktree that it is making


class Worktree:
    """The worktree of the deployment `name` of the project at `home`. `hold` it while changing it."""

    def __init__(self, home_root: str, name: str) -> None:
        if not NAME(name):
            raise UsageError(f"{name!r} is no pipeline's name", hint="`trunkline deploy --list` lists them")
        self.home = os.path.realpath(home_root)
        self.name = name
        self.path = os.path.join(self.home, home.FOLDER, name)

    @cached_property
    def root(self) -> str:
        """The project's root inside of the worktree."""
        code, out, _ = attempt(self.home, "rev-parse", "--show-prefix")  # fails in a bare repository
        prefix = "" if code else text(out).rstrip("\n")
        return os.path.join(self.path, prefix).rstrip("/")

    # ------------------------------------------------------------ what it tracks

    @property
    def branch(self) -> str:
        """The branch that the deployment tracks, "" where nothing has said yet."""
        return home.read_branch(self.home, self.name)

    @property
    def fetches(self) -> bool:
        """Whether the home is a clone that exists for deployed runs alone, and follows its origin."""
        return home.read_clone(self.home, self.name)

    def track(self, branch: str, *, clone: bool = False) -> None:
        """Say which branch the deployment tracks."""
        self._make_folder()
        data = json.dumps({"branch": branch, "clone": clone}) + "\n"
        replace_bytes(home.note(self.home, self.name), data.encode())

    # ------------------------------------------------------------ the lock

    @contextmanager
    def hold(self, say: Callable[[str], None], *, wait: bool = True) -> Iterator[None]:
        """Be the one run that works here. Waits for another, however long, and says for which.

        Without `wait` raises LockedError.
        """
        self._make_folder()
        lock = f"{self.path}.lock"
        with ExitStack() as stack:
            try:
                stack.enter_context(file_lock(lock, patience=0.0))
            except LockedError:
                if not wait:
                    raise LockedError(
                        f"a run of {self.name} is at work: {holder(lock)}",
                        where=self.path,
                        hint="wait until it is done, or cancel it, and repeat",
                    ) from None
                say(f"another run of {self.name} is at work: waiting for {holder(lock)}")
                stack.enter_context(file_lock(lock, patience=float("inf")))
            yield

    # ------------------------------------------------------------ make, refresh, repair

    def is_sound(self) -> bool:
        """Whether it is there, whole, and a worktree of the home's repository."""
        if not os.path.isdir(self.path):
            return False
        try:
            out = call(self.path, "rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir")
            top, own, common = text(out).split("\n")[:3]
            mine = text(call(self.home, "rev-parse", "--git-common-dir")).rstrip("\n")
        except ProjectError:
            return False
        # a project that was copied, worktrees and all, has worktrees of the one that it was copied from
        back = _read(os.path.join(own, "gitdir")).rstrip("\n")
        return (
            _same(top, self.path)
            and _same(os.path.join(self.path, common), os.path.join(self.home, mine))
            and _same(os.path.join(own, back), os.path.join(self.path, ".git"))
            and _read(os.path.join(own, "locked")).strip() != _HALF
        )

    def bring_to(self, commit: str) -> None:
        """Make its tracked files those of `commit`, whatever state it is in. Raises ProjectError."""
        if self.is_sound():
            try:
                self._refresh(commit)
            except ProjectError:  # a damaged index, say
                self._make(commit)
        else:
            self._make(commit)
        self._configure()
        # remembers where stages that are new in dvc.lock go: in the one that was there
        remove_quietly(os.path.join(self.root, ".dvc", "tmp", "trunkline", "young.json"))

    def is_made(self) -> bool:
        """Whether there is anything of it."""
        return os.path.lexists(self.path) or os.path.exists(home.note(self.home, self.name))

    def remove(self) -> None:
        """Take it away; nothing is lost by it but time. Raises StoreError."""
        attempt(self.home, *_PLAIN, "worktree", "remove", "--force", "--force", self.path)
        _remove(self.path)
        remove_quietly(home.note(self.home, self.name))

    def _refresh(self, commit: str) -> None:
        # First what is untracked, while the .gitignore lines of the last run still tell what is data.
        self._git("clean", "-ffdq", *(f"--exclude=/{self._inside(path)}" for path in _KEPT))
        # Detached whatever HEAD is: a branch that somebody checked out here must not move.
        self._git("checkout", "--force", "--detach", "--quiet", commit, "--")

    def _make(self, commit: str) -> None:
        self._make_folder()
        _remove(self.path)
        # twice: also where git still has a worktree of that path, and had locked it
        add = ("worktree", "add", "--force", "--force", "--detach", self.path, commit)
        code, _, stderr = attempt(self.home, *_PLAIN, *add)
        if code:
            raise ProjectError(f"git cannot make a worktree: {_last(stderr)}", where=self.path)
        code, out, _ = attempt(self.path, "config", "--type=bool", "--get", "core.sparseCheckout")
        if not code and text(out).strip() == "true":
            self._git("sparse-checkout", "disable")

    def _make_folder(self) -> None:
        folder = os.path.dirname(self.path)
        ignore = os.path.join(folder, ".gitignore")
        try:
            os.makedirs(folder, exist_ok=True)
            if not os.path.exists(ignore):
                replace_bytes(ignore, b"*\n")
        except OSError as error:
            raise StoreError(f"deployed runs cannot work here: {error.strerror}", where=folder) from error

    def _git(self, *arguments: str) -> None:
        """`git …` in the worktree. A lock of a git that was killed is waited for, then removed."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            code, _, stderr = attempt(self.path, *_PLAIN, *arguments)
            if not code:
                return
            if "File exists" not in stderr or time.monotonic() > deadline + 1.0:
                raise ProjectError(f"`git {arguments[0]}` failed: {_last(stderr)}", where=self.path)
            if time.monotonic() > deadline:
                own = text(call(self.path, "rev-parse", "--absolute-git-dir")).rstrip("\n")
                for name in ("index.lock", "HEAD.lock"):
                    remove_quietly(os.path.join(own, name))
            time.sleep(0.1)

    def _inside(self, path: str) -> str:
        return os.path.relpath(os.path.join(self.root, path), self.path)

    # ------------------------------------------------------------ DVC's configuration

    def _configure(self) -> None:
        folder = os.path.join(self.root, ".dvc")
        tracked = os.path.join(folder, "config")
        if not os.path.isfile(tracked):
            raise ProjectError(
                "there is no DVC project in this commit", where=self.root, hint="commit .dvc/config"
            )
        theirs = os.path.join(self.home, ".dvc")
        project = _read(tracked), os.path.join(theirs, "config")
        local = _read(os.path.join(theirs, "config.local")), os.path.join(theirs, "config.local")
        cache_dir = os.path.realpath(config.load(self.home, instead=tracked).cache_dir)
        wanted = config.elsewhere(project, local, cache_dir)
        path = os.path.join(folder, "config.local")
        if _read(path) != wanted:
            replace_bytes(path, wanted.encode(), mode=0o600)  # it may hold secrets


# ---------------------------------------------------------------- files


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=path) from error


def _same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)  # a git that a killed run left may still write here
            if os.path.exists(path):
                shutil.rmtree(path)
        else:
            remove_quietly(path)
    except OSError as error:
        raise StoreError(
            f"a damaged worktree cannot be removed: {error.strerror}", where=error.filename or path
        ) from error


def _last(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if not line.startswith(("hint:", "Preparing worktree"))]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else "it did not say why"
