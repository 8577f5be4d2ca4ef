"""Which datums an input forms: Pachyderm's documented behaviours, asked of the command line.

Each row is an input as a pipeline file has it and the datums that Pachyderm forms of it. A datum is
written as the set of its files, `input:path`. `docs/pachyderm-conformance.md` names these tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, cli, here  # noqa: F401 - the command line in this process
from tests.support import Done, Tree

DATA = {
    "places": [
        "California/Los-Angeles.json",
        "California/San-Francisco.json",
        "Colorado/Boulder.json",
        "Colorado/Denver.json",
        "Washington/Seattle.json",
    ],
    "readings": ["r1-s1.txt", "r2-s1.txt", "r3-s2.txt", "r4-s9.txt"],
    "sensors": ["s1.json", "s2.json", "s3.json"],
    "visits": ["t1-p1-h1.txt", "t2-p1-h2.txt", "t3-p2-h1.txt", "t4-p2-h2.txt", "t5-p1-h1.txt"],
    "models": ["m1.onnx", "m2.onnx"],
    "odd": ["a.b.c", "ab", "abc", "b1", "b2", "img10.png", "img2.png", "x y.txt"],
}
STAGE = """\
pipeline: p
stages:
  s:
    cmd: [sh]
    stdin: ["true"]
    input: INPUT
