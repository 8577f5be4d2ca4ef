"""Commits of a few named files, by plumbing: whatever else is staged or edited stays as it is.

    the paths   staged where the index had them as HEAD has them
    the tree    HEAD's with the paths changed, through a temporary index
    the branch  moved by compare-and-swap; where another commit came first, the same on top of it

In this order: a kill in between leaves the paths staged and nothing else. The working tree is never
written: it is the caller's, and holds the new contents already or still the old ones. Refused: a
merge, rebase, cherry-pick, revert or bisect under way, a detached HEAD, no identity, and a path
that somebody has edited, staged or not.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence

from trunkline.errors import ProjectError
from trunkline.points import Point, reached
from trunkline.store import trees
from trunkline.store.gitcall import Place, attempt, call, environment, text
from trunkline.store.trees import ABSENT, Entry

_IN_PROGRESS = {
    "MERGE_HEAD": ("a merge", "finish it with `git commit`, or `git merge --abort`"),
    "rebase-merge": ("a rebase", "finish it with `git rebase --continue`, or `git rebase --abort`"),
    "rebase-apply": ("a rebase", "finish it with `git rebase --continue`, or `git rebase --abort`"),
    "CHERRY_PICK_HEAD": (
        "a cherry-pick",
        "finish it with `git cherry-pick --continue`, or `git cherry-pick --abort`",
    ),
    "REVERT_HEAD": ("a revert", "finish it with `git revert --continue`, or `git revert --abort`"),
    "BISECT_LOG": ("a bisect", "finish it with `git bisect reset`"),
}
_ATTEMPTS = 12
_CONFLICT = "conflict"


def ready_to_commit(root: str, paths: Sequence[str]) -> None:
    """See that `paths` could be committed now, and are as HEAD has them. Raises ProjectError.

    For a caller that wants to know before it changes anything.
    """
    place = Place.of(root)
    branch = _branch(place)
    _identity(place)
    base = trees.entries(place, trees.tip(place, branch), paths)
    _refuse_edits(place, base, base)


def ready_to_stage(root: str, paths: Sequence[str]) -> None:
    """See that the working tree has `paths` as they are staged. Raises ProjectError."""
    place = Place.of(root)
    index = _index_entries(place, dict.fromkeys(paths))
    _refuse_edits(place, index, index)


def commit_paths(root: str, paths: Sequence[str], message: str, *, hooks: bool = False) -> str:
    """Commit `paths` as the working tree has them. As `commit_files`."""
    return commit_files(root, _contents(root, paths), message, hooks=hooks)


def commit_files(root: str, changes: Mapping[str, bytes | None], message: str, *, hooks: bool = False) -> str:
    """Commit new contents (None: deletion) of these files alone; the commit.

    Where HEAD says so already, nothing is done and HEAD is the answer. Raises ProjectError.
    """
    place = Place.of(root)
    branch = _branch(place)
    _identity(place)
    tip = trees.tip(place, branch)
    base = trees.entries(place, tip, changes)
    target = trees.targets(place, changes, base)
    _refuse_edits(place, base, target)
    staged = _stage(place, base, target)
    reached(Point.COMMIT_STAGED)
    try:
        for number in range(_ATTEMPTS):
            if commit := _on_top(place, branch, tip, target, message, hooks):
                return commit
            time.sleep(0.02 * number)
            tip = trees.tip(place, branch)
            _refuse_others(place, base, target, trees.entries(place, tip, changes))
    except BaseException:
        _unstage(place, branch, target, staged)
        raise
    _unstage(place, branch, target, staged)
    raise ProjectError(
        f"{branch.removeprefix('refs/heads/')} could not be moved: other commits kept coming first",
        where=root,
        hint="run the command again; if it stays so, look for a stale `.lock` file below .git/refs",
    )


def stage(root: str, paths: Sequence[str]) -> None:
    """Stage `paths` as the working tree has them. As `stage_files`."""
    stage_files(root, _contents(root, paths))


def stage_files(root: str, changes: Mapping[str, bytes | None]) -> None:
    """Put new contents of these files into the index, on top of what is staged of them already.

    Raises ProjectError where the working tree has neither that nor the new contents.
    """
    place = Place.of(root)
    base = _index_entries(place, changes)
    target = trees.targets(place, changes, base)
    _refuse_edits(place, base, target)
    _stage(place, base, target)


# ---------------------------------------------------------------- what is there


def _contents(root: str, paths: Sequence[str]) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for path in paths:
        try:
            with open(os.path.join(root, path), "rb") as stream:
                found[path] = stream.read()
        except FileNotFoundError:
            found[path] = None
        except OSError as error:
            raise ProjectError(f"{path} cannot be read: {error.strerror}", where=path) from error
    return found


def _branch(place: Place) -> str:
    """The full name of the branch that is checked out, if a commit may be made on it now."""
    for name, (what, hint) in _IN_PROGRESS.items():
        if os.path.lexists(os.path.join(place.directory, name)):
            raise ProjectError(f"{what} is under way in this repository", where=place.root, hint=hint)
    code, out, _ = attempt(place.root, "symbolic-ref", "--quiet", "HEAD")
    if code:
        raise ProjectError(
            "no branch is checked out (HEAD is detached), so a commit would be lost",
            where=place.root,
            hint="type `git switch -c NAME` to begin a branch here, or `git switch BRANCH`",
        )
    return text(out).strip()


def _identity(place: Place) -> None:
    """See that git knows who commits, without guessing from user and host."""
    if not trees.has_identity(place):
        raise ProjectError(
            "git does not know who you are, so it cannot commit",
            where=place.root,
            hint='type `git config --global user.name "Your Name"`\n'
            "and  `git config --global user.email you@example.com`",
        )


def _index_entries(place: Place, paths: Mapping[str, object]) -> dict[str, Entry]:
    """The index's entries; a conflict has a mode that nothing else has."""
    full = {place.full(path): path for path in paths}
    entries = dict.fromkeys(paths, ABSENT)
    out = call(place.top, "--literal-pathspecs", "ls-files", "--stage", "-z", "--", *full)
    for line in filter(None, text(out).split("\0")):
        facts, path = line.split("\t", 1)
        mode, blob, number = facts.split(" ")
        if path in full:
            entries[full[path]] = Entry(mode if number == "0" else _CONFLICT, blob)
    return entries


