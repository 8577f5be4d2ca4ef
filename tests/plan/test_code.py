from __future__ import annotations

import pytest

from trunkline.digest import digest
from trunkline.plan.code import canonical, code_digest, functions, imports


def meaning(source: str) -> str:
    return canonical(source.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = 1", "a=1 # one\n\n\n"),
        ("a = 16", "a = 0x10"),
        ("a = 1e10", "a = 10_000_000_000.0"),
        ("a = 'b'", 'a = """b"""'),
        ("a = 'b'", "a = u'b'"),
        ("a = 'b' 'c'", "a = 'bc'"),
        ("a = f'b{c}d'", "a = 'b' f'{c}' 'd'"),
        ("a = (1, 2)", "a = 1, 2"),
        ("a = [1,\n  2,\n]", "a = [1, 2]"),
        ("def f():\n    '''Docs.'''\n    return 1", "def f(): return 1"),
        ("class A:\n    'Docs.'\n    x = 1", "class A:\n    x = 1"),
        ("async def f():\n    'Docs.'\n    return 1", "async def f(): return 1"),
        ("'''Docs.'''\na = 1", "'''Other docs that mention __doc__.'''\na = 1"),
        ("a = 1\n", "\ufeffa = 1\r\n"),
        ("if a:\n\tb", "if a:\n        b"),
    ],
)
def test_same_meaning(one: str, other: str) -> None:
    assert meaning(one) == meaning(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = 1", "a = 2"),
        ("a = 1", "a = 1.0"),
        ("a = 1", "a = True"),
        ("a = 1", "a = '1'"),
        ("a = 'b'", "a = b'b'"),
        ("a = 'b'", "a = f'b'"),
        ("a = None", "a = 'None'"),
        ("a = ...", "a = 'Ellipsis'"),
        ("a", "'a'"),
        ("a = b", "b = a"),
        ("def f(a, /): pass", "def f(a): pass"),
        ("def f(a, *, b=1, c): pass", "def f(a, *, b, c=1): pass"),
        ("{**a}", "{None: a}"),
        ("def f(): pass", "async def f(): pass"),
        ("def f(a: int): pass", "def f(a): pass"),
        ("f'{a}'", "f'{a!r}'"),
        ("f'{a}'", "f'{a:>5}'"),
        ("f'{a}{b}'", "f'{a}' + f'{b}'"),
        ("x = '''\n  a'''", "x = '''\n a'''"),
        ("import a", "import b"),
        ("from . import a", "from .. import a"),
        ("a = ['s1:b']", "a = ['b']"),
        ("a = 1\n'Not a docstring.'", "a = 1"),
        ("def f():\n    f'Docs.'\n    return 1", "def f(): return 1"),
        ("-1", "1"),
        ("a = 1j", "a = 1.0"),
    ],
)
def test_other_meaning(one: str, other: str) -> None:
    assert meaning(one) != meaning(other)


@pytest.mark.parametrize(
    "reader",
    [
        "print(__doc__)",
        "print(f.__doc__)",
        "getattr(f, '__doc__')",
        "vars(f)['__doc__']",
        "eval('f.__doc__')",
        "from m import __doc__ as text",
        "inspect.getdoc(f)",
        "from inspect import getdoc",
    ],
)
def test_docstrings_count_where_they_are_read(reader: str) -> None:
    source = "def f():\n    'One.'\n    return 1\n" + reader
    assert meaning(source) != meaning(source.replace("One", "Two"))


def test_source_that_is_no_python_counts_byte_for_byte() -> None:
    assert meaning("def f(:") != meaning("def  f(:")
    assert meaning("def f(:") == digest("source", b"def f(:")
    assert meaning("a\0b") == digest("source", b"a\0b")
    assert canonical(b"a = '\xff'") == digest("source", b"a = '\xff'")


def test_a_sum_of_thousands_is_no_recursion_error() -> None:
    source = "a = " + " + ".join(["b"] * 2500)
    assert meaning(source) != digest("source", source.encode())


def test_an_invalid_escape_is_no_warning_and_no_error() -> None:
    assert meaning("a = '\\d'") == meaning("a = '\\\\d'")


def test_code_digest_depends_on_paths_and_meanings_but_not_on_order() -> None:
    parts = {"a.py": "1", "b.py": "2"}
    assert code_digest(parts) == code_digest(dict(reversed(parts.items())))
    assert len({code_digest(p) for p in (parts, {"a.py": "2", "b.py": "1"}, {"a.py": "1"}, {})}) == 4


def test_functions_are_those_at_the_top() -> None:
    source = (
        b"def b(): pass\nasync def a():\n    def c(): pass\nclass D:\n    def e(self): pass\nf = lambda: 0\n"
    )
    assert functions(source) == ("a", "b")
    assert functions(b"def f(:") == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a", ["a"]),
        ("import a.b.c as d, e", ["a.b.c", "e"]),
        ("from a import b, c as d", ["a", "a.b", "a.c"]),
        ("from a.b import *", ["a.b"]),
        ("from . import a", ["p.q", "p.q.a"]),
        ("from .a import b", ["p.q.a", "p.q.a.b"]),
        ("from .. import a", ["p", "p.a"]),
        ("from ..a.b import c", ["p.a.b", "p.a.b.c"]),
        ("from .... import a", []),
        ("def f():\n    import a", ["a"]),
        ("if TYPE_CHECKING:\n    import a", ["a"]),
        ("try:\n    import a\nexcept ImportError:\n    a = None", ["a"]),
        ("importlib.import_module('a.b')", ["a.b"]),
        ("import_module(name='a.b')", ["a.b"]),
        ("import_module('.b', 'a.c')", ["a.c.b"]),
        ("import_module(package='a.c', name='..b')", ["a.b"]),
        ("import_module('.b', __package__)", ["p.q.b"]),
        ("import_module('.b', package=__name__)", ["p.q.b"]),
        ("import_module(name)", []),
        ("import_module(name, 'a')", []),
        ("import_module(f'a.{b}')", []),
        ("__import__('a')", ["a"]),
        ("'import a'", []),
        ("# import a", []),
        ("import a b", []),
    ],
)
def test_imports_of_a_module(source: str, expected: list[str]) -> None:
    assert list(imports(source.encode(), "p.q.m", False)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from . import a", ["p.q", "p.q.a"]),
        ("from .. import a", ["p", "p.a"]),
        ("__all__ = ['a', 'b']", ["p.q.a", "p.q.b"]),
        ("__all__ = ('a',)", ["p.q.a"]),
    ],
)
def test_imports_of_a_package(source: str, expected: list[str]) -> None:
    assert list(imports(source.encode(), "p.q", True)) == expected


def test_a_module_at_the_top_has_no_package() -> None:
    assert imports(b"from . import a\nfrom .b import c", "m", False) == ()
