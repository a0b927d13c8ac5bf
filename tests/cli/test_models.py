"""`edge-runtime models`: list, verify, bench, and what build says where it cannot."""

import json
import shutil
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.cli.models import shapes_seen
from edge_runtime.inference.manifest import open_bundle

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in ("stylize-lite", "face"):
        shutil.copytree(MODELS / name, tmp_path / name)
    return tmp_path


def test_list_tells_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["stylize"]["precisions"] == ["fp32", "fp16", "int8", "int8-trt"]
    assert rows["people"]["task"] == "people"
    assert sum(row["mb"] for row in rows.values()) < 40


def test_verify_runs_every_variant_and_names_the_one_that_was_altered(
    shelf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "verify", str(shelf / "face"), str(shelf / "stylize-lite")]) == 0
    assert capsys.readouterr().out.count("ok ") == 8
    path = shelf / "face" / "model_int8.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert main(["models", "verify", str(shelf / "face"), str(shelf / "stylize-lite")]) == 1
    shown = capsys.readouterr().out
    assert "FAIL" in shown
    assert "model_int8.onnx" in shown
    assert shown.count("ok ") == 4


def test_bench_puts_variants_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "bench", "face", "--runs", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["precision"] for row in rows] == ["fp32", "fp16", "int8", "int8-trt"]
    assert rows[0]["beside_first"] == 1
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in rows)


def test_engines_are_built_for_the_shape_that_the_camera_gives() -> None:
    people = open_bundle("people", [MODELS])
    ((shape,), (square,)) = (
        shapes_seen(people, (640, 360), given_px).values() for given_px in ((1280, 720), (480, 480))
    )
    assert shape[3] > shape[2]
    assert square[3] == square[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build"], "needs a device config or a bundle"),
        (["build", "stylize"], "--engines DIR"),
        (["bench", "null"], "has no network"),
        (["verify", "nothing"], "no bundle 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *arguments]) in {1, 2}
    shown = capsys.readouterr()
    assert words in shown.err + shown.out


def test_building_without_a_gpu_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is a GPU here")
    assert main(["models", "build", "face", "--engines", str(tmp_path)]) == 2
    assert "no NVIDIA driver" in capsys.readouterr().err
