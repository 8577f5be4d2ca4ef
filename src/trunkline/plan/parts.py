"""What a module defines, and which definitions two versions of it do not have in common.

    LIMIT = 15                          module LIMIT         line 1
    from .texts import tidy             module tidy          line 2     tidy: stages.texts.tidy
    def clean(raw): return tidy(raw)    function clean       line 3     uses tidy
    class Late:                         class Late           line 4
        def fit(self): ...              method Late.fit      line 5

What a definition means is told as `plan.code` tells it for a module: comments, formatting and unread
docstrings say nothing. Which definitions a function uses is read from the names in it, through the
project's own imports; what is called under a computed name, or on an object, is not seen.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from trunkline.digest import digest
from trunkline.model import CodePart, PartKind
from trunkline.plan.code import absolute, docstring, parse, reads_docstrings, tokens

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Place = tuple[str, int]  # a module, and which of its definitions


class Definition(NamedTuple):
    """One thing at a module's top level. `names` is what it defines, `uses` what it names: dotted."""

    kind: PartKind
    name: str
    line: int
    digest: str
    names: tuple[str, ...]
    uses: tuple[str, ...]


class Module(NamedTuple):
    """A module's definitions. `imported`: local name -> dotted name; `stars`: modules imported whole."""

    definitions: tuple[Definition, ...]
    imported: Mapping[str, str]
    stars: tuple[str, ...]


def read(source: bytes, module: str, is_package: bool) -> Module | None:
    """What a module defines; None where it is no Python of the running version."""
    tree = parse(source)
    if tree is None:
        return None
    imported, stars = _imported(tree, module if is_package else module.rpartition(".")[0])
    docstrings = reads_docstrings(tree)
    found = _merged(_definitions(tree, docstrings))
    own = {*imported, *(name for item in found for name in item.names)}
    if not stars:  # else any name may come from there
        found = [
            item._replace(uses=tuple(u for u in item.uses if u.partition(".")[0] in own)) for item in found
        ]
    return Module(tuple(found), imported, stars)


def to_plain(module: Module) -> list[Any]:
    """A module as lists and mappings for JSON; `from_plain` reads them."""
    return [list(module.definitions), dict(module.imported), list(module.stars)]


def from_plain(plain: list[Any]) -> Module:
    """The module in what JSON made of `to_plain`."""
    definitions = (
        Definition(PartKind(kind), name, line, meaning, tuple(names), tuple(uses))
        for kind, name, line, meaning, names, uses in plain[0]
    )
    return Module(tuple(definitions), plain[1], tuple(plain[2]))


# ---------------------------------------------------------------- definitions


def _definitions(tree: ast.Module, docstrings: bool) -> Iterator[Definition]:
    first = None if docstrings else docstring(tree)
    for node in tree.body:
        if isinstance(node, _FUNCTIONS):
            yield _definition(PartKind.FUNCTION, node.name, node, docstrings)
        elif isinstance(node, ast.ClassDef):
            yield from _of_class(node, docstrings)
        elif node is not first:
            yield _definition(PartKind.MODULE, "", node, docstrings)


def _of_class(node: ast.ClassDef, docstrings: bool) -> Iterator[Definition]:
    """A class without its methods, then these."""
    rest = copy.copy(node)
    rest.body = [item for item in node.body if not isinstance(item, _FUNCTIONS)]
    yield _definition(PartKind.CLASS, node.name, rest, docstrings)
    for item in node.body:
        if isinstance(item, _FUNCTIONS):
            yield _definition(PartKind.METHOD, f"{node.name}.{item.name}", item, docstrings)


def _definition(kind: PartKind, name: str, node: ast.stmt, docstrings: bool) -> Definition:
    names = (name,) if name else tuple(dict.fromkeys(_bound(node)))
    meaning = digest("part", "".join(tokens(node, docstrings)))
    return Definition(
        kind, name or ", ".join(names), node.lineno, meaning, names, tuple(sorted(set(_used(node))))
    )


def _bound(statement: ast.AST) -> Iterator[str]:
    """The names that a statement gives to its module: not those inside of functions."""
    stack = [statement]
    while stack:
        node = stack.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                continue
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=known_as):
                yield known_as or name.partition(".")[0]
            case ast.Lambda():
                continue
        stack += reversed(list(ast.iter_child_nodes(node)))


def _used(node: ast.AST) -> Iterator[str]:
    """The dotted names in a definition: `a`, `a.b`, `a.b.c`."""
    for child in ast.walk(node):
        words: list[str] = []
        while isinstance(child, ast.Attribute):
            words.append(child.attr)
            child = child.value
        if isinstance(child, ast.Name):
            yield ".".join([child.id, *reversed(words)])


