"""Which definitions of a module changed, and which of them a function uses."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from trunkline.model import CodePart, PartKind
from trunkline.plan import parts

CLEAN = '''\
"""Cleans."""
import json
from .texts import tidy as neat, unused
from . import numbers

LIMIT = 15
print("hello")


def clean(raw, *, by=None):
    """In words."""
    late = Late()
    return neat(raw)[:LIMIT] + numbers.spell(late.fit(), json.dumps(by))


def other(raw):
    return raw


class Late:
    """Late flights."""

    after = 15

    def fit(self):
        return _count(self)

    def predict(self):
        return 0


def _count(x):
    return len(x)
'''
TEXTS = "from .deep import *\n\ndef tidy(x):\n    return strip(x)\n\ndef unused(x):\n    return x\n"
DEEP = "def strip(x):\n    return x.strip()\n\ndef beside(x):\n    return x\n"
NUMBERS = "import stages.deep\n\ndef spell(*x):\n    return stages.deep.beside(x)\n"


def read(text: str, module: str = "stages.clean", is_package: bool = False) -> parts.Module:
    found = parts.read(dedent(text).encode(), module, is_package)
    assert found is not None
    return parts.from_plain(json.loads(json.dumps(parts.to_plain(found))))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("return neat(raw)", "return neat(raw + raw)", [CodePart(PartKind.FUNCTION, "clean", 10)]),
        ("by=None", "by=1", [CodePart(PartKind.FUNCTION, "clean", 10)]),
        ("def other(raw)", "def new(raw)", [
            CodePart(PartKind.FUNCTION, "new", 16, "added"),
            CodePart(PartKind.FUNCTION, "other", 0, "removed"),
        ]),
        ("return 0", "return 1", [CodePart(PartKind.METHOD, "Late.predict", 28)]),
        ("after = 15", "after = 16", [CodePart(PartKind.CLASS, "Late", 20)]),
        ("def predict", "def guess", [
            CodePart(PartKind.METHOD, "Late.guess", 28, "added"),
            CodePart(PartKind.METHOD, "Late.predict", 0, "removed"),
        ]),
        ("class Late:", "class Later:", [
            CodePart(PartKind.CLASS, "Later", 20, "added"),
            CodePart(PartKind.CLASS, "Late", 0, "removed"),
        ]),
        ("LIMIT = 15", "LIMIT = 16", [CodePart(PartKind.MODULE, "LIMIT", 6)]),
        ("LIMIT = 15", "LIMIT = 15\nMORE = 1", [CodePart(PartKind.MODULE, "MORE", 7, "added")]),
        ("LIMIT = 15\n", "", [CodePart(PartKind.MODULE, "LIMIT", 0, "removed")]),
        ('print("hello")', "print(1)", [CodePart(PartKind.MODULE, "", 7)]),
        ("import json", "import json as j", [
            CodePart(PartKind.MODULE, "j", 2, "added"),
            CodePart(PartKind.MODULE, "json", 0, "removed"),
        ]),
    ],
)  # fmt: skip
def test_what_changed(old: str, new: str, expected: list[CodePart]) -> None:
    assert old in CLEAN
    assert parts.changes(read(CLEAN), read(CLEAN.replace(old, new))) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("In words.", "In other words."),
        ("Cleans.", "Still cleans."),
        ("Late flights.", "Late."),
        ("return 0", "return (0)  # none"),
    ],
)
def test_what_says_nothing(old: str, new: str) -> None:
    assert read(CLEAN) == read(CLEAN.replace(old, new))


def test_only_the_order() -> None:
    old, new = "def a():\n    pass\ndef b():\n    pass\n", "def b():\n    pass\ndef a():\n    pass\n"
    assert parts.changes(read(old), read(new)) == [CodePart(PartKind.ORDER)]


def test_a_property_and_its_setter_are_one() -> None:
    text = "class A:\n    @property\n    def x(self): return 1\n    @x.setter\n    def x(self, v): {}\n"
    old, new = read(text.format("pass")), read(text.format("self.y = v"))
    assert parts.changes(old, new) == [CodePart(PartKind.METHOD, "A.x", 5)]
    new = read(text.replace("return 1", "return 2").format("pass"))
    assert parts.changes(old, new) == [CodePart(PartKind.METHOD, "A.x", 5)]


def test_what_a_function_uses_through_the_projects_imports() -> None:
    modules = {
        "stages.clean": read(CLEAN),
        "stages.texts": read(TEXTS, "stages.texts"),
        "stages.deep": read(DEEP, "stages.deep"),
        "stages.numbers": read(NUMBERS, "stages.numbers"),
    }
    used = parts.used(modules, "stages.clean", "clean")
    functions = {f"{module}:{name}" for module, name in used if name and "," not in name}
    assert functions == {
        "stages.clean:LIMIT", "stages.clean:Late", "stages.clean:Late.fit", "stages.clean:Late.predict",
        "stages.clean:_count", "stages.clean:json", "stages.clean:numbers", "stages.texts:tidy",
        "stages.deep:strip", "stages.deep:beside", "stages.numbers:spell", "stages.numbers:stages",
    }  # fmt: skip
    assert parts.used(modules, "stages.clean", "other") == set()


def test_a_package_that_hands_on_and_modules_that_import_each_other() -> None:
    modules = {
        "stages.lib": read("from .a import f\nfrom .b import *\n", "stages.lib", is_package=True),
        "stages.lib.a": read("from . import g\ndef f(): return g()\n", "stages.lib.a"),
        "stages.lib.b": read("from .a import *\ndef g(): return f()\n", "stages.lib.b"),
        "stages.s": read("import stages.lib as lib\ndef s(): return lib.g()\n", "stages.s"),
    }
    used = parts.used(modules, "stages.s", "s")
    assert {("stages.lib.a", "f"), ("stages.lib.b", "g")} <= used


def test_what_is_no_python_defines_nothing_that_is_known() -> None:
    assert parts.read(b"def f(:", "m", False) is None


def test_a_deep_expression_is_no_matter() -> None:
    read("X = " + " + ".join("1" for _ in range(900)))
