"""TensorFlow.js graph models to ONNX: the convolutions between a picture and the named results, at any even size.

What comes after the last convolutions of a detector (peaks, gathers, decoding) is better done outside the network,
where it can be read and quantised parts cannot harm it. Pictures are (n, c, h, w) from end to end.
"""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.errors import ExportError
from export.to_onnx import OPSET, finish

_STORED = {"float16": np.float16, "float32": np.float32, "int32": np.int32, "bool": np.bool_}


def read_weights(model: Path) -> dict[str, npt.NDArray[Any]]:
    """Every constant of a model.json by name, as float32 or int32."""
    manifest = json.loads(model.read_text(encoding="utf-8"))["weightsManifest"]
    found: dict[str, npt.NDArray[Any]] = {}
    for group in manifest:
        blob = b"".join((model.parent / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = np.dtype(_STORED[entry.get("quantization", entry)["dtype"]])
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(blob, stored, count, offset).reshape(entry["shape"])
            offset += count * stored.itemsize
            found[entry["name"]] = values.astype(_STORED[entry["dtype"]])
    return found


def convert(model: Path, target: Path, *, image: str, outputs: Mapping[str, str]) -> None:
    """Write the part of a graph between its one placeholder and some of its nodes.

    Args:
        model: model.json, its weights beside it.
        target: what is written.
        image: name of the input: (1, 3, h, w) float32, in the range that the graph expects; h and w are free.
        outputs: names in ONNX by names of nodes.

    Raises:
        ExportError: an operator on the way is not known here.
    """
    graph = _Graph(model, image)
    for node, name in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [graph.reach(node)], [name], name=name))
    free = helper.make_tensor_value_info(image, TensorProto.FLOAT, [1, 3, "h", "w"])
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, None, None]) for name in outputs.values()
    ]
    made = helper.make_graph(graph.nodes, model.stem, [free], results, graph.constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8), target)
    finish(target)


class _Graph:
    """One conversion at work: nodes are made when something needs them."""

    def __init__(self, model: Path, image: str) -> None:
        topology = json.loads(model.read_text(encoding="utf-8"))["modelTopology"]["node"]
        self._nodes = {node["name"]: node for node in topology}
        self._weights = read_weights(model)
        self._made: dict[str, str] = {}
        self._image, self._file = image, model.name
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def reach(self, name: str) -> str:
        """The ONNX name of a node's result, made now where it is not there."""
        if name not in self._made:
            node = self._nodes[name]
            rule = _RULES.get(node["op"])
            if rule is None:
                raise ExportError(
                    f"{self._file}: operator {node['op']} of {name} is not known; known: {', '.join(_RULES)}"
                )
            self._made[name] = rule(self, node)
        return self._made[name]

    def weight(self, name: str) -> npt.NDArray[Any]:
        """A constant."""
        return self._weights[name]

    def constant(self, values: npt.NDArray[Any]) -> str:
        """A new constant; returns its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """A new node; returns the name of its result."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def image(self) -> str:
        """The name of the input."""
        return self._image

    def operand(self, name: str) -> str:
        """What an elementwise operator reads: a result, or a constant laid out like the pictures."""
        if name not in self._weights:
            return self.reach(name)
        values = self._weights[name]
        if values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)
        elif values.ndim == 1:
            values = values.reshape(1, -1, 1, 1)
        return self.constant(values)


def _window(node: Mapping[str, Any], kernel: tuple[int, int]) -> dict[str, Any]:
    """Strides and pads. SAME of an even picture: nothing before and the rest behind where the stride is 2."""
    strides = [int(step) for step in node["attr"]["strides"]["list"]["i"][1:3]]
    pads = [0, 0, 0, 0]
    if _text(node["attr"]["padding"]) == "SAME":
        totals = [max(0, k - s) for k, s in zip(kernel, strides, strict=True)]
        pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]
    return {"kernel_shape": kernel, "strides": strides, "pads": pads}


def _text(attribute: Mapping[str, Any]) -> str:
    return base64.b64decode(attribute["s"]).decode()


def _activated(graph: _Graph, node: Mapping[str, Any], name: str) -> str:
    steps = [base64.b64decode(step).decode() for step in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])]
    if "Relu6" in steps:
        bounds = [graph.constant(np.array(bound, np.float32)) for bound in (0, 6)]
        return graph.add("Clip", [name, *bounds])
    return graph.add("Relu", [name]) if "Relu" in steps else name


def _convolution(graph: _Graph, node: Mapping[str, Any]) -> str:
    source, kernel_name, *biases = node["input"]
    kernel = graph.weight(kernel_name)  # (h, w, in, out)
    arguments = [graph.reach(source), graph.constant(kernel.transpose(3, 2, 0, 1))]
    arguments += [graph.constant(graph.weight(bias)) for bias in biases[:1]]
    height, width = kernel.shape[:2]
    return _activated(graph, node, graph.add("Conv", arguments, **_window(node, (height, width))))


def _depthwise(graph: _Graph, node: Mapping[str, Any]) -> str:
    source, kernel_name, *biases = node["input"]
    kernel = graph.weight(kernel_name)  # (h, w, channels, 1)
    arguments = [graph.reach(source), graph.constant(kernel.transpose(2, 3, 0, 1))]
    arguments += [graph.constant(graph.weight(bias)) for bias in biases[:1]]
    height, width, channels, _ = kernel.shape
    return _activated(graph, node, graph.add("Conv", arguments, group=channels, **_window(node, (height, width))))


def _doubled(graph: _Graph, node: Mapping[str, Any]) -> str:
    """Bilinear resizing; the graph's own size computation always says twice."""
    scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
    return graph.add(
        "Resize",
        [graph.reach(node["input"][0]), "", scales],
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _elementwise(kind: str) -> Callable[[_Graph, Mapping[str, Any]], str]:
    return lambda graph, node: graph.add(kind, [graph.operand(name) for name in node["input"]])


_RULES: dict[str, Callable[[_Graph, Mapping[str, Any]], str]] = {
    "AddV2": _elementwise("Add"),
    "Cast": lambda graph, node: graph.reach(node["input"][0]),
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "Mul": _elementwise("Mul"),
    "Placeholder": lambda graph, _node: graph.image(),
    "ResizeBilinear": _doubled,
    "Sigmoid": _elementwise("Sigmoid"),
    "Sub": _elementwise("Sub"),
    "_FusedConv2D": _convolution,
}