def _refuse_edits(place: Place, base: Mapping[str, Entry], target: Mapping[str, Entry]) -> None:
    """Refuse where the index or the working tree holds neither HEAD's content nor the new one."""
    index = _index_entries(place, base)
    contents = _contents(place.root, list(base))
    for path, old in base.items():
        allowed = {old.blob, target[path].blob}
        if index[path].mode == _CONFLICT:
            raise _edited(path, "is in conflict", f"git add -- {path} && git commit")
        if index[path].blob not in allowed:
            raise _edited(path, "is staged and not committed", f"git commit -- {path}")
        data = contents[path]
        if (ABSENT.blob if data is None else trees.blob(place, path, data, write=False)) not in allowed:
            untracked = old == index[path] == ABSENT
            what = "is there and was never committed" if untracked else "is edited and not committed"
            raise _edited(path, what, f"git add -- {path} && git commit -- {path}")


def _edited(path: str, what: str, keep: str) -> ProjectError:
    return ProjectError(
        f"{path} {what}", where=path, hint=f"commit it first (`{keep}`), or put back what was there"
    )


def _refuse_others(
    place: Place, base: Mapping[str, Entry], target: Mapping[str, Entry], now: Mapping[str, Entry]
) -> None:
    for path, entry in now.items():
        if entry not in (base[path], target[path]):
            raise ProjectError(
                f"{path} was changed by another commit at the same time",
                where=place.root,
                hint="run the command again, on top of that commit",
            )


# ---------------------------------------------------------------- what changes


def _unstage(place: Place, branch: str, target: Mapping[str, Entry], staged: Sequence[str]) -> None:
    """Take back what was staged: to what HEAD has now, which another commit may have moved meanwhile."""
    now = trees.entries(place, trees.tip(place, branch), staged)
    _stage(place, target, {path: now[path] for path in staged})


def _stage(place: Place, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    """Change the real index where it has `before`; the paths that were changed."""
    null = trees.null_id(None, before, after)
    for number in range(_ATTEMPTS):
        index = _index_entries(place, after)
        wanted = {
            path: entry
            for path, entry in after.items()
            if index[path] == before[path] and entry != before[path]
        }
        if not wanted:
            return []
        data = trees.index_info(place, wanted, null)
        code, _, stderr = attempt(place.top, "update-index", "-z", "--index-info", data=data)
        if not code:
            return list(wanted)
        if "index.lock" not in stderr:
            break
        time.sleep(0.05 * (number + 1))
    raise ProjectError(
        "git's index cannot be written",
        where=os.path.join(place.directory, "index"),
        hint="wait for the other git command to end; if there is none, delete index.lock beside it\n"
        + stderr,
    )


def _on_top(
    place: Place, branch: str, tip: str | None, target: Mapping[str, Entry], message: str, hooks: bool
) -> str | None:
    """A commit of `target` on `tip`, and the branch moved there; None where the branch has moved."""

    def look(index: Mapping[str, str]) -> None:
        if hooks:
            _run_hook(place, "pre-commit", [], index)

    tree = trees.tree_of(place, tip, target, look)
    if tip is not None and tree == trees.tip(place, f"{tip}^{{tree}}"):
        return tip
    message = _message(place, message, hooks)
    commit = trees.commit_tree(place, tree, [] if tip is None else [tip], message)
    reached(Point.COMMIT_MADE)
    reflog = f"commit: {message.partition(chr(10))[0]}"
    code, _, _ = attempt(
        place.root, "update-ref", "-m", reflog, branch, commit, tip or trees.null_id(tip, target)
    )
    if code:
        return None
    reached(Point.HEAD_MOVED)
    return commit


def _message(place: Place, message: str, hooks: bool) -> str:
    """The message as the commit-msg hook leaves it."""
    message = message.strip() + "\n"
    if not hooks:
        return message
    with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
        path = os.path.join(folder, "COMMIT_EDITMSG")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(message)
        _run_hook(place, "commit-msg", [path], {})
        with open(path, encoding="utf-8") as stream:
            return stream.read()


def _run_hook(place: Place, name: str, arguments: list[str], extra: Mapping[str, str]) -> None:
    """Run a hook as git does, at the top of the work tree. Raises ProjectError with what it says."""
    out = text(call(place.top, "rev-parse", "--git-path", f"hooks/{name}")).strip()
    hook = os.path.join(place.top, out)
    if not os.access(hook, os.X_OK):
        return
    env = environment({"GIT_EDITOR": ":", **extra})
    try:
        done = subprocess.run(
            [hook, *arguments], cwd=place.top, env=env, input=b"", capture_output=True, check=False
        )
    except OSError as error:
        raise ProjectError(f"the hook {name} cannot be run: {error.strerror}", where=hook) from error
    if done.returncode:
        said = text(done.stdout + done.stderr).strip()
        raise ProjectError(
            f"the hook {name} refused the commit" + (f":\n{said}" if said else ""),
            where=hook,
            hint="mend what it names, or leave --hooks out",
        )
