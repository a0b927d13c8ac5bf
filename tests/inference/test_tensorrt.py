"""The builder, with the TensorRT that needs no GPU to build: every bundle that we ship becomes an engine."""

from pathlib import Path

import pytest

from edge_runtime.cli.models import shapes_seen
from edge_runtime.errors import SessionError
from edge_runtime.inference import tensorrt
from edge_runtime.inference.engines import precision_for_engine
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tensorrt import (
    build,
    capabilities_asked,
    device_fault,
    fixed,
    library_name,
    write_whole,
)
from tests.fixtures.bundles import opened, write_copying

pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed: pip install 'edge-runtime[rtx]'")
MODELS = Path(__file__).parents[2] / "models"
BUNDLES = sorted({path.parent.name for path in MODELS.glob("*/*.onnx")})


@pytest.mark.parametrize("name", BUNDLES)
def test_every_bundle_that_ships_becomes_an_engine_in_each_precision_that_tensorrt_takes(name: str) -> None:
    bundle = open_bundle(name, [MODELS])
    shapes = shapes_seen(bundle, (480, 272))
    precisions = {precision_for_engine(bundle, wanted) for wanted in (None, "fp32", "fp16", "int8")}
    for precision in precisions:
        shares: list[float] = []
        plan = build(bundle.file(precision), fixed(shapes), tell=shares.append)
        assert len(plan) > 10_000
        assert shares == sorted(shares), "progress never goes back"
        assert 0 < shares[0] < shares[-1] <= 1


def test_a_dynamic_profile_takes_all_sizes_between_two(tmp_path: Path) -> None:
    bundle = open_bundle("stylize-lite", [MODELS])
    usual, most = (1, 3, 272, 480), (1, 3, 1088, 1920)
    plan = build(bundle.file("fp16"), {"image": ((1, 3, 64, 64), usual, most)}, timing_cache=tmp_path / "timing")
    assert len(plan) > 10_000


def test_an_engine_for_other_gpus_can_be_built_and_an_unknown_one_is_named() -> None:
    bundle = open_bundle("face", [MODELS])
    profile = fixed(shapes_seen(bundle, (480, 272)))
    assert build(bundle.file("fp16"), profile, capabilities=["8.6", "12.0"])
    with pytest.raises(SessionError, match=r"'3\.3' is unknown to tensorrt_rtx .*; known: .*SM86"):
        build(bundle.file("fp16"), profile, capabilities=["3.3"])


@pytest.mark.parametrize("capability", ["7.5", "8.0", "8.6", "8.9", "12.0", "12.1", "13.0"])
def test_tensorrt_rtx_runs_on_cards(capability: str) -> None:
    assert device_fault("tensorrt_rtx 1.7.1.116", "NVIDIA card", capability) == ""


@pytest.mark.parametrize("capability", ["7.0", "8.7", "9.0", "10.0", "11.0"])
def test_a_gpu_that_tensorrt_rtx_does_not_run_on_is_told_what_would(capability: str) -> None:
    assert device_fault("tensorrt_rtx 1.7.1.116", "NVIDIA H200", capability) == (
        "TensorRT-RTX runs on compute capability 7.5, 8.0, 8.6, 8.9, 12.0 and later; "
        f"this NVIDIA H200 is {capability}: install TensorRT (tensorrt) instead"
    )
    assert device_fault("tensorrt 10.16.2.10", "NVIDIA H200", capability) == ""


def test_turing_is_asked_for_by_name_since_tensorrt_rtx_leaves_it_out() -> None:
    assert capabilities_asked("tensorrt_rtx 1.7.1.116", "7.5") == ("7.5",)
    assert capabilities_asked("tensorrt_rtx 1.7.1.116", "12.0") == ()
    assert capabilities_asked("tensorrt 10.16.2.10", "7.5") == ()
    bundle = open_bundle("face", [MODELS])
    assert build(bundle.file("fp16"), fixed(shapes_seen(bundle, (480, 272))), capabilities=["7.5"])


def test_what_tensorrt_cannot_take_is_one_clear_error(tmp_path: Path) -> None:
    stylize = open_bundle("stylize", [MODELS])
    with pytest.raises(SessionError, match=r"input 'image' is \[1, 3, -1, -1\]: a profile has to say its sizes"):
        build(stylize.file("fp32"), {})
    with pytest.raises(SessionError, match=r"model_int8\.onnx: TensorRT cannot read it: .*zero point"):
        build(stylize.file("int8"), fixed(shapes_seen(stylize, (480, 272))))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(stylize.file("fp32").read_bytes()[:5000])
    with pytest.raises(SessionError, match=r"broken\.onnx: TensorRT cannot read it"):
        build(broken, {})


def test_a_missing_library_is_one_line_that_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "LIBRARIES", ("tensorrt_of_nobody", "tensorrt_rtx_of_nobody"))
    tensorrt.library.cache_clear()
    with pytest.raises(SessionError, match=r"tensorrt_of_nobody: No module .*; tensorrt_rtx_of_nobody: No module"):
        library_name()
    tensorrt.library.cache_clear()


def test_a_session_without_a_gpu_is_refused_before_the_library_is_asked(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is a GPU here")
    with pytest.raises(SessionError, match=r"no NVIDIA driver: libcuda\.so\.1"):
        tensorrt.TensorRtSession(opened(write_copying(tmp_path)).manifest, b"no engine")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "an.engine"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_not_made_fuller_by_half_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "an.engine"
    folder.mkdir()  # what is written cannot take its place
    with pytest.raises(OSError, match=r"an\.engine"):
        write_whole(folder, b"content")
    assert list(tmp_path.iterdir()) == [folder]
