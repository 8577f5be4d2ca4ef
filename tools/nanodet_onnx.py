"""Convert the object detector NanoDet from its TensorFlow.js form to the ONNX file in demo/nanodet/.

    python tools/nanodet_onnx.py nanodet.json nanodet.onnx

Needs numpy and onnx alone; `nanodet.bin`, the weights, has to lie beside the JSON file. How to get both
is in demo/nanodet/ORIGIN.md. Equal files give equal bytes.

    input   images: float[1,3,416,416]                                     blue, green, red; normalised
    output  scores_8: float[1,2704,80]   boxes_8: float[1,2704,44]         stride 8: 52 x 52 cells
            scores_16: float[1,676,80]   boxes_16: float[1,676,44]         stride 16: 26 x 26
            scores_32: float[1,169,80]   boxes_32: float[1,169,44]         stride 32: 13 x 13

TensorFlow computes convolutions with the channels last, this model's own outputs have them first, and its
converter put a transposition before and after each. Here a tensor that TensorFlow has with channels last
is kept with channels first, and a transposition is only another name. Weights stay the 16-bit numbers
as which they are published, and are widened when the file is loaded.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

OPSETS = {"": 21}
IR_VERSION = 10
OUTPUTS = {2704: "8", 676: "16", 169: "32"}  # cells of a head: its stride

Array = npt.NDArray[Any]
Node = Mapping[str, Any]


def main() -> int:
    """Read the JSON file named first, write the ONNX file named second."""
    if len(sys.argv) != 3:
        print("usage: python tools/nanodet_onnx.py nanodet.json nanodet.onnx", file=sys.stderr)
        return 2
    source, target = (Path(argument) for argument in sys.argv[1:])
    data = converted(json.loads(source.read_text(encoding="utf-8")), source.parent)
    target.write_bytes(data)
    print(f"{target}: {len(data):,} bytes")
    return 0


def converted(model: Node, folder: Path) -> bytes:
    """The ONNX file of a TensorFlow.js graph model whose weights lie in `folder`."""
    graph = _Graph(weights(model, folder))
    nodes = {node["name"]: node for node in model["modelTopology"]["node"]}
    outputs = []
    for tensor in model["signature"]["outputs"].values():
        name = tensor["name"].partition(":")[0]
        graph.need(name, nodes)
        shape = [int(dim["size"]) for dim in tensor["tensorShape"]["dim"]]
        public = ("scores_" if shape[2] == 80 else "boxes_") + OUTPUTS[shape[1]]
        graph.add("Identity", [graph.plain(name)], public)
        outputs.append(helper.make_tensor_value_info(public, TensorProto.FLOAT, shape))
    outputs.sort(key=lambda value: (int(value.name.split("_")[1]), value.name))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 416, 416])
    whole = helper.make_graph(graph.nodes, "nanodet", [images], outputs, graph.constants)
    file = helper.make_model(
        whole,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in OPSETS.items()],
        ir_version=IR_VERSION,
        producer_name="trunkline",
    )
    checker.check_model(file, full_check=True)
    return bytes(file.SerializeToString(deterministic=True))


def weights(model: Node, folder: Path) -> dict[str, Array]:
    """The weights by name, with the types in which they are stored."""
    found = {}
    for group in model["weightsManifest"]:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        start = 0
        for weight in group["weights"]:
            stored = weight.get("quantization", weight)["dtype"]
            if stored not in {"float16", "int32"}:
                raise ValueError(f"{weight['name']} is stored as {stored}: float16 or int32 is expected")
            kind = np.dtype(stored).newbyteorder("<")
            count = int(np.prod(weight["shape"], dtype=int))
            found[weight["name"]] = np.frombuffer(data, kind, count, start).reshape(weight["shape"])
            start += count * kind.itemsize
        if start != len(data):
            raise ValueError(f"{', '.join(group['paths'])}: {len(data)} bytes, {start} are described")
    return found


class _Graph:
    """The ONNX graph as it grows. `_last[x]` names the tensor that has TensorFlow's x with channels first."""

    def __init__(self, constants: Mapping[str, Array]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._known = dict(constants)
        self._names: dict[str, str] = {"input_1": "images"}
        self._last: dict[str, str] = {}
        self._count = 0
        self._by_op: dict[str, Callable[[str, list[str], Mapping[str, Any]], None]] = {
            "Transpose": self._transpose,
            "Pad": self._pad,
            "PadV2": self._pad,
            "Conv2D": self._convolution,
            "MaxPool": self._pool,
            "LeakyRelu": self._leaky,
            "Sigmoid": lambda name, ins, _: self._same("Sigmoid", name, ins),
            "Identity": lambda name, ins, _: self._same("Identity", name, ins),
            "Add": self._sum,
            "AddV2": self._sum,
            "ConcatV2": self._concat,
            "SplitV": self._split,
            "Reshape": self._reshape,
            "ResizeBilinear": self._resize,
            "SparseToDense": self._dense,
        }

    def need(self, name: str, nodes: Mapping[str, Node]) -> None:
        """Add what computes a node, and all that it is computed from, unless it is there."""
        if name in self._names or name in self._last or name in self._known:
            return
        node = nodes[name]
        ins = [text.removesuffix(":0") for text in node.get("input", ())]
        for text in ins:
            self.need(text.partition(":")[0], nodes)
        if node["op"] not in self._by_op:
            raise ValueError(f"{name}: the operation {node['op']} is not known here")
        self._by_op[node["op"]](name, ins, node.get("attr", {}))

    def add(self, operation: str, ins: list[str], *outs: str, **attributes: Any) -> None:
        """One node of the ONNX graph."""
        self.nodes.append(helper.make_node(operation, ins, list(outs), **attributes))

    def plain(self, name: str) -> str:
        """The ONNX tensor with TensorFlow's own order of axes."""
        if name not in self._names:
            self._names[name] = self._new()
            if name in self._known:
                self._names[name] = self.constant(self._known[name])
            else:
                self.add("Transpose", [self._last[name]], self._names[name], perm=[0, 2, 3, 1])
        return self._names[name]

    def constant(self, value: Array) -> str:
        """A constant; halves are widened to floats by a node that is folded away at loading."""
        name = self._new()
        value = np.ascontiguousarray(value)
        self.constants.append(numpy_helper.from_array(value, name))
        if value.dtype != np.float16:
            return name
        wide = self._new()
        self.add("Cast", [name], wide, to=TensorProto.FLOAT)
        return wide

    def _new(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def _to(self, place: dict[str, str], name: str) -> str:
        place[name] = self._new()
        return place[name]

    def _first(self, name: str) -> str:
        if name not in self._last:
            raise ValueError(f"{name} is expected with channels last")
        return self._last[name]

    def _transpose(self, name: str, ins: list[str], _: Node) -> None:
        order = self._known[ins[1]].tolist()
        if order == [0, 2, 3, 1] and ins[0] in self._names:
            self._last[name] = self._names[ins[0]]
        elif order == [0, 3, 1, 2] and ins[0] in self._last:
            self._names[name] = self._last[ins[0]]
        else:
            self.add("Transpose", [self.plain(ins[0])], self._to(self._names, name), perm=order)

    def _pad(self, name: str, ins: list[str], _: Node) -> None:
        pads = self._known[ins[1]].astype(np.int64)
        place, source = self._names, ins[0]
        if source in self._last and source not in self._names:
            place, pads = self._last, pads[[0, 3, 1, 2]]
        value = self._known[ins[2]].reshape(-1)[0] if len(ins) > 2 else 0
        self.add(
            "Pad",
            [place[source], self.constant(pads.T.reshape(-1)), self.constant(np.array(value, np.float32))],
            self._to(place, name),
        )

    def _convolution(self, name: str, ins: list[str], attributes: Node) -> None:
        _valid(name, attributes)
        kernel = self._known[ins[1]].transpose(3, 2, 0, 1)
        strides = _middle(attributes["strides"])
        tensors = [self._first(ins[0]), self.constant(kernel)]
        self.add("Conv", tensors, self._to(self._last, name), strides=strides, kernel_shape=kernel.shape[2:])

    def _pool(self, name: str, ins: list[str], attributes: Node) -> None:
        _valid(name, attributes)
        size, strides = _middle(attributes["ksize"]), _middle(attributes["strides"])
        out = self._to(self._last, name)
        self.add("MaxPool", [self._first(ins[0])], out, kernel_shape=size, strides=strides)

    def _leaky(self, name: str, ins: list[str], attributes: Node) -> None:
        self._same("LeakyRelu", name, ins, alpha=float(attributes["alpha"]["f"]))

    def _same(self, operation: str, name: str, ins: list[str], **attributes: Any) -> None:
        """An operation on each number by itself, whatever the order of axes."""
        place = self._names if ins[0] in self._names else self._last
        self.add(operation, [place[ins[0]]], self._to(place, name), **attributes)

    def _sum(self, name: str, ins: list[str], _: Node) -> None:
        one, other = ins
        if one in self._known and other in self._known:
            self._known[name] = self._known[one].astype(np.int64) + self._known[other]
        elif other in self._known and one in self._last:
            bias = self._known[other].reshape(1, -1, 1, 1)  # one number a channel
            self.add("Add", [self._last[one], self.constant(bias)], self._to(self._last, name))
        elif one in self._last and other in self._last:
            self.add("Add", [self._last[one], self._last[other]], self._to(self._last, name))
        else:
            self.add("Add", [self.plain(one), self.plain(other)], self._to(self._names, name))

    def _concat(self, name: str, ins: list[str], _: Node) -> None:
        axis = int(self._known[ins[-1]].reshape(-1)[0])
        tensors = [self.plain(text) for text in ins[:-1]]
        self.add("Concat", tensors, self._to(self._names, name), axis=axis)

    def _split(self, name: str, ins: list[str], _: Node) -> None:
        sizes, axis = self._known[ins[1]].astype(np.int64), int(self._known[ins[2]].reshape(-1)[0])
        parts = [self._to(self._names, name if i == 0 else f"{name}:{i}") for i in range(len(sizes))]
        self.add("Split", [self.plain(ins[0]), self.constant(sizes)], *parts, axis=axis)

    def _reshape(self, name: str, ins: list[str], _: Node) -> None:
        shape = self.constant(self._known[ins[1]].astype(np.int64))
        self.add("Reshape", [self.plain(ins[0]), shape], self._to(self._names, name))

    def _resize(self, name: str, ins: list[str], attributes: Node) -> None:
        if not attributes["half_pixel_centers"]["b"]:
            raise ValueError(f"{name}: half_pixel_centers is expected")
        size = self._known[ins[1]].astype(np.int64).reshape(-1)
        self.add(
            "Resize",
            [self._first(ins[0]), "", "", self.constant(size)],
            self._to(self._last, name),
            axes=[2, 3],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def _dense(self, name: str, ins: list[str], _: Node) -> None:
        """A constant that is written as a sparse one, here always with no entry."""
        indices, shape, _values, default = (self._known[text] for text in ins)
        if indices.size:
            raise ValueError(f"{name}: a sparse constant with entries is not known here")
        self._known[name] = np.full(shape, default.reshape(-1)[0] if default.size else 0, np.int64)


def _valid(name: str, attributes: Node) -> None:
    if base64.b64decode(attributes["padding"]["s"]) != b"VALID":
        raise ValueError(f"{name}: padding VALID is expected")


def _middle(attribute: Node) -> list[int]:
    """The numbers for height and width of [batch, height, width, channels]."""
    return [int(value) for value in attribute["list"]["i"]][1:3]


if __name__ == "__main__":
    sys.exit(main())
