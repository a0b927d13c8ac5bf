"""torch to ONNX: a checked, slimmed graph whose bytes depend on nothing but the weights."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import onnxslim
import torch

from export.errors import ExportError
from export.students import Arrays

OPSET = 17
_PARITY = 2e-3
"""Largest difference between torch and ONNX Runtime that is rounding and no fault."""


def write_onnx(
    module: torch.nn.Module,
    arguments: Mapping[str, torch.Tensor],
    path: Path,
    *,
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> None:
    """Export, slim, check, and compare with torch on the very arguments.

    Args:
        module: in evaluation mode.
        arguments: one example of every input, by tensor name, in order.
        path: of the file.
        outputs: tensor names.
        dynamic: axes that vary, by tensor name.

    Raises:
        ExportError: the two disagree.

    Source: the TorchScript exporter gives the same results as torch and graphs that every TensorRT parses; the newer
    one rewrites them between releases.
    """
    module.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(arguments.values()),
            str(path),
            input_names=list(arguments),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in (dynamic or {}).items()},
            opset_version=OPSET,
            dynamo=False,
        )
        expected = module(*arguments.values())
    finish(path)
    expected = expected if isinstance(expected, tuple) else (expected,)
    seen = run(path, {name: value.numpy() for name, value in arguments.items()})
    for name, value in zip(outputs, expected, strict=True):
        error = float(np.abs(seen[name] - value.numpy()).max())
        if not error <= _PARITY:
            raise ExportError(f"{path.name}: output {name!r} differs from torch by {error:.2g}; allowed {_PARITY:g}")


def finish(path: Path) -> None:
    """Slim and check a graph in place, and take out whatever says when and by what it was made."""
    slim = onnxslim.slim(onnx.load(path))
    assert isinstance(slim, onnx.ModelProto)
    slim.producer_name = slim.producer_version = slim.doc_string = ""
    del slim.metadata_props[:]
    for node in slim.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(slim, full_check=True)
    path.write_bytes(slim.SerializeToString(deterministic=True))


def open_network(path: Path, *, threads: int = 1) -> ort.InferenceSession:
    """The network on the CPU, as the device runs it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path: Path, inputs: Arrays) -> Arrays:
    """One run of a file."""
    return run_network(open_network(path), inputs)


def run_network(network: ort.InferenceSession, inputs: Arrays) -> Arrays:
    """Every output by name."""
    names = [node.name for node in network.get_outputs()]
    return dict(zip(names, network.run(names, dict(inputs)), strict=True))
