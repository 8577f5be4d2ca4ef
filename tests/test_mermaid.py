"""A lineage graph as a flowchart: every node and edge once, and no text that Mermaid would read as its own."""

from __future__ import annotations

import re

from trunkline.lineage import Edge, Graph, Node
from trunkline.lineage.mermaid import render_mermaid

RUN = "019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e"
GRAPH = Graph(
    "model:late@1",
    {
        "model:late@1": Node("model:late@1", "model", "late", {"version": "4f2a91c0" * 4}),
        "stage:p.s@2": Node("stage:p.s@2", "stage", "p.s", {"run": "stages.s:s"}),
        "params:p.s@3": Node("params:p.s@3", "params", "p.s", {"note": 'say "hi"; <b>', "list": [1, 2]}),
        f"run:{RUN}": Node(f"run:{RUN}", "run", RUN, {"commit": "c0ffee11" * 5}),
    },
    (
        Edge("params:p.s@3", "stage:p.s@2", "params"),
        Edge(f"run:{RUN}", "stage:p.s@2", "run"),
        Edge("stage:p.s@2", "model:late@1", "output"),
    ),
)


def test_the_whole_text() -> None:
    assert render_mermaid(GRAPH).splitlines() == [
        "flowchart LR",
        '    n0(("late<br/>4f2a91c0"))',
        '    n1["p.s<br/>stages.s:s"]',
        '    n2{{"p.s<br/>note: say #34;hi#34;#59; #60;b#62;<br/>list: #91;1, 2#93;"}}',
        '    n3[["run 019aacb5<br/>commit c0ffee11"]]',
        "    n2 --> n1",
        "    n3 --> n1",
        "    n1 --> n0",
        "    style n0 stroke-width:3px",
    ]


def test_no_label_ends_early() -> None:
    labels = re.findall(r'"(.*)"[\])}/]', render_mermaid(GRAPH))
    assert len(labels) == 4
    assert not any('"' in label for label in labels)
