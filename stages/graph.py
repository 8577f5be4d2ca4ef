"""An ONNX graph, written down node by node.

    graph = Graph("twice")
    graph.input("x", "float", [None, 1])
    graph.name(graph.add("Mul", "x", graph.constant(np.float32(2))), "y")
    data = graph.output("y", [None, 1]).model()

Names are numbers in the order of writing, versions are fixed, and nothing says when or where: equal
graphs are equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.onnx_export import OPSETS, fixed_bytes

TYPES = {
    "float": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "string": TensorProto.STRING,
    "uint8": TensorProto.UINT8,
}

Shape = Sequence[int | str | None]


class Graph:
    """A graph under construction. `add` and `constant` return the name of the tensor that they make."""

    def __init__(self, name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._name = name
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._domains: set[str] = set()
        self._count = 0

    def input(self, name: str, kind: str, shape: Shape) -> str:
        """One more input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, TYPES[kind], list(shape)))
        return name

    def image_input(self) -> str:
        """The input that every model of pictures has: `image`, red, green, blue, of any size."""
        return self.input("image", "uint8", [1, "height", "width", 3])

    def output(self, name: str, shape: Shape, kind: str = "float") -> Graph:
        """One more output of the graph, which has to have this name already."""
        self._outputs.append(helper.make_tensor_value_info(name, TYPES[kind], list(shape)))
        return self

    def add(self, operation: str, *tensors: str, **attributes: Any) -> str:
        """A node with one output; `to` of a Cast is one of `TYPES`. An empty name is an input left out."""
        if operation == "Cast":
            attributes["to"] = TYPES[attributes["to"]]
        return self.split(operation, 1, *tensors, **attributes)[0]

    def split(self, operation: str, outputs: int, *tensors: str, **attributes: Any) -> list[str]:
        """A node with several outputs; `domain` is that of its operation, where that is not ONNX's own."""
        self._domains |= {attributes["domain"]} if "domain" in attributes else set()
        names = [self._new() for _ in range(outputs)]
        self.nodes.append(helper.make_node(operation, list(tensors), names, **attributes))
        return names

    def name(self, tensor: str, name: str) -> str:
        """The same tensor under a name to be known by."""
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        return name

    def constant(self, value: npt.ArrayLike) -> str:
        """An array that is part of the file."""
        name = self._new()
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def resize(self, tensor: str, size: int, mode: str) -> str:
        """`float[1,channels,height,width]` to `size` x `size`, as Pillow does: a smaller picture is an average."""
        return self.add(
            "Resize",
            tensor,
            "",
            "",
            self.constant(np.array([size, size])),
            axes=[2, 3],
            mode=mode,
            coordinate_transformation_mode="half_pixel",
            antialias=1,
            cubic_coeff_a=-0.5,
            exclude_outside=1,
        )

    def include(
        self, model: onnx.ModelProto, prefix: str, outputs: Sequence[str], **inputs: str
    ) -> dict[str, str]:
        """What another model computes `outputs` with, its inputs fed with tensors of this one.

        Returns what the outputs are called here.
        """
        names = {value.name: inputs[value.name] for value in model.graph.input}
        nodes, needed = _needed(model.graph, outputs)
        for constant in model.graph.initializer:
            if constant.name not in needed:
                continue
            names[constant.name] = prefix + constant.name
            value = onnx.TensorProto()
            value.CopyFrom(constant)
            value.name = names[constant.name]
            self.constants.append(value)
        for node in nodes:
            names |= {name: prefix + name for name in node.output}
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [names[name] if name else "" for name in node.input]
            copy.output[:] = [names[name] for name in node.output]
            copy.name = ""
            self.nodes.append(copy)
        return {name: names[name] for name in outputs}

    def label(self, probability: str, classes: Sequence[Any], rows: int | None = None) -> Graph:
        """The output `label`: the likeliest of `classes`, of which `probability` has a column each.

        `rows` is 1 where there is never more than one, as for a picture.
        """
        best = self.add("ArgMax", probability, axis=1, keepdims=0)
        texts = isinstance(classes[0], str)
        values = self.constant(np.array(classes, dtype=object if texts else np.int64))
        self.name(self.add("Gather", values, best), "label")
        return self.output("label", [rows], "string" if texts else "int64")

    def model(self, classes: Sequence[Any] | None = None) -> bytes:
        """The ONNX file; `classes`, texts or numbers, become the metadata of that name, a JSON list."""
        graph = helper.make_graph(self.nodes, self._name, self._inputs, self._outputs, self.constants)
        versions = [helper.make_opsetid("", OPSETS[""])]
        versions += [helper.make_opsetid(domain, 1) for domain in sorted(self._domains)]
        model = helper.make_model(graph, opset_imports=versions)
        return fixed_bytes(model, self._name, {} if classes is None else {"classes": list(classes)})

    def _new(self) -> str:
        self._count += 1
        return f"t{self._count}"


def _needed(graph: onnx.GraphProto, outputs: Sequence[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes, in their order, that lead to `outputs`, and the names of all tensors on the way."""
    needed, nodes = {*outputs}, []
    for node in reversed(graph.node):
        if needed & {*node.output}:
            needed |= {*node.input}
            nodes.append(node)
    return nodes[::-1], needed
