r"""The branch that a deployment's results go to, moved by compare-and-swap and never forced.

    main                 o---o---o---o    what is tracked
                          \       \
    trunkline/flights      o-------o      each tree is the tracked commit's, with the results in it

Parents of a commit are the branch's last one and the tracked one, where neither is among the other's
ancestors; and origin's, where somebody else has pushed to the branch. So the branch can always be merged,
and pushed without force. A branch that is checked out anywhere is refused: whoever works there would see
all that the run made as edits of his own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.errors import ProjectError, UsageError
from trunkline.store import trees
from trunkline.store.gitcall import Place, attempt, call, text
from trunkline.store.locks import file_lock

REMOTE = "origin"
_ATTEMPTS = 12
# for a machine on which nobody has told git who he is, such as a container
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "trunkline"), ("EMAIL", "trunkline@localhost"))
}
_PLAIN = ("-c", f"core.hooksPath={os.devnull}")  # `dvc install` has one that pushes the workspace's data


# ---------------------------------------------------------------- what is tracked


def checked_out(home: str) -> str:
    """The name of the branch that is checked out at `home`. Raises ProjectError."""
    code, out, _ = attempt(home, "symbolic-ref", "--quiet", "--short", "HEAD")
    if code:
        raise ProjectError("no branch is checked out here", where=home, hint="name the branch to track")
    return text(out).strip()


def tracked(home: str, branch: str, *, fetched: bool = False) -> str:
    """The commit of the branch that a deployment tracks; with `fetched`, as origin has it."""
    refs = [f"refs/remotes/{REMOTE}/{branch}"]
    if not fetched:
        refs.insert(0, f"refs/heads/{branch}")
    for ref in refs:
        code, out, _ = attempt(home, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if not code:
            return text(out).strip()
    raise UsageError(
        f"there is no branch {branch!r}",
        where=home,
        hint=f"commit something on it, or deploy with a branch that is there: `git -C {home} branch`",
    )


def fetch(home: str) -> None:
    """Learn what origin has. Raises ProjectError."""
    refs = f"+refs/heads/*:refs/remotes/{REMOTE}/*"
    code, _, stderr = attempt(home, *_PLAIN, "fetch", "--quiet", "--prune", REMOTE, refs, extra=_alone())
    if code:
        raise ProjectError(f"{REMOTE} cannot be fetched: {_reason(stderr)}", where=home)


def clone(url: str, path: str) -> None:
    """See that there is a clone at `path`, without files and on no branch. Raises ProjectError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    with file_lock(f"{path}.lock", patience=float("inf")):
        if os.path.isdir(path):
            return
        half = f"{path}.half"  # of a process that was killed
        shutil.rmtree(half, ignore_errors=True)
        options = ("clone", "--quiet", "--no-checkout", "--origin", REMOTE, "--", url, half)
        code, _, stderr = attempt(folder, *_PLAIN, *options, extra=_alone())
        if code:
            raise ProjectError(f"the repository cannot be cloned: {_reason(stderr)}", where=folder)
        commit = text(call(half, "rev-list", "--max-count=1", "--all")).strip()
        if not commit:
            raise ProjectError("the repository has no commit yet", where=folder, hint="push one")
        call(half, "update-ref", "--no-deref", "HEAD", commit)
        os.rename(half, path)


def name_for(root: str) -> str:
    """A name for the project at `root` that no other has: `flights-1a2b3c4d`, from its first commit.

    Without a commit, and in a clone that is not whole, it is another one: so it is asked for once, and kept.
    """
    code, out, _ = attempt(root, "rev-list", "--max-parents=0", "HEAD")
    first = text(out).split()[-1:] if not code else []
    known = first[0] if first else hashlib.md5(os.path.realpath(root).encode()).hexdigest()
    folder = re.sub(r"[^A-Za-z0-9]+", "-", os.path.basename(os.path.realpath(root))).strip("-")
    return f"{folder or 'project'}-{known[:8]}"


# ---------------------------------------------------------------- where results go


