"""Which files are a stage's code, and what they mean.

A function's code is its module and, transitively, the project's own modules that it imports. What
is read from a source file (its meaning, its imports, its functions) is remembered by content hash,
so that a file is parsed once in its life. A command's code is every argument that names a file of
the project. `code:` adds files to both.
"""

from __future__ import annotations

import json
import os
import posixpath
import sys
from collections.abc import Callable
from typing import NamedTuple

from trunkline.digest import SCHEME, md5_bytes
from trunkline.errors import Problem, ProjectError, SpecError
from trunkline.model import Function, Stage, Version
from trunkline.ports import Facts

# What reads the source: another scheme of digests, or another Python's grammar, may see other facts.
_READER = f"{SCHEME}:{sys.version_info.major}.{sys.version_info.minor}"


class ModuleFacts(NamedTuple):
    """One source file of the project. `meaning` is the digest of its canonical syntax tree."""

    path: str
    meaning: str
    imports: tuple[str, ...]
    functions: tuple[str, ...]


class Code:
    """The code of stages, by content. `version` gives the content hash of a project file."""

    def __init__(self, root: str, version: Callable[[str], Version | None], facts: Facts) -> None:
        self._root = root
        self._version = version
        self._facts = facts
        self._modules: dict[str, ModuleFacts | None] = {}

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
        for path, is_package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            version = self._version(path) if os.path.isfile(os.path.join(self._root, path)) else None
            if version is not None:
                return self._read(path, version.oid, name, is_package)
        return None

    def _read(self, path: str, md5: str, module: str, is_package: bool) -> ModuleFacts:
        key = f"{_READER}:{md5}:{module}:{int(is_package)}"
        known = self._facts.get("module", key)
        if known is not None:
            meaning, imports, functions = json.loads(known)
            return ModuleFacts(path, meaning, tuple(imports), tuple(functions))
        from trunkline.plan import code  # parsing Python is not on the path of "nothing to do"

        with open(os.path.join(self._root, path), "rb") as stream:
            source = stream.read()
        facts = ModuleFacts(
            path, code.canonical(source), code.imports(source, module, is_package), code.functions(source)
        )
        if md5_bytes(source) == md5:  # else it was edited since it was hashed
            self._facts.put("module", key, json.dumps(facts[1:]))
        return facts

    def _check_syntax(self, path: str) -> None:
        from trunkline.plan import code

        with open(os.path.join(self._root, path), "rb") as stream:
            source = stream.read()
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
        module, is_package = path.removesuffix(".py").replace("/", "."), False
        if module.endswith(".__init__"):
            module, is_package = module.removesuffix(".__init__"), True
        return self._read(path, version.oid, module, is_package).meaning