def _merged(definitions: Iterable[Definition]) -> list[Definition]:
    """What is defined twice under one name (a property and its setter) is one thing."""
    found: list[Definition] = []
    places: dict[str, int] = {}
    for item in definitions:
        place = places.get(item.name) if item.kind is not PartKind.MODULE else None
        if place is None:
            if item.kind is not PartKind.MODULE:
                places[item.name] = len(found)
            found.append(item)
        else:
            before = found[place]
            meaning = digest("part", [before.digest, item.digest])
            uses = tuple(sorted({*before.uses, *item.uses}))
            found[place] = item._replace(digest=meaning, uses=uses)
    return found


def _imported(tree: ast.Module, package: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which dotted name each imported name stands for, wherever the import is written."""
    names: dict[str, str] = {}
    stars: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    top = alias.name.partition(".")[0]
                    names[alias.asname or top] = alias.name if alias.asname else top
            case ast.ImportFrom(names=aliases):
                base = absolute(node.module or "", node.level, package)
                for alias in aliases:
                    if alias.name == "*":
                        stars.append(base)
                    else:
                        names[alias.asname or alias.name] = f"{base}.{alias.name}".lstrip(".")
    return names, tuple(stars)


# ---------------------------------------------------------------- what changed


def changes(old: Module, new: Module) -> list[CodePart]:
    """What the two versions of a module do not have in common, in the order of the new one."""
    found = [*_named(old, new), *_module_level(old, new)]
    found.sort(key=lambda part: (part.line == 0, part.line))
    return found or [CodePart(PartKind.ORDER)]


def _named(old: Module, new: Module) -> Iterator[CodePart]:
    then, now = (
        {item.name: item for item in module.definitions if item.kind is not PartKind.MODULE}
        for module in (old, new)
    )
    for name, item in now.items():
        if name not in then:
            if name.partition(".")[0] in then or item.kind is not PartKind.METHOD:
                yield CodePart(item.kind, name, item.line, "added")
        elif then[name].digest != item.digest:
            yield CodePart(item.kind, name, item.line)
    for name, item in then.items():
        if name not in now and (name.partition(".")[0] in now or item.kind is not PartKind.METHOD):
            yield CodePart(item.kind, name, 0, "removed")


def _module_level(old: Module, new: Module) -> Iterator[CodePart]:
    """Statements have no name of their own: those of one text are the same, the rest go by what they define."""
    gone = _only_in(old, new)
    for item in _only_in(new, old):
        same = next((other for other in gone if other.name == item.name), None)
        if same is not None:
            gone.remove(same)
        yield CodePart(PartKind.MODULE, item.name, item.line, "added" if same is None else "changed")
    for item in gone:
        yield CodePart(PartKind.MODULE, item.name, 0, "removed")


def _only_in(one: Module, other: Module) -> list[Definition]:
    left = Counter(item.digest for item in other.definitions if item.kind is PartKind.MODULE)
    found = []
    for item in one.definitions:
        if item.kind is PartKind.MODULE:
            if left[item.digest]:
                left[item.digest] -= 1
            else:
                found.append(item)
    return found


# ---------------------------------------------------------------- what is used


def used(modules: Mapping[str, Module], module: str, function: str) -> set[tuple[str, str]]:
    """(module, name) of every definition that a function uses, directly or not, itself left out."""
    seen: set[_Place] = set()
    queue = list(_resolved(modules, module, function, set()))
    while queue:
        place = queue.pop()
        if place in seen:
            continue
        seen.add(place)
        home, index = place
        item = modules[home].definitions[index]
        for name in item.uses:
            queue += _resolved(modules, home, name, set())
        if item.kind is PartKind.CLASS:
            methods = enumerate(modules[home].definitions)
            queue += ((home, n) for n, other in methods if other.name.startswith(f"{item.name}."))
    found = {(home, modules[home].definitions[index].name) for home, index in seen}
    return found - {(module, function)}


def _resolved(modules: Mapping[str, Module], module: str, name: str, seen: set[str]) -> Iterator[_Place]:
    """Where a dotted name, as it is written in a module, is defined."""
    if module not in modules or f"{module}:{name}" in seen:
        return
    seen.add(f"{module}:{name}")
    here = modules[module]
    root, _, rest = name.partition(".")
    yield from ((module, n) for n, item in enumerate(here.definitions) if root in item.names)
    if root in here.imported:
        words = [*here.imported[root].split("."), *filter(None, rest.split("."))]
        for end in range(len(words) - 1, 0, -1):
            home = ".".join(words[:end])
            if home in modules:
                yield from _resolved(modules, home, ".".join(words[end:]), seen)
                break
    for star in here.stars:
        yield from _resolved(modules, star, name, seen)
