"""100, 200 and 400 stages, in a chain and side by side: what a stage costs must not grow with their number.

Every stage copies one small file in capitals. A chain's first stage reads the source and each other one
the stage before; side by side all read the source. Measured: `compile`, a `run` of all of them, with
every stage to do, and a `plan` with nothing to do; beside the same number of stages that `dvc repro`
runs (`cp`), and beside half as many: twice the work, so 2 is linear, and 4 would be quadratic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.figures import Figure
from bench.processes import Cost, medians, run
from bench.projects import Tree
from bench.sizes import Sizes

NAME = "graphs"
SHAPES = {"chain": "in a chain", "flat": "side by side"}
LINEAR = 2.4  # of twice as many stages; the start of the process makes it less than 2 for few


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """Both shapes."""
    for shape, called in SHAPES.items():
        half: dict[str, Cost] = {}
        for count in sizes.stages:
            costs = _costs(make(f"{shape}-{count}"), shape, count)
            dvc = _dvc(make(f"{shape}-{count}-dvc"), shape, count)
            what = f"{count} stages {called}"
            yield Figure(NAME, f"run, {what}", "dvc repro", costs["run"], dvc["repro"], None)
            yield Figure(NAME, f"plan, {what}", "dvc status", costs["plan"], dvc["status"], None)
            for name, cost in costs.items():
                if half:
                    against = f"{count // 2} stages"
                    yield Figure(NAME, f"{name}, {what}", against, cost, half[name], LINEAR, judged=("cpu",))
            half = costs


def _costs(tree: Tree, shape: str, count: int) -> dict[str, Cost]:
    tree.stages("texts")
    tree.write("data/parts/1.txt", "one\n")
    lines = ["pipeline: p", "", "stages:"]
    for number in range(count):
        source = "parts/*" if shape == "flat" or number == 0 else f"s{number - 1}/*"
        lines += [f"  s{number}:", "    run: stages.texts:upper", f"    input: {{part: {source}}}"]
    tree.write("pipelines/p.yaml", "\n".join(lines) + "\n")
    tree.source("parts")
    costs = {"compile": run(tree.trunkline("compile"))}
    tree.do("git", "add", "-A")
    tree.do("git", "commit", "-qm", "Stages")
    costs["run"] = run(tree.trunkline("run"))
    costs["plan"] = medians(3, tree.trunkline("plan"))[0]
    return costs


def _dvc(tree: Tree, shape: str, count: int) -> dict[str, Cost]:
    tree.write("data/x0", "one\n")
    lines = ["stages:"]
    for number in range(1, count + 1):
        source = "data/x0" if shape == "flat" else f"data/x{number - 1}"
        lines += [f"  s{number}:", f"    cmd: cp {source} data/x{number}"]
        lines += [f"    deps: [{source}]", f"    outs: [data/x{number}]"]
    tree.write("dvc.yaml", "\n".join(lines) + "\n")
    return {"repro": run(tree.dvc("repro", "-q")), "status": medians(1, tree.dvc("status", "-q"))[0]}
