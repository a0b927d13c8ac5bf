"""What the export steps do to a network's file, and what they refuse."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("torch", reason="torch is not installed: make test-export")

import onnxruntime as ort

from export.errors import ExportError
from export.nets.prompt import pack_table
from export.quantize import check_fp16_weights


def looking_up(path: Path, table: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> Path:
    graph = helper.make_graph(
        [helper.make_node("Gather", ["net.table", "rows"], ["found"])],
        "lookup",
        [helper.make_tensor_value_info("rows", TensorProto.INT64, [3])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, [3, table.shape[1]])],
        [numpy_helper.from_array(table, "net.table")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_packed_table_is_a_quarter_of_the_size_and_says_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    table = rng.standard_normal((500, 64)).astype(np.float32)
    scale = np.abs(table).max(1, keepdims=True) / np.float32(127)
    table = np.rint(table / scale).astype(np.float32) * scale
    path = looking_up(tmp_path / "net.onnx", table)
    before = path.stat().st_size
    pack_table(path, "table")
    assert path.stat().st_size < 0.3 * before
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"rows": np.array([0, 77, 499], np.int64)})
    assert np.allclose(found, table[[0, 77, 499]], atol=1e-6)


def test_fp32_is_left_out_only_where_fp16_has_the_same_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    exact = rng.standard_normal((50, 64)).astype(np.float16).astype(np.float32)
    check_fp16_weights(looking_up(tmp_path / "same.onnx", exact))
    with pytest.raises(ExportError, match="lose digits as fp16"):
        check_fp16_weights(looking_up(tmp_path / "other.onnx", exact + np.float32(1e-5)))
