"""TensorFlow Lite to ONNX, for the few small networks that are shipped as they are: convolutions and what lies between.

Weights that a file keeps as fp16 are taken as they are stored and widened. TensorFlow lays pictures out as
(n, h, w, c); what is written has them as (n, c, h, w) from its inputs to its outputs, and turns them only to flatten.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

from export.errors import ExportError
from export.to_onnx import OPSET, finish

_TYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}
_KINDS = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
_RELU, _RELU6 = tflite.ActivationFunctionType.RELU, tflite.ActivationFunctionType.RELU6


def convert(source: Path, target: Path, *, inputs: dict[str, str], outputs: dict[str, str]) -> None:
    """Write the network of a .tflite file as ONNX, float32 throughout.

    Args:
        source: the file.
        target: what is written.
        inputs: new names of inputs by old ones.
        outputs: new names of outputs by old ones.

    Raises:
        ExportError: the file has an operator that is not known here.
    """
    graph = _Graph(tflite.Model.GetRootAsModel(source.read_bytes(), 0), {**inputs, **outputs}, source.name)
    graph.build()
    made = helper.make_graph(graph.nodes, source.stem, graph.values(inputs), graph.values(outputs), graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.save(model, target)
    finish(target)


class _Graph:
    """One conversion at work."""

    def __init__(self, model: Any, names: dict[str, str], file: str) -> None:
        self._model, self._graph, self._names, self._file = model, model.Subgraphs(0), names, file
        self._weights: dict[int, npt.NDArray[Any]] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def name(self, index: int) -> str:
        """A tensor's name in ONNX."""
        own = self._graph.Tensors(index).Name().decode()
        return self._names.get(own, f"t{index}")

    def values(self, names: dict[str, str]) -> list[onnx.ValueInfoProto]:
        """Inputs or outputs of the graph, in the order of `names`."""
        found = {}
        for index in range(self._graph.TensorsLength()):
            tensor = self._graph.Tensors(index)
            own = tensor.Name().decode()
            if own in names:
                shape = _turned_shape(tensor.ShapeAsNumpy().tolist())
                found[own] = helper.make_tensor_value_info(names[own], TensorProto.FLOAT, shape)
        return [found[own] for own in names]

    def weight(self, index: int) -> npt.NDArray[Any]:
        """A stored tensor; fp16 widened."""
        if index in self._weights:
            return self._weights[index]
        tensor = self._graph.Tensors(index)
        raw = self._model.Buffers(tensor.Buffer()).DataAsNumpy()
        values = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), _TYPES[tensor.Type()]).reshape(
            tensor.ShapeAsNumpy()
        )
        return values.astype(np.float32) if values.dtype == np.float16 else values

    def stored(self, index: int) -> bool:
        """Whether a tensor is a weight and no result."""
        if index in self._weights:
            return True
        raw = self._model.Buffers(self._graph.Tensors(index).Buffer()).DataAsNumpy()
        return not isinstance(raw, int) and len(raw) > 0

    def constant(self, values: npt.NDArray[Any]) -> str:
        """A new constant; returns its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def input(self, index: int) -> str:
        """The name of what an operator reads."""
        if not self.stored(index):
            return self.name(index)
        values = self.weight(index)
        return self.constant(values.transpose(0, 3, 1, 2) if values.ndim == 4 else values)

    def add(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """A new node; returns the name of its output."""
        made = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [made], name=f"{kind}_{len(self.nodes)}", **attributes))
        return made

    def build(self) -> None:
        """Convert operator by operator."""
        for number in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(number)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            kind = _KINDS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            kind = code.CustomCode().decode() if kind == "CUSTOM" else kind
            rule = _RULES.get(kind)
            if rule is None:
                raise ExportError(f"{self._file}: operator {kind} is not known; known: {', '.join(_RULES)}")
            inputs = [int(index) for index in operator.InputsAsNumpy() if index >= 0]
            rule(self, operator, inputs, int(operator.OutputsAsNumpy()[0]))

    def widen(self, inputs: list[int], output: int) -> None:
        """fp16 weights that the file widens when it is loaded."""
        self._weights[output] = self.weight(inputs[0])

    def end(self, name: str, output: int, activation: int = 0) -> None:
        """Give the operator's result its name, after the operator's own activation."""
        if activation == _RELU:
            self.add("Relu", [name], self.name(output))
        elif activation == _RELU6:
            bounds = [self.constant(np.array(bound, np.float32)) for bound in (0, 6)]
            self.add("Clip", [name, *bounds], self.name(output))
        else:
            self.add("Identity", [name], self.name(output))

    def size(self, index: int) -> list[int]:
        """A tensor's shape."""
        return [int(side) for side in self._graph.Tensors(index).ShapeAsNumpy()]


def _turned_shape(shape: list[int]) -> list[int]:
    return [shape[0], shape[3], *shape[1:3]] if len(shape) == 4 else shape


