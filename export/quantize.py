"""fp32 to fp16 and int8, each compared with fp32 on held-out inputs: what does not hold its bounds is not written.

int8 is made twice: unsigned activations with biases for CPUs, symmetric without biases for TensorRT, whose parser takes
no other. Ranges come from most of a student's own calibration inputs, the choice of layers from the others: where
parity breaks on those, the layers that hurt most stay float, half of them at most. Held-out inputs judge the result,
once.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxconverter_common import float16
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.errors import ExportError
from export.run import Run
from export.students import Arrays, Bound, Student
from export.to_onnx import open_network, run_network

FILES = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx", "int8-trt": "model_int8_trt.onnx"}
"""Precision to file name, in the order of the manifest."""
_QUANTIZED_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FOLDED_SHARE = 0.01
_SHARES_KEPT = (0.0, 0.1, 0.2, 0.35, 0.5)
_CHOOSING_EVERY = 5
"""Layers are chosen by every fifth of the calibration inputs, which ranges have not seen."""


def to_fp16(source: Path, target: Path) -> None:
    """Weights and arithmetic in half precision; inputs and outputs stay float32."""
    whole = onnx.load(source)
    del whole.graph.value_info[:]  # types of what lies between, as they were
    model = float16.convert_float_to_float16(whole, keep_io_types=True)
    onnx.save(model, target)


def check_fp16_weights(source: Path) -> None:
    """Whether fp16 has every weight as it is, so that fp32 need not ship; but for constants that were folded.

    Raises:
        ExportError: more than one number in a hundred is none that fp16 has.
    """
    numbers = [
        numpy_helper.to_array(w) for w in onnx.load(source).graph.initializer if w.data_type == TensorProto.FLOAT
    ]
    changed = sum(int((exact.astype(np.float16).astype(np.float32) != exact).sum()) for exact in numbers)
    share = changed / sum(exact.size for exact in numbers)
    if share > _FOLDED_SHARE:
        raise ExportError(
            f"{source.name}: {share:.0%} of its weights lose digits as fp16, and as fp32 it is too large to ship"
        )


class _Reader(CalibrationDataReader):
    def __init__(self, inputs: Sequence[Arrays]) -> None:
        self._left: Iterator[Arrays] = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        found = next(self._left, None)
        return None if found is None else dict(found)


class Quantizer:
    """Makes the variants of one student's network and judges them."""

    def __init__(self, student: Student, run: Run, fp32: Path) -> None:
        self._student, self._run, self._fp32 = student, run, fp32
        self._held_out = list(student.held_out(run))
        self._expected = _outputs(fp32, self._held_out)
        calibration = list(student.calibration(run))
        self._choosing = calibration[::_CHOOSING_EVERY]
        self._ranging = [inputs for i, inputs in enumerate(calibration) if i % _CHOOSING_EVERY]
        self._prepared: Path | None = None

    def judge(self, path: Path) -> list[Bound]:
        """How far a variant is from fp32 on held-out inputs."""
        return self._student.parity(self._run, self._expected, _outputs(path, self._held_out))

    def make(self, precision: str, target: Path) -> list[Bound]:
        """Write a variant, whole and only where its bounds hold; they tell why where they do not."""
        target.unlink(missing_ok=True)
        trial = target.with_suffix(".trial.onnx")
        if precision == "fp16":
            to_fp16(self._fp32, trial)
        else:
            self._make_int8(trial, symmetric=precision == "int8-trt")
        bounds = self.judge(trial)
        if all(bound.holds for bound in bounds):
            trial.replace(target)
        trial.unlink(missing_ok=True)
        return bounds

    def _make_int8(self, target: Path, *, symmetric: bool) -> None:
        """With as many layers in float as calibration inputs ask for."""
        expected = _outputs(self._fp32, self._choosing)
        names = [node.name for node in onnx.load(self._prepare()).graph.node if node.op_type in _QUANTIZED_OPS]
        patterns = tuple(self._student.keep_float())
        fixed = [name for name in names if any(pattern in name for pattern in patterns)]
        ranked: list[str] | None = None
        for share in _SHARES_KEPT:
            if share and ranked is None:
                free = [name for name in names if name not in fixed]
                ranked = self._by_damage(free, expected, symmetric=symmetric)
            kept = [*fixed, *(ranked or [])[: round(share * len(names))]]
            self._quantize(target, [name for name in names if name not in kept], symmetric=symmetric)
            bounds = self._student.parity(self._run, expected, _outputs(target, self._choosing))
            if all(bound.holds_easily for bound in bounds):
                break

    def _by_damage(self, names: list[str], expected: Sequence[Arrays], *, symmetric: bool) -> list[str]:
        """Layers by how much worse the outputs get when only they are quantized; the worst first."""
        trial = self._run.path("trial.onnx")
        damage = {}
        for name in names:
            self._quantize(trial, [name], symmetric=symmetric, inputs=4)
            network = open_network(trial)
            errors = [
                float(np.abs(run_network(network, inputs)[key] - value).mean())
                for inputs, outputs in zip(self._choosing[:3], expected, strict=False)
                for key, value in outputs.items()
            ]
            damage[name] = sum(errors)
        trial.unlink(missing_ok=True)
        return sorted(names, key=lambda name: -damage[name])

    def _prepare(self) -> Path:
        """The graph with shapes inferred and constants folded, once."""
        if self._prepared is None:
            self._prepared = self._run.path("prepared.onnx")
            quant_pre_process(str(self._fp32), str(self._prepared), skip_symbolic_shape=True)
        return self._prepared

    def _quantize(self, target: Path, nodes: list[str], *, symmetric: bool, inputs: int | None = None) -> None:
        quantize_static(
            str(self._prepare()),
            str(target),
            _Reader(self._ranging[:inputs]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=nodes,
            op_types_to_quantize=list(_QUANTIZED_OPS),
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True, "QuantizeBias": not symmetric},
        )


def _outputs(path: Path, given: Sequence[Arrays]) -> list[Arrays]:
    network = open_network(path)
    return [run_network(network, inputs) for inputs in given]
