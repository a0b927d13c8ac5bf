"""`python -m export verify`: one table, and exit code 1 where what ships is not what was measured."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip("torch", reason="torch is not installed: make test-export")

from export.__main__ import main
from export.errors import ExportError
from export.sources import fetch
from export.students.face import STUDENT

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    try:
        for name in STUDENT.sources:
            fetch(name)
    except ExportError as error:
        pytest.skip(str(error))
    shutil.copytree(MODELS / "face", tmp_path / "face")
    return tmp_path


def verify(models: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """The exit code, and the table's rows of `face` by precision."""
    code = main(["verify", "face", "--out", str(models)])
    rows = [line for line in capsys.readouterr().out.splitlines() if " face " in line]
    return code, {row.split()[2]: row for row in rows}


@pytest.mark.timeout(600)
def test_what_ships_holds_and_a_changed_or_worsened_file_is_named(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = verify(models, capsys)
    assert code == 0
    assert {"fp32", "fp16", "int8", "int8-trt"} <= set(rows)
    assert all(row.startswith("ok") for row in rows.values())

    path = models / "face" / "model_fp16.onnx"
    network = onnx.load(path)
    for weight in network.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float16 and values.ndim == 4:
            weight.CopyFrom(numpy_helper.from_array((values * np.float16(0.8)).astype(np.float16), weight.name))
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    onnx.save(network, path)
    code, rows = verify(models, capsys)
    assert code == 1
    assert rows["fp16"].startswith("BAD")
    assert "the file was altered" in rows["fp16"]
    assert rows["int8"].startswith("ok")

    manifest = models / "face" / "manifest.toml"
    after = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    code, rows = verify(models, capsys)
    assert code == 1
    assert "the file was altered" not in rows["fp16"]
    assert "BREAKS" in rows["fp16"]


def test_a_bundle_that_is_not_there_is_a_broken_bound(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(models / "face")
    assert verify(models, capsys)[0] == 1