def _options(operator: Any, kind: type[Any]) -> Any:
    options, table = kind(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def _pads(options: Any, size: list[int], kernel: tuple[int, int], stride: tuple[int, int]) -> list[int]:
    """ONNX pads of TensorFlow's SAME, which puts the odd pixel at the end; none for VALID."""
    if options.Padding() == tflite.Padding.VALID:
        return [0, 0, 0, 0]
    before, after = [], []
    for side, k, s in zip(size[1:3], kernel, stride, strict=True):
        total = max(0, (-(-side // s) - 1) * s + k - side)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _convolution(graph: _Graph, operator: Any, inputs: list[int], output: int) -> None:
    options = _options(operator, tflite.Conv2DOptions)
    kernel = graph.weight(inputs[1])  # (out, h, w, in)
    stride = options.StrideH(), options.StrideW()
    weight = graph.constant(kernel.transpose(0, 3, 1, 2))
    pads = _pads(options, graph.size(inputs[0]), kernel.shape[1:3], stride)
    arguments = [graph.input(inputs[0]), weight, *(graph.input(i) for i in inputs[2:])]
    made = graph.add("Conv", arguments, kernel_shape=kernel.shape[1:3], strides=stride, pads=pads)
    graph.end(made, output, options.FusedActivationFunction())


def _depthwise(graph: _Graph, operator: Any, inputs: list[int], output: int) -> None:
    options = _options(operator, tflite.DepthwiseConv2DOptions)
    kernel = graph.weight(inputs[1])  # (1, h, w, channels)
    stride = options.StrideH(), options.StrideW()
    weight = graph.constant(kernel.transpose(3, 0, 1, 2))
    pads = _pads(options, graph.size(inputs[0]), kernel.shape[1:3], stride)
    arguments = [graph.input(inputs[0]), weight, *(graph.input(i) for i in inputs[2:])]
    made = graph.add(
        "Conv", arguments, kernel_shape=kernel.shape[1:3], strides=stride, pads=pads, group=kernel.shape[3]
    )
    graph.end(made, output, options.FusedActivationFunction())


def _transposed(graph: _Graph, _operator: Any, inputs: list[int], output: int) -> None:
    """MediaPipe's own operator: a transposed convolution that doubles the size, with biases."""
    kernel = graph.weight(inputs[1])  # (out, h, w, in)
    weight = graph.constant(kernel.transpose(3, 0, 1, 2))
    arguments = [graph.input(inputs[0]), weight, graph.input(inputs[2])]
    graph.end(graph.add("ConvTranspose", arguments, strides=[2, 2]), output)


def _pool(kind: str) -> Callable[[_Graph, Any, list[int], int], None]:
    def rule(graph: _Graph, operator: Any, inputs: list[int], output: int) -> None:
        options = _options(operator, tflite.Pool2DOptions)
        kernel, stride = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
        pads = _pads(options, graph.size(inputs[0]), kernel, stride)
        made = graph.add(kind, [graph.input(inputs[0])], kernel_shape=kernel, strides=stride, pads=pads)
        graph.end(made, output)

    return rule


def _mean(graph: _Graph, _operator: Any, inputs: list[int], output: int) -> None:
    graph.end(graph.add("GlobalAveragePool", [graph.input(inputs[0])]), output)


def _resize(graph: _Graph, operator: Any, inputs: list[int], output: int) -> None:
    options = _options(operator, tflite.ResizeBilinearOptions)
    mode = "half_pixel" if options.HalfPixelCenters() else "align_corners" if options.AlignCorners() else "asymmetric"
    size = graph.size(output)
    sizes = graph.constant(np.array([size[0], size[3], *size[1:3]], np.int64))
    arguments = [graph.input(inputs[0]), "", "", sizes]
    graph.end(graph.add("Resize", arguments, mode="linear", coordinate_transformation_mode=mode), output)


def _simple(kind: str) -> Callable[[_Graph, Any, list[int], int], None]:
    def rule(graph: _Graph, _operator: Any, inputs: list[int], output: int) -> None:
        graph.add(kind, [graph.input(index) for index in inputs], graph.name(output))

    return rule


def _add(graph: _Graph, operator: Any, inputs: list[int], output: int) -> None:
    activation = _options(operator, tflite.AddOptions).FusedActivationFunction()
    if activation != _RELU:
        _simple("Add")(graph, operator, inputs, output)
        return
    graph.add("Relu", [graph.add("Add", [graph.input(index) for index in inputs])], graph.name(output))


def _hard_swish(graph: _Graph, _operator: Any, inputs: list[int], output: int) -> None:
    graph.add("HardSwish", [graph.input(inputs[0])], graph.name(output))


def _pad(graph: _Graph, _operator: Any, inputs: list[int], output: int) -> None:
    pads = graph.weight(inputs[1]).T.reshape(-1).astype(np.int64)
    order = [0, 3, 1, 2, 4, 7, 5, 6]
    graph.add("Pad", [graph.input(inputs[0]), graph.constant(pads[order])], graph.name(output))


def _reshape(graph: _Graph, _operator: Any, inputs: list[int], output: int) -> None:
    shape = graph.constant(np.array(graph.size(output), np.int64))
    given = graph.input(inputs[0])
    laid_out = graph.add("Transpose", [given], perm=[0, 2, 3, 1]) if len(graph.size(inputs[0])) == 4 else given
    graph.add("Reshape", [laid_out, shape], graph.name(output))


def _concatenate(graph: _Graph, operator: Any, inputs: list[int], output: int) -> None:
    axis = _options(operator, tflite.ConcatenationOptions).Axis()
    if len(graph.size(output)) == 4:
        axis = (0, 2, 3, 1)[axis]
    graph.add("Concat", [graph.input(index) for index in inputs], graph.name(output), axis=axis)


_RULES: dict[str, Callable[[_Graph, Any, list[int], int], None]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "CONCATENATION": _concatenate,
    "CONV_2D": _convolution,
    "Convolution2DTransposeBias": _transposed,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": lambda graph, _operator, inputs, output: graph.widen(inputs, output),
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _simple("Sigmoid"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _mean,
    "MUL": _simple("Mul"),
    "PAD": _pad,
    "RELU": _simple("Relu"),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
}
