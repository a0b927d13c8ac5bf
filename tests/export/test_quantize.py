"""Variants of a small network: kept where they hold their bounds, gone where they do not."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from export.bundle import sha256, write_bundle  # noqa: E402
from export.errors import ExportError  # noqa: E402
from export.quantize import Quantizer  # noqa: E402
from export.run import Run  # noqa: E402
from export.students import Arrays, Bound  # noqa: E402
from export.to_onnx import run, write_onnx  # noqa: E402


class Tiny:
    """A student of two convolutions. `limit`: what its variants may differ from fp32."""

    name = "tiny"
    sources: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("fp16", "int8", "int8-trt")

    def __init__(self, limit: float) -> None:
        self._limit = limit

    def distil(self, run: Run) -> None:
        """Nothing to train."""

    def to_onnx(self, run: Run, path: Path) -> None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, padding=1)
        )
        write_onnx(network, {"image": torch.rand(1, 3, 16, 24)}, path, outputs=["made"])

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from self._pictures(0)

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from self._pictures(1)

    @staticmethod
    def _pictures(seed: int) -> Iterator[Arrays]:
        rng = np.random.default_rng(seed)
        for _ in range(8):
            yield {"image": rng.random((1, 3, 16, 24), dtype=np.float32)}

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        errors = [np.abs(a["made"] - b["made"]).mean() for a, b in zip(expected, seen, strict=True)]
        return [Bound("error", float(np.mean(errors)), self._limit)]

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        return []

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return None

    def manifest(self) -> dict[str, Any]:
        shape = [1, 3, 16, 24]
        return {
            "name": "tiny", "version": "1.0.0", "task": "image", "licence": "CC0-1.0", "origin": "a test",
            "teacher": "none", "min_size_px": [8, 8], "max_size_px": [64, 64],
            "inputs": [{"name": "image", "dtype": "float32", "shape": shape}],
            "outputs": [{"name": "made", "dtype": "float32", "shape": shape}],
        }  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Run:
    return Run("tiny", tmp_path)


def exported(student: Tiny, work: Run) -> Path:
    path = work.path("model.onnx")
    student.to_onnx(work, path)
    return path


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def test_the_same_weights_give_the_same_bytes(work: Run) -> None:
    first = exported(Tiny(1.0), work).read_bytes()
    assert exported(Tiny(1.0), work).read_bytes() == first


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8-trt"])
def test_a_variant_that_holds_is_kept_and_close_to_fp32(work: Run, precision: str) -> None:
    student = Tiny(0.02)
    fp32, target = exported(student, work), work.path("variant.onnx")
    bounds = Quantizer(student, work, fp32).make(precision, target)
    assert all(bound.holds for bound in bounds)
    inputs = next(student.held_out(work))
    assert np.abs(run(fp32, inputs)["made"] - run(target, inputs)["made"]).max() < 0.1
    assert ("QuantizeLinear" in operators(target)) == precision.startswith("int8")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_variant_that_does_not_hold_is_gone_and_the_figure_says_why(work: Run, precision: str) -> None:
    student = Tiny(-1.0)
    target = work.path("variant.onnx")
    (bound,) = Quantizer(student, work, exported(student, work)).make(precision, target)
    assert not bound.holds
    assert bound.seen >= 0
    assert not target.exists()


def test_int8_for_tensorrt_has_no_zero_points_but_zero(work: Run) -> None:
    student = Tiny(0.05)
    target = work.path("variant.onnx")
    Quantizer(student, work, exported(student, work)).make("int8-trt", target)
    model = onnx.load(target)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    points = [node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert points
    assert all((weights[name] == 0).all() for name in points)


def test_a_bundle_opens_on_the_device_and_one_that_breaks_its_bound_is_refused(work: Run, tmp_path: Path) -> None:
    from edge_runtime.inference.manifest import open_bundle

    student = Tiny(0.02)
    fp32, folder = exported(student, work), tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    card = "# tiny\n<!-- figures: made by python -m export bundle -->\nold\n<!-- end of figures -->\nmine\n"
    (folder / "CARD.md").write_text(card)
    write_bundle(student, work, {"fp32": fp32}, folder, {})
    opened = open_bundle(f"{folder}/", [])
    assert opened.manifest.files[0].sha256 == sha256(fp32)
    told = (folder / "CARD.md").read_text()
    assert "| fp32 |" in told
    assert "old" not in told
    assert told.endswith("mine\n")
    with pytest.raises(ExportError, match="error"):
        write_bundle(student, work, {"fp32": fp32}, folder, {"fp32": [Bound("error", 1.0, 0.5)]})