"""

LEAF = '{name: %s, dataset: %s, glob: "%s"%s}'


def leaf(name: str, dataset: str, glob: str, **more: str) -> str:
    """One input of the long form."""
    return LEAF % (name, dataset, glob, "".join(f', {key}: "{value}"' for key, value in more.items()))


def flagged(written: str, flag: str) -> str:
    """The same with a flag that is true."""
    return written.replace("}", f", {flag}: true}}")


PLACES = DATA["places"]
CALIFORNIA = [f"a:{path}" for path in PLACES if path.startswith("California")]
CITY = [[f"a:{path}"] for path in PLACES]
READINGS = leaf("r", "readings", "/*-(*).txt", join_on="$1")
SENSORS = leaf("s", "sensors", "/(*).json", join_on="$1")
BY_PATIENT = leaf("v", "visits", "/*-(*)-(*).txt", group_by="$1")
BY_BOTH = leaf("v", "visits", "/*-(*)-(*).txt", group_by="$2$1")

GLOBS = [
    ("/", [["a:"]]),
    ("/*", [["a:California"], ["a:Colorado"], ["a:Washington"]]),
    ("/*/*", CITY),
    ("/*/", [["a:California"], ["a:Colorado"], ["a:Washington"]]),
    ("/**", [*CITY, ["a:California"], ["a:Colorado"], ["a:Washington"]]),
    ("/**.json", CITY),
    ("/California/*", [[each] for each in CALIFORNIA]),
    ("/California", [["a:California"]]),
    ("/C*/*", CITY[:4]),
    ("/{California,Washington}", [["a:California"], ["a:Washington"]]),
    ("/[A-C]*/D*", [["a:Colorado/Denver.json"]]),
    ("/[!C]*", [["a:Washington"]]),
    ("/!(California|Colorado)", [["a:Washington"]]),
    ("/@(California|Washington)/S*", [["a:California/San-Francisco.json"], ["a:Washington/Seattle.json"]]),
    ("/nothing*", []),
]
ODD = [
    ("/??", [["a:ab"], ["a:b1"], ["a:b2"]]),
    ("/ab*", [["a:ab"], ["a:abc"]]),  # * may match nothing
    ("/img+([0-9]).png", [["a:img10.png"], ["a:img2.png"]]),
    ("/img*([0-9])0.png", [["a:img10.png"]]),
    ("/a*(.[a-z])", [["a:a.b.c"]]),
    ("/b[1-2]", [["a:b1"], ["a:b2"]]),
    ("/x*y.txt", [["a:x y.txt"]]),
]
GROUPED = [
    (  # cross: every combination
        f"{{cross: [{leaf('m', 'models', '/*')}, {leaf('s', 'sensors', '/s[12].json')}]}}",
        [[f"m:{m}", f"s:{s}"] for m in DATA["models"] for s in DATA["sensors"][:2]],
    ),
    (  # a cross with an empty side has no datum
        f"{{cross: [{leaf('m', 'models', '/*')}, {leaf('s', 'sensors', '/nothing')}]}}",
        [],
    ),
    (  # union: each datum is of one branch only
        f"{{union: [{leaf('m', 'models', '/*')}, {leaf('s', 'sensors', '/*')}]}}",
        [*([f"m:{m}"] for m in DATA["models"]), *([f"s:{s}"] for s in DATA["sensors"])],
    ),
    (  # branches of a union may share a name, so that the code sees one directory
        f"{{union: [{leaf('x', 'models', '/*')}, {leaf('x', 'sensors', '/*')}]}}",
        [*([f"x:{m}"] for m in DATA["models"]), *([f"x:{s}"] for s in DATA["sensors"])],
    ),
    (  # inner join: keys that all inputs have, and the cross product within a key
        f"{{join: [{READINGS}, {SENSORS}]}}",
        [["r:r1-s1.txt", "s:s1.json"], ["r:r2-s1.txt", "s:s1.json"], ["r:r3-s2.txt", "s:s2.json"]],
    ),
    (  # a trailing slash of a join's glob changes nothing
        f"{{join: [{leaf('a', 'places', '/(*)/', join_on='$1')}, "
        f"{leaf('b', 'places', '/(*)', join_on='$1')}]}}",
        [[f"a:{each}", f"b:{each}"] for each in ("California", "Colorado", "Washington")],
    ),
    (  # outer join on one side: what has no partner there forms a datum alone
        f"{{join: [{flagged(READINGS, 'outer_join')}, {SENSORS}]}}",
        [
            ["r:r1-s1.txt", "s:s1.json"],
            ["r:r2-s1.txt", "s:s1.json"],
            ["r:r3-s2.txt", "s:s2.json"],
            ["r:r4-s9.txt"],
        ],
    ),
    (  # outer join on both sides
        f"{{join: [{flagged(READINGS, 'outer_join')}, {flagged(SENSORS, 'outer_join')}]}}",
        [
            ["r:r1-s1.txt", "s:s1.json"],
            ["r:r2-s1.txt", "s:s1.json"],
            ["r:r3-s2.txt", "s:s2.json"],
            ["r:r4-s9.txt"],
            ["s:s3.json"],
        ],
    ),
    (  # group: one datum for each key, all of its files
        f"{{group: [{BY_PATIENT}]}}",
        [
            ["v:t1-p1-h1.txt", "v:t2-p1-h2.txt", "v:t5-p1-h1.txt"],
            ["v:t3-p2-h1.txt", "v:t4-p2-h2.txt"],
        ],
    ),
    (  # captures in any order make the key
        f"{{group: [{BY_BOTH}]}}",
        [
            ["v:t1-p1-h1.txt", "v:t5-p1-h1.txt"],
            ["v:t2-p1-h2.txt"],
            ["v:t3-p2-h1.txt"],
            ["v:t4-p2-h2.txt"],
        ],
    ),
    (  # a key need not be there in every input of a group
        f"{{group: [{leaf('r', 'readings', '/*-(*).txt', group_by='$1')}, "
        f"{leaf('s', 'sensors', '/(*).json', group_by='$1')}]}}",
        [
            ["r:r1-s1.txt", "r:r2-s1.txt", "s:s1.json"],
            ["r:r3-s2.txt", "s:s2.json"],
            ["r:r4-s9.txt"],
            ["s:s3.json"],
        ],
    ),
    (  # one dataset twice in a group
        f"{{group: [{BY_PATIENT}, {BY_PATIENT.replace('name: v', 'name: w')}]}}",
        [
            sorted(f"{name}:{path}" for name in "vw" for path in DATA["visits"] if f"-{patient}-" in path)
            for patient in ("p1", "p2")
        ],
    ),
    (  # a group around a join
        "{group: [{join: ["
        f"{leaf('r', 'readings', '/*-(*).txt', join_on='$1', group_by='$1')}, "
        f"{leaf('s', 'sensors', '/(*).json', join_on='$1', group_by='$1')}]}}]}}",
        [["r:r1-s1.txt", "r:r2-s1.txt", "s:s1.json"], ["r:r3-s2.txt", "s:s2.json"]],
    ),
    (  # a union of groups
        f"{{union: [{{group: [{BY_PATIENT}]}}, {{group: [{BY_BOTH}]}}]}}",
        [
            ["v:t1-p1-h1.txt", "v:t2-p1-h2.txt", "v:t5-p1-h1.txt"],
            ["v:t3-p2-h1.txt", "v:t4-p2-h2.txt"],
            ["v:t1-p1-h1.txt", "v:t5-p1-h1.txt"],
            ["v:t2-p1-h2.txt"],
            ["v:t3-p2-h1.txt"],
            ["v:t4-p2-h2.txt"],
        ],
    ),
    (  # a cross of a join and a single input
        f"{{cross: [{{join: [{READINGS}, {SENSORS}]}}, {leaf('m', 'models', '/m1*')}]}}",
        [
            ["m:m1.onnx", "r:r1-s1.txt", "s:s1.json"],
            ["m:m1.onnx", "r:r2-s1.txt", "s:s1.json"],
            ["m:m1.onnx", "r:r3-s2.txt", "s:s2.json"],
        ],
    ),
    (  # a cross of a union
        f"{{cross: [{{union: [{leaf('m', 'models', '/*')}, {leaf('m', 'sensors', '/s3*')}]}}, "
        f"{leaf('r', 'readings', '/r1*')}]}}",
        [["m:m1.onnx", "r:r1-s1.txt"], ["m:m2.onnx", "r:r1-s1.txt"], ["m:s3.json", "r:r1-s1.txt"]],
    ),
]
REFUSED = [
    (leaf("out", "models", "/*"), "cannot name an input"),
    (f"{{cross: [{leaf('m', 'models', '/*')}, {leaf('m', 'sensors', '/*')}]}}", "two inputs are called 'm'"),
    (leaf("m", "models", "/m[1"), "is no pattern"),
    (leaf("m", "nowhere", "/*"), "there is no dataset 'nowhere'"),
    (f"{{join: [{leaf('m', 'models', '/(*).onnx')}, {SENSORS}]}}", "has no 'join_on'"),
    (f"{{group: [{leaf('m', 'models', '/(*).onnx')}]}}", "has no 'group_by'"),
    (leaf("m", "p.s", "/*"), "reads its own output"),
    (f"{{group: [{leaf('v', 'visits', '/(*).txt', group_by='$2')}]}}", "has no $2"),
]


@pytest.fixture(scope="module")
def _places(_empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = Tree(_empty).copy(tmp_path_factory.mktemp("inputs") / "project")
    for dataset, paths in DATA.items():
        for path in paths:
            tree.write(f"data/{dataset}/{path}", path)
    tree.dvc("add", "-q", *(f"data/{dataset}" for dataset in DATA))
    tree.commit("Data")
    return tree.root


@pytest.fixture
def ask(_places: Path, here: Callable[[Tree], Tree], cli: Cli) -> Callable[..., Done]:  # noqa: F811
    """`trunkline datums` of an input, without a pipeline in the project: Pachyderm's preview."""
    tree = here(Tree(_places))
    spec = tree.root.parent / "p.yaml"

    def asked(written: str, code: int = 0) -> Done:
        spec.write_text(STAGE.replace("INPUT", written))
        return cli("datums", "p.s", "--spec", str(spec), "--json", code=code)

    return asked


