"""Values whose digests are frozen in modules.json and records.json, beside this file.

Run as a program it prints the digests that the running Python computes; it needs nothing but the
standard library and trunkline's source:

    PYTHONPATH=src python tests/golden/digests/examples.py
"""

from __future__ import annotations

import json

from trunkline.digest import digest, md5_bytes, tree_oid
from trunkline.model import (
    Command,
    Dataset,
    DatasetKind,
    Datum,
    File,
    Function,
    Join,
    Leaf,
    Snapshot,
    Stage,
    Version,
)
from trunkline.plan.code import canonical, code_digest
from trunkline.plan.datums import datums
from trunkline.plan.keys import datum_key, transform_digest

# Every source is valid under Python 3.11, the oldest version that we support.
SOURCES: dict[str, str] = {
    "empty": "",
    "only a comment": "# nothing\n",
    "only a docstring": '"""About nothing."""\n',
    "docstring that is read": '"""Usage."""\nprint(__doc__)\n',
    "function": 'def f(a, /, b: int = 1, *c, d: str = "x", e, **g) -> None:\n    """Docs."""\n    return None\n',
    "class": 'class A(B, metaclass=M):\n    """Docs."""\n    x: int = 0\n    y: str\n\n    @property\n    def z(self): ...\n',
    "decorators": "@a\n@b.c(1, k=[2])\n@(lambda f: f)\ndef f(): pass\n",
    "async": "async def f(x):\n    async with x as y, z:\n        async for i in y:\n            await i\n    return [j async for j in x if await j]\n",
    "generators": "def f():\n    x = yield\n    y = yield from g()\n    return (i for i in x if i for k in i)\n",
    "lambdas": "f = lambda: 0\ng = lambda x=1, *a, k=2, **w: (x, a, k, w)\n",
    "walrus": "if (n := len(a)) > 10 and [y := f(x), y**2]:\n    pass\n",
    "match": (
        "match command:\n"
        '    case ["go", str() as d] if d:\n        pass\n'
        '    case {"k": 1 | 2, **rest}:\n        pass\n'
        "    case Point(x=0, y=-1.5) | [*_, None]:\n        pass\n"
        "    case a.b | (1+2j):\n        pass\n"
        "    case _:\n        pass\n"
    ),
    "exceptions": (
        "try:\n    f()\nexcept (A, B) as e:\n    raise C from e\nexcept D:\n    pass\nelse:\n    g()\nfinally:\n    h()\n"
        "try:\n    f()\nexcept* E as group:\n    raise\n"
    ),
    "statements": (
        "from __future__ import annotations\nimport a.b as c, d\nfrom . import e\nfrom ..f import g as h, i\n"
        "global x\ndel y[0], z.w\nassert a, 'why'\nwhile True:\n    break\nelse:\n    continue_ = 1\n"
        "for i, *j in k:\n    continue\nwith (open(a) as b, c):\n    b += 1; b @= 2; b //= 3\nx = y = *z, 1\n"
    ),
    "operators": "a = not b or c and d | e ^ f & g << h >> i + j - k * l / m // n % o @ p ** -q\nr = ~s\nt = u if v else w\n",
    "comparisons": "a < b <= c > d >= e == f != g is h is not i in j not in k\n",
    "slices": "a[1:2, ::3, ...], b[:], c[x:=1], d[-1], e[*f]\n",
    "collections": "a = {1, 2}, {1: 2, **b}, [*c, 3], (), (4,), {}, {i: j for i, j in k}\n",
    "calls": "f(*a, b, *c, d=1, **e, g=2)\n",
    "numbers": "a = 1e10, 10000000000.0, 0x10, 0b1_0, 0o17, 1_000_000, .5, 1E-400, 1e999, 3j, 0, 00, 0xFFFFFFFFFFFFFFFFFF\n",
    "texts": "a = 'b' \"c\" u'd' r'\\e' '\\x41\\u00e9\\N{EM DASH}' '''f\ng''' '\\ud800' 'é\u200b'\n",
    "bytes": "a = b'b' rb'\\c' b'\\x00\\xff' b''\n",
    "constants": "a = None, True, False, ..., __debug__\n",
    "type hints": "x: 'list[int]' = []\ndef f(a: int | None, *b: 'T', **c: dict[str, tuple[int, ...]]) -> Callable[[int], str]: ...\n",
    "f-strings": "a = f'', f'b', f'{c}', f'd{e}f', f'{g!r}', f'{h!s:>10}', f'{i:{j}.{k}}', f'{{l}}', f'{m[0]}{n.o()}'\n",
    "f-strings, debug": "a = f'{b=}', f'{c = }', f'{d=!s}', f'{e=:>5}', f'x {f=} y'\n",
    "f-strings, formats": "a = f'{b:%Y-%m-%d}', f'{c:,.2f}', f'{d:}', f'{e!r:^{w}}', f'{f:{g!r}}', f'{i:a{j}b{k}}'\n",
    "f-strings, joined": "a = 'b' f'c{d}' 'e' f'' 'g' f'{h}' u'i' f'j'\n",
    "f-strings, nested": "a = f'{f\"{b}\"}', f'{\"c\" \"d\"}', f'''{f\"{f'{e}'}\"}''', f'{(lambda x: x)(1)}', f'{ {1: 2}[1] }'\n",
    "f-strings, escapes": "a = f'\\n{b}\\t', f'\\N{EM DASH}{c}', rf'\\d{e}', f'\\\\{f}', f'''\n{\ng\n}\n''', f'é{h}'\n",
    "long sum": "a = " + " + ".join(["b"] * 1500) + "\n",
    "invalid escape": "a = '\\d'\n",
    "not Python": "def f(:\n",
    "other encoding": "# -*- coding: latin-1 -*-\na = 'é'\n",
}


