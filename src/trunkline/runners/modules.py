"""The project's own modules in this process: always compiled from the source that is there now.

A result is recorded for ever under the digest of the code that made it, so the code that runs must be
the code that was read. Python's byte code cache trusts a file's size and the whole second of its
mtime: an edit within one second of a run would run the old code under the new digest. Modules below
the project's root are therefore compiled from source, and every new `Modules` forgets those that an
earlier one loaded. Installed packages, an environment inside of the checkout included, are imported as
always.

Touches the import system of this process: sys.path, sys.path_hooks, sys.modules.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    PathFinder,
    SourceFileLoader,
)
from importlib.util import module_from_spec
from types import CodeType, ModuleType
from typing import Any

import trunkline
from trunkline.model import Function
from trunkline.runners.failures import Fault

_OURS = os.path.dirname(os.path.abspath(trunkline.__file__))


class FreshLoader(SourceFileLoader):
    """Compiles from source, and neither reads nor writes byte code."""

    def get_code(self, fullname: str) -> CodeType:
        """The module's code, from its source as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class Modules:
    """Imports the functions of one project, fresh for every instance."""

    def __init__(self) -> None:
        self._functions: dict[Function, Callable[..., object]] = {}

    def function(self, root: str, function: Function) -> Callable[..., object]:
        """The callable that `function` names. Raises Fault, and whatever importing raises."""
        self._enter(root)
        found = self._functions.get(function)
        if found is None:
            found = self._functions[function] = _find(root, function)
        return found

    def preload(self, root: str, names: tuple[str, ...]) -> None:
        """Import modules ahead of need. What fails here fails again, and is told, when it is needed."""
        self._enter(root)
        for name in names:
            try:
                _import(root, name)
            except Exception:
                continue

    def close(self) -> None:
        """Leave the import system as it was, and the project's modules to whoever imports them next."""
        hook = _hook()
        if hook is not None and hook.owner is self:
            _leave(hook)

    def _enter(self, root: str) -> None:
        """Make `root` the project that this process imports from; the import system says which it is."""
        hook = _hook()
        if hook is not None:
            if hook.owner is self and hook.root == root:
                return
            _leave(hook)
        self._functions.clear()
        sys.path_hooks.insert(0, _Hook(root, self))
        sys.path.insert(0, root)
        _look_anew(root)


class _Hook:
    """Makes the import system use FreshLoader for directories of the project at `root`."""

    def __init__(self, root: str, owner: Modules) -> None:
        self.root = root
        self.owner = owner
        loaders: list[Any] = [(ExtensionFileLoader, EXTENSION_SUFFIXES), (FreshLoader, SOURCE_SUFFIXES)]
        self._finder = FileFinder.path_hook(*loaders)

    def __call__(self, path: str) -> Any:
        if not _inside(path, self.root):
            raise ImportError(f"{path} is no part of the project")
        return self._finder(path)


def _hook() -> _Hook | None:
    return next((hook for hook in sys.path_hooks if isinstance(hook, _Hook)), None)


def _leave(hook: _Hook) -> None:
    sys.path_hooks.remove(hook)
    if hook.root in sys.path:
        sys.path.remove(hook.root)
    _forget()
    _look_anew(hook.root)


def _look_anew(root: str) -> None:
    """Make the import system ask its hooks again for directories of the project."""
    for path in list(sys.path_importer_cache):  # a copy: Prefect is being imported in another thread
        if _inside(path, root):
            sys.path_importer_cache.pop(path, None)
    importlib.invalidate_caches()


def _inside(path: str, root: str) -> bool:
    """Whether `path` holds code of the project, and not an environment that lies in its directory."""
    if path != root and not path.startswith(root + os.sep):
        return False
    installed = "site-packages" in path or path.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep))
    return not installed and path != _OURS and not path.startswith(_OURS + os.sep)


def _forget() -> None:
    """Drop every module that FreshLoader loaded, and the packages without a file that led to them."""
    there = sys.modules.copy()  # which other threads change: Prefect is imported beside the engine
    fresh = [name for name, module in there.items() if isinstance(_loader(module), FreshLoader)]
    for name in fresh:
        sys.modules.pop(name, None)
        while name := name.rpartition(".")[0]:
            package = sys.modules.get(name)
            if package is not None and getattr(package, "__file__", None) is None:
                del sys.modules[name]


def _loader(module: ModuleType | None) -> object:
    return getattr(getattr(module, "__spec__", None), "loader", None)


def _find(root: str, function: Function) -> Callable[..., object]:
    try:
        module = _import(root, function.module)
    except ModuleNotFoundError as error:
        if error.name and f"{function.module}.".startswith(f"{error.name}."):
            path = function.module.replace(".", "/")
            raise Fault("BadFunction", f"there is no module {function.module}: expected {path}.py") from error
        raise
    found = getattr(module, function.name, None)
    if found is None:
        raise Fault(
            "BadFunction",
            f"{_place(module, root)} has no function `{function.name}`{_near(module, function)}",
        )
    if not callable(found):
        raise Fault("BadFunction", f"`{function.name}` in {_place(module, root)} is no function but a value")
    return found  # type: ignore[no-any-return]


def _import(root: str, name: str) -> ModuleType:
    if _is_ours(root, name):
        _claim(root, name)
    return importlib.import_module(name)


def _is_ours(root: str, name: str) -> bool:
    base = os.path.join(root, *name.split("."))
    return os.path.isfile(f"{base}.py") or os.path.isdir(base)


def _claim(root: str, name: str) -> None:
    """Make the module the project's, as it is for whoever reads the project's files.

    Without this a package of the same name wins if it was imported before, or if ours has no
    `__init__.py` and the other, later on the path, has one.
    """
    parts = name.split(".")
    there = [sys.modules.get(".".join(parts[: end + 1])) for end in range(len(parts))]
    if parts[0] == "trunkline" or all(module is not None and _lies_in(module, root) for module in there):
        return
    if any(module is not None and not _lies_in(module, root) for module in there):
        for other in [key for key in list(sys.modules) if key.partition(".")[0] == parts[0]]:
            del sys.modules[other]
    spec = PathFinder.find_spec(parts[0], [root])
    if spec is not None and spec.origin is None and parts[0] not in sys.modules:
        sys.modules[parts[0]] = module_from_spec(spec)


def _lies_in(module: ModuleType, root: str) -> bool:
    file = getattr(module, "__file__", None)
    paths = [file] if file else list(getattr(module, "__path__", ()))
    return bool(paths) and paths[0].startswith(root + os.sep)


def _place(module: ModuleType, root: str) -> str:
    path = getattr(module, "__file__", None) or module.__name__
    return os.path.relpath(path, root) if path.startswith(root + os.sep) else path


def _near(module: ModuleType, function: Function) -> str:
    difflib = importlib.import_module("difflib")
    names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    near = difflib.get_close_matches(function.name, names, 1)
    return f"; did you mean `{near[0]}`?" if near else ""