def files(done: Done) -> list[list[str]]:
    """The datums that were listed."""
    return sorted(sorted(f"{item['input']}:{item['path']}" for item in row["inputs"]) for row in done.data)


@pytest.mark.parametrize(("glob", "expected"), GLOBS)
def test_a_glob(ask: Callable[..., Done], glob: str, expected: list[list[str]]) -> None:
    assert files(ask(leaf("a", "places", glob))) == sorted(expected)


@pytest.mark.parametrize(("glob", "expected"), ODD)
def test_a_glob_of_files(ask: Callable[..., Done], glob: str, expected: list[list[str]]) -> None:
    assert files(ask(leaf("a", "odd", glob))) == sorted(expected)


@pytest.mark.parametrize(("written", "expected"), GROUPED)
def test_inputs_made_of_inputs(ask: Callable[..., Done], written: str, expected: list[list[str]]) -> None:
    found = files(ask(written))
    assert found == sorted(sorted(datum) for datum in expected)


@pytest.mark.parametrize(("written", "message"), REFUSED)
def test_what_is_refused(ask: Callable[..., Done], written: str, message: str) -> None:
    done = ask(written, code=2)
    assert message in done.out + done.err


def test_the_preview_leaves_no_trace(ask: Callable[..., Done]) -> None:
    ask(leaf("a", "places", "/*"))
    assert not Path("pipelines").exists()
    assert not Path("dvc.yaml").exists()
    assert Tree(Path.cwd()).git("status", "--porcelain").out == ""