def modules() -> dict[str, str]:
    """The digest of each source's meaning."""
    return {
        name: canonical(source.encode("latin-1" if "latin-1" in source else "utf-8"))
        for name, source in SOURCES.items()
    }


def records() -> dict[str, str]:
    """Digests of values, of listings, and of everything that a key is made of."""
    found = _values()
    found["empty listing"] = tree_oid([])
    found["listing"] = tree_oid(
        [("b/2.csv", md5_bytes(b"two")), ("a.csv", md5_bytes(b"one")), ("é.csv", md5_bytes(b""))]
    )
    found["code digest"] = code_digest({"stages/clean.py": "1" * 64, "stages/__init__.py": "2" * 64})
    stage = _stage()
    transform = transform_digest(stage, "c" * 64, "1 pyarrow 22.0.0")
    command = Stage("p", "s", Command(("sh", "-c", "cat"), ("line",)), env={"A": "b"})
    found["transform, function"] = transform
    found["transform, packages"] = transform_digest(stage, "c" * 64, "1 pyarrow 22.0.0", {"numpy": "2.3.4"})
    found["transform, command"] = transform_digest(command, "c" * 64, "1 pyarrow 22.0.0")
    for datum in datums(stage, _snapshots()):
        found[f"datum id, {datum.name}"] = datum.id
        found[f"datum key, {datum.name}"] = datum_key(datum, transform)
    found["datum id, no input"] = Datum(*datums(command, {})[0]).id
    return found


def _values() -> dict[str, str]:
    values: dict[str, object] = {
        "none": None, "true": True, "false": False, "zero": 0, "one": 1, "minus one": -1, "large": 2**70,
        "one as float": 1.0, "a tenth": 0.1, "tiny": 5e-324, "one as text": "1", "no text": "", "text": "é\n",
        "bytes": b"1", "no list": [], "list": [1, "a", None], "nested": [["a"], ["b", []]], "no mapping": {},
        "mapping": {"b": 1, "a": [2.5, True]},
    }  # fmt: skip
    return {f"value, {name}": digest("example", value) for name, value in values.items()} | {
        "value, other tag": digest("other", None)
    }


def _stage() -> Stage:
    flights = Dataset("flights.ingest", "data/flights/ingest", DatasetKind.STAGE)
    weather = Dataset("weather_raw", "data/weather_raw", DatasetKind.SOURCE)
    return Stage(
        pipeline="flights",
        name="clean",
        run=Function("stages.clean", "clean"),
        input=Join((Leaf("flights", flights, "/(*).parquet", "$1"), Leaf("weather", weather, "/(*)", "$1"))),
        params={"late_after": 15, "target": "arr_delay", "share": 0.25, "key": ["carrier", None, True]},
    )


def _snapshots() -> dict[str, Snapshot]:
    flights = (
        File("2013-01-01.parquet", md5_bytes(b"f1"), 2),
        File("2013-01-02.parquet", md5_bytes(b"f2"), 2),
    )
    weather = tuple(
        File(f"2013-01-0{day}/{part}.csv", md5_bytes(b"w%d" % day), 2) for day in (1, 2) for part in "ab"
    )
    return {
        "flights.ingest": Snapshot(Version(tree_oid(file[:2] for file in flights), 4, 2), flights),
        "weather_raw": Snapshot(Version(tree_oid(file[:2] for file in weather), 8, 4), weather),
    }


if __name__ == "__main__":
    print(json.dumps({"modules": modules(), "records": records()}))
