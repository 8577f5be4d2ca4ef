"""Which files are a stage's code, what they mean, and what of them changed.

A function's code is its module and, transitively, the project's own modules that it imports. What
is read from a source file (its meaning, its imports, its functions) is remembered by content hash,
so that a file is parsed once in its life. A command's code is every argument that names a file of
the project. `code:` adds files to both. The versions of the packages that `fingerprint:` names count
as code too.

What a file defines is remembered as well when it is first seen: so it can be said which function
changed after the file is another one, commit or no commit. Where the memory is lost, the old text is
looked for in git.
"""

from __future__ import annotations

import json
import os
import posixpath
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from trunkline.digest import SCHEME, md5_bytes
from trunkline.errors import Problem, ProjectError, SpecError
from trunkline.model import CodePart, Function, PartKind, Stage, Version
from trunkline.ports import Facts

if TYPE_CHECKING:
    from trunkline.plan.parts import Module

Past = Callable[[str, str], bytes | None]

# What reads the source: another scheme of digests, or another Python's grammar, may see other facts.
_READER = f"{SCHEME}:{sys.version_info.major}.{sys.version_info.minor}"


class ModuleFacts(NamedTuple):
    """One source file of the project. `meaning` is the digest of its canonical syntax tree."""

    path: str
    meaning: str
    imports: tuple[str, ...]
    functions: tuple[str, ...]


class _Defined(NamedTuple):
    """What one version of a source file means and defines."""

    meaning: str
    module: Module