@dataclass(frozen=True, slots=True)
class ResultBranch:
    """The branch `name`, seen from the worktree at `root`."""

    root: str
    name: str

    @property
    def ref(self) -> str:
        """Its full name."""
        return f"refs/heads/{self.name}"

    @property
    def _theirs(self) -> str:
        return f"refs/remotes/{REMOTE}/{self.name}"

    @property
    def _mark(self) -> str:
        return f"refs/trunkline/pushed/{self.name}"

    def tip(self) -> str | None:
        """Its last commit, here or, where that is ahead of it, at origin; None before the first."""
        here, there = self._commit(self.ref), self._commit(self._theirs)
        return there if there is not None and _heads(self.root, [here, there]) == [there] else here

    def is_merged_into(self, commit: str) -> bool:
        """Whether all of it is among the ancestors of `commit`."""
        tip = self.tip()
        return tip is None or _heads(self.root, [tip, commit]) == [commit]

    def check_free(self) -> None:
        """Raise ProjectError where the branch is checked out in any working tree."""
        code, _, _ = attempt(self.root, "check-ref-format", "--branch", self.name)
        if code:
            raise UsageError(f"{self.name!r} cannot name a branch", hint="correct `commit_to`")
        where = ""
        for line in text(call(self.root, "worktree", "list", "--porcelain")).split("\n"):
            key, _, value = line.partition(" ")
            if key == "worktree":
                where = value
            if key == "branch" and value == self.ref and os.path.isdir(where):
                raise ProjectError(
                    f"{self.name} is checked out, so no result can be committed to it",
                    where=where,
                    hint=f"type `git -C {where} switch` and another branch, or change `commit_to`",
                )

    def advance(self, base: str, changes: Mapping[str, bytes | None], message: str) -> str:
        """Commit `base`'s tree with these files changed on top of the branch; the commit."""
        place, message = Place.of(self.root), message.strip() + "\n"
        target = trees.targets(place, changes, trees.entries(place, base, changes))
        tree = trees.tree_of(place, base, target)
        extra = {} if trees.has_identity(place) else _IDENTITY
        for number in range(_ATTEMPTS):
            self.check_free()
            old = self._commit(self.ref)
            parents = _heads(self.root, [old, self._commit(self._theirs), base])
            commit = trees.commit_tree(place, tree, parents, message, extra)
            reflog = f"commit: {message.partition(chr(10))[0]}"
            swap = (self.ref, commit, old or trees.null_id(commit))
            code, _, stderr = attempt(self.root, "update-ref", "-m", reflog, *swap, extra=extra)
            if not code:
                return commit
            if self._commit(self.ref) == old and number > 4:
                raise ProjectError(
                    f"{self.name} cannot be moved: {_reason(stderr)}",
                    where=self.root,
                    hint="look for a stale `.lock` file below .git/refs, or for a branch named like its folder",
                )
            time.sleep(0.02 * number)
        raise ProjectError(
            f"{self.name} could not be moved: other commits kept coming first", where=self.root
        )

    # ------------------------------------------------------------ origin

    def unpushed(self) -> str | None:
        """The last commit, where origin has not got it from here and it is not merged there already."""
        here = self._commit(self.ref)
        if here is None or here == self._commit(self._mark) or not has_remote(self.root):
            return None
        theirs = self._commit(self._theirs)
        return None if theirs is not None and _heads(self.root, [here, theirs]) == [theirs] else here

    def push(self, commit: str) -> None:
        """Push the branch as far as `commit`, never by force. Raises ProjectError."""
        arguments = ("push", "--quiet", "--no-verify", REMOTE, f"{commit}:{self.ref}")
        code, _, stderr = attempt(self.root, *_PLAIN, *arguments, extra=_alone())
        if code:
            # what somebody else has pushed becomes a parent of the next commit
            refs = f"+{self.ref}:{self._theirs}"
            attempt(self.root, *_PLAIN, "fetch", "--quiet", REMOTE, refs, extra=_alone())
            raise ProjectError(f"{REMOTE} did not take {self.name}: {_reason(stderr)}", where=self.root)
        call(self.root, "update-ref", self._mark, commit)

    def _commit(self, ref: str) -> str | None:
        code, out, _ = attempt(self.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return None if code else text(out).strip()


def has_remote(root: str) -> bool:
    """Whether the repository has an origin."""
    return not attempt(root, "config", "--get", f"remote.{REMOTE}.url")[0]


def merge_base(root: str, one: str, other: str) -> str | None:
    """The last commit that both come from."""
    code, out, _ = attempt(root, "merge-base", one, other)
    return None if code else text(out).split("\n")[0].strip()


def _alone() -> dict[str, str]:
    """Variables with which git asks nobody for a password."""
    return {"SSH_ASKPASS_REQUIRE": "never", "GIT_ASKPASS": os.environ.get("GIT_ASKPASS", "true")}


def _heads(root: str, commits: Sequence[str | None]) -> list[str]:
    """Of these commits those that are no ancestor of another, in the order given, each once."""
    known = list(dict.fromkeys(commit for commit in commits if commit is not None))
    if len(known) < 2:
        return known
    kept = set(text(call(root, "merge-base", "--independent", *known)).split())
    return [commit for commit in known if commit in kept]


def _reason(stderr: str) -> str:
    """What git said, without its advice."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("hint:")]
    told = [line for line in lines if line.startswith(("!", "fatal:", "error:", "remote:"))] or lines
    return "; ".join(told[:3]) or "it did not say why"
