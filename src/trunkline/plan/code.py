"""What counts as code, and what it means.

    def f(x):                               def f(x: int = 0x10):
        "Doubles."                              return 2 * x  # twice
        return 2*x

A module's meaning is the digest of its syntax tree in a form of our own: without comments,
formatting, positions and the spelling of literals, and without docstrings unless the module reads
them. The form is the same under Python 3.11, 3.12 and 3.13: fields by name, empty ones left out,
the parts of an f-string merged. Source that is no Python of the running version counts byte for
byte.

Imports are read, never carried out: wherever they stand, in functions and under TYPE_CHECKING too,
and `import_module("literal")`. What is imported under a computed name is declared with `code:`.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping

from trunkline.digest import digest

# Left out: what the context implies, and what says how a literal was spelt.
_UNSAID = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_DOC_READERS = frozenset({"__doc__", "getdoc"})
_IMPORTERS = frozenset({"import_module", "__import__"})


# ---------------------------------------------------------------- meaning


def canonical(source: bytes) -> str:
    """The digest of what a module means."""
    tree = parse(source)
    if tree is None:
        return digest("source", source)
    return digest("module", "".join(tokens(tree, reads_docstrings(tree))))


def code_digest(parts: Mapping[str, str]) -> str:
    """The digest of all code of a stage, from path -> digest of each file's meaning."""
    return digest("code", dict(parts))


def functions(source: bytes) -> tuple[str, ...]:
    """The names of the functions that a module defines at its top level, sorted."""
    tree = parse(source)
    body = tree.body if tree is not None else []
    return tuple(sorted({n.name for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}))


def complaint(source: bytes) -> tuple[int, int, str]:
    """Why a module is no Python of the running version: line, column (from 1), reason; 0 where it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except SyntaxError as error:
            return error.lineno or 1, max(1, error.offset or 1), error.msg
        except (ValueError, RecursionError, MemoryError) as error:
            return 1, 1, str(error) or type(error).__name__
    return 0, 0, ""


def parse(source: bytes) -> ast.Module | None:
    """The syntax tree of a module; None where it is no Python of the running version."""
    with warnings.catch_warnings():
        # An invalid escape sequence is a warning of another kind in each version, never our matter.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def reads_docstrings(tree: ast.Module) -> bool:
    """Whether the module mentions `__doc__` in any way but inside a docstring."""
    skipped = {id(statement.value) for node in ast.walk(tree) if (statement := docstring(node))}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) if name in _DOC_READERS:
                return True
            case ast.Constant(value=str(text)) if "__doc__" in text and id(node) not in skipped:
                return True
    return False


def docstring(node: ast.AST) -> ast.Expr | None:
    """The statement that is the node's docstring."""
    if isinstance(node, _DOCUMENTED) and node.body:
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            return first if isinstance(first.value.value, str) else None
    return None


def tokens(tree: ast.AST, docstrings: bool) -> Iterator[str]:
    """The tree as text, without recursion: a sum of a thousand terms is a thousand levels deep.

    `(Name id=s1:x)`; lists in brackets; every text and number with its length or in hex, so that
    no two trees share a text.
    """
    stack: list[object] = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, _Token):
            yield value
        elif isinstance(value, ast.AST):
            yield f"({type(value).__name__}"
            stack.append(_CLOSE_NODE)
            for name, content in reversed(_fields(value, docstrings)):
                stack += (content, _Token(f" {name}="))
        elif isinstance(value, list):
            yield "["
            stack.append(_CLOSE_LIST)
            stack += reversed(value)
        else:
            yield _scalar(value)


class _Token(str):
    """A piece of the canonical text, as against a text of the source."""

    __slots__ = ()


_CLOSE_NODE = _Token(")")
_CLOSE_LIST = _Token("]")


def _fields(node: ast.AST, docstrings: bool) -> list[tuple[str, object]]:
    """A node's fields that say something, by name."""
    if isinstance(node, ast.Constant):
        return [("value", _Token(_scalar(node.value)))]
    found: list[tuple[str, object]] = []
    for name in sorted(node._fields):
        value = getattr(node, name, None)
        if name == "body" and not docstrings and docstring(node):
            value = value[1:]  # type: ignore[index]  # it has a docstring, so it is a list
        elif isinstance(node, ast.JoinedStr) and name == "values":
            value = _merged(node.values)
        if value is not None and value != [] and name not in _UNSAID:
            found.append((name, value))
    return found


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with neighbouring texts as one; versions split them differently."""
    merged: list[ast.expr] = []
    for part in values:
        last = merged[-1] if merged else None
        match part, last:
            case ast.Constant(value=""), _:
                continue
            case ast.Constant(value=str(text)), ast.Constant(value=str(before)):
                merged[-1] = ast.Constant(before + text)
            case _:
                merged.append(part)
    return merged


def _scalar(value: object) -> str:
    match value:
        case None | bool():
            return str(value)
        case str():
            return f"s{len(value)}:{value}"
        case bytes():
            return f"b{value.hex()}"
        case int():
            return hex(value)
        case float():
            return f"d{value.hex()}"
        case complex():
            return f"j{value.imag.hex()}"
        case _:
            return repr(value)  # Ellipsis


# ---------------------------------------------------------------- imports


def imports(source: bytes, module: str, is_package: bool) -> tuple[str, ...]:
    """The absolute names of what a module may import, sorted: `from a import b` gives a and a.b.

    A name that is a function and no module does no harm. A package's `__all__` counts, since
    `from package import *` imports the modules that it names.
    """
    tree = parse(source)
    if tree is None:
        return ()
    package = module if is_package else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found.update(alias.name for alias in names)
            case ast.ImportFrom(names=names):
                base = absolute(node.module or "", node.level, package)
                found.add(base)
                found.update(_below(base, alias.name) for alias in names if alias.name != "*")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _IMPORTERS:
                found.add(_called(node, package))
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(items) | ast.Tuple(items)):
                found.update(_below(package, name) for name in _texts(items) if is_package)
    return tuple(sorted(found - {""}))


def absolute(module: str, level: int, package: str) -> str:
    """What `from <level dots><module>` means inside `package`, "" beyond the top."""
    if not level:
        return module
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - level + 1], *filter(None, [module])])


def _below(package: str, name: str) -> str:
    return f"{package}.{name}" if package else ""


def _called(call: ast.Call, package: str) -> str:
    """The module of `import_module("a.b")` or `import_module(".b", "a")`, "" if it is computed."""
    words: dict[str | None, ast.expr] = dict(zip(("name", "package"), call.args, strict=False))
    words |= {word.arg: word.value for word in call.keywords}
    name = "".join(_texts([words["name"]] if "name" in words else []))
    anchor = "".join(_texts([words["package"]] if "package" in words else []))
    level = len(name) - len(name.lstrip("."))
    return absolute(name[level:], level, anchor or package)


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