class Code:
    """The code of stages, by content.

    `version` gives the content hash of a project file, `past` a text that a path once had, by its hash.
    """

    def __init__(
        self,
        root: str,
        version: Callable[[str], Version | None],
        facts: Facts,
        past: Past = lambda path, md5: None,
    ) -> None:
        self._root = root
        self._version = version
        self._facts = facts
        self._past = past
        self._modules: dict[str, ModuleFacts | None] = {}
        self._defines: dict[tuple[str, str], _Defined | None] = {}

    def functions(self, module: str) -> frozenset[str] | None:
        """The names of a project module's top-level functions; None where there is no such module.

        Raises SpecError where the module is no Python.
        """
        found = self.module(module)
        if found is not None and not found.functions:
            self._check_syntax(found.path)
        return None if found is None else frozenset(found.functions)

    def files(self, stage: Stage) -> tuple[str, ...]:
        """Every file that counts as this stage's code, sorted, relative to the project's root."""
        paths = {*self._declared(stage)}
        if isinstance(stage.run, Function):
            paths.update(facts.path for facts in self._closure(stage.run.module))
        else:
            paths.update(path for argument in stage.run.argv if (path := self._project_file(argument)))
        return tuple(sorted(paths))

    def digest(self, stage: Stage) -> str:
        """What the code means: unchanged by comments, formatting, and unread docstrings."""
        from trunkline.plan.code import code_digest

        return code_digest({path: self._meaning(path) for path in self.files(stage)})

    def packages(self, stage: Stage) -> dict[str, str]:
        """The versions of the packages that count as this stage's code, "" for what is not installed."""
        if not stage.fingerprint:
            return {}
        from trunkline.engine.packages import version

        return {name: version(name) for name in stage.fingerprint}

    def parts(self, stage: Stage, path: str, old: str) -> tuple[CodePart, ...]:
        """What changed in a code file since its content hash was `old`; () where it is no Python."""
        current = self._version(path)
        new = self._defined(path, current.oid) if path.endswith(".py") and current is not None else None
        if new is None:
            return ()
        before = self._defined(path, old)
        if before is None:
            return (CodePart(PartKind.UNKNOWN),)
        if before.meaning == new.meaning:
            return (CodePart(PartKind.COMMENTS),)
        from trunkline.plan import parts

        module, used = _module_of(path)[0], self._used(stage)
        user = stage.run.name if isinstance(stage.run, Function) else ""
        return tuple(
            part._replace(user=user) if (module, part.name) in used else part
            for part in parts.changes(before.module, new.module)
        )

    def module(self, name: str) -> ModuleFacts | None:
        """The project's module of that name, or None where the project has none."""
        if name not in self._modules:
            self._modules[name] = self._find(name)
        return self._modules[name]

    def _declared(self, stage: Stage) -> tuple[str, ...]:
        for path in stage.code:
            if self._version(path) is None:
                raise ProjectError(
                    f"stage {stage.ref} names a code file that does not exist: {path}",
                    where=stage.pipeline_file,
                    hint=f"create {path}, or take it out of `code:` in {stage.pipeline_file}",
                )
        return stage.code

    def _project_file(self, argument: str) -> str:
        """The file of the project that an argument of a command names, "" where it names none."""
        path = posixpath.normpath(argument)
        inside = not os.path.isabs(path) and path.partition("/")[0] != ".."
        return path if inside and os.path.isfile(os.path.join(self._root, path)) else ""

    def _closure(self, module: str) -> list[ModuleFacts]:
        seen: set[str] = set()
        found: list[ModuleFacts] = []
        queue = [module]
        while queue:
            name = queue.pop()
            if name in seen:
                continue
            seen.add(name)
            facts = self.module(name)
            if facts is not None:
                found.append(facts)
                queue.extend(facts.imports)
            if parent := name.rpartition(".")[0]:
                queue.append(parent)
        return found

    def _find(self, name: str) -> ModuleFacts | None:
        if name == "trunkline" or name.startswith("trunkline."):
            return None  # its scheme version stands for it
        base = name.replace(".", "/")
        for path in (f"{base}/__init__.py", f"{base}.py"):
            version = self._version(path) if os.path.isfile(os.path.join(self._root, path)) else None
            if version is not None:
                return self._read(path, version.oid)
        return None

    def _read(self, path: str, md5: str) -> ModuleFacts:
        key = self._key(path, md5)
        known = self._facts.get("module", key)
        if known is not None:
            meaning, imports, functions = json.loads(known)
            return ModuleFacts(path, meaning, tuple(imports), tuple(functions))
        from trunkline.plan import code  # parsing Python is not on the path of "nothing to do"

        source = self._source(path)
        facts = ModuleFacts(
            path, code.canonical(source), code.imports(source, *_module_of(path)), code.functions(source)
        )
        if md5_bytes(source) == md5:  # else it was edited since it was hashed
            self._facts.put("module", key, json.dumps(facts[1:]))
            self._define(path, md5, source)
        return facts

    def _source(self, path: str) -> bytes:
        with open(os.path.join(self._root, path), "rb") as stream:
            return stream.read()

    # ------------------------------------------------------------ what changed

    def _used(self, stage: Stage) -> set[tuple[str, str]]:
        """(module, name) of what the stage's function uses."""
        if not isinstance(stage.run, Function):
            return set()
        from trunkline.plan import parts

        modules = {}
        for facts in self._closure(stage.run.module):
            version = self._version(facts.path)
            found = self._defined(facts.path, version.oid) if version is not None else None
            if found is not None:
                modules[_module_of(facts.path)[0]] = found.module
        return parts.used(modules, stage.run.module, stage.run.name)

    def _defined(self, path: str, md5: str) -> _Defined | None:
        """What a version of a file defines; None where it is no Python, or cannot be had."""
        if (path, md5) not in self._defines:
            self._defines[path, md5] = self._recall(path, md5)
        return self._defines[path, md5]

    def _recall(self, path: str, md5: str) -> _Defined | None:
        known = self._facts.get("defines", self._key(path, md5))
        if known is not None:
            from trunkline.plan import parts

            meaning, module = json.loads(known)
            return _Defined(meaning, parts.from_plain(module)) if module is not None else None
        version = self._version(path)
        if version is not None and version.oid == md5:
            source: bytes | None = self._source(path)
        else:
            source = self._past(path, md5)
        return self._define(path, md5, source) if source is not None and md5_bytes(source) == md5 else None

    def _define(self, path: str, md5: str, source: bytes) -> _Defined | None:
        """Read and remember what a version of a file defines."""
        from trunkline.plan import code, parts

        meaning, module = code.canonical(source), parts.read(source, *_module_of(path))
        plain = None if module is None else parts.to_plain(module)
        self._facts.put("defines", self._key(path, md5), json.dumps([meaning, plain]))
        return None if module is None else _Defined(meaning, module)

    def _key(self, path: str, md5: str) -> str:
        module, is_package = _module_of(path)
        return f"{_READER}:{md5}:{module}:{int(is_package)}"

    def _check_syntax(self, path: str) -> None:
        from trunkline.plan import code

        source = self._source(path)
        line, column, reason = code.complaint(source)
        if line:
            lines = source.decode("utf-8", "replace").splitlines()
            text = lines[line - 1] if line <= len(lines) else ""
            raise SpecError([Problem(path, line, column, f"this is not valid Python: {reason}", source=text)])

    def _meaning(self, path: str) -> str:
        version = self._version(path)
        if version is None:
            raise ProjectError(f"the code file {path} does not exist", where=path)
        if not path.endswith(".py"):
            return version.oid
        return self._read(path, version.oid).meaning


def _module_of(path: str) -> tuple[str, bool]:
    """The name of the module in a file, and whether that is a package's own."""
    module = path.removesuffix(".py").replace("/", ".")
    return module.removesuffix(".__init__"), module.endswith(".__init__")
