import ctypes
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import logs
from edge_runtime.clock import cpu_s
from edge_runtime.config import bundle_folders
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.null import NullSession
from edge_runtime.inference.onnx import CPU, CUDA, OnnxSession
from edge_runtime.inference.session import open_session
from edge_runtime.memory import private_mb
from tests.fixtures.bundles import opened, write_copying, write_null


@pytest.fixture
def events() -> Iterator[list[logs.Event]]:
    seen: list[logs.Event] = []
    before = logs._sink
    logs.route_events("test", seen.append)
    yield seen
    logs.route_events("", before)


def test_a_provider_that_was_wanted_and_is_not_in_use_is_an_event(tmp_path: Path, events: list[logs.Event]) -> None:
    wanted = "DmlExecutionProvider"  # not in any build for Linux
    with (
        pytest.warns(UserWarning, match=wanted),
        OnnxSession(opened(write_copying(tmp_path)), providers=[wanted, CPU]) as session,
    ):
        assert session.provider == CPU
    assert [(e["event"], e["wanted"], e["seen"]) for e in events] == [("provider_downgraded", wanted, CPU)]


def test_a_gpu_build_whose_driver_cannot_be_loaded_says_so(
    tmp_path: Path, events: list[logs.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = pytest.importorskip("onnxruntime")
    try:
        ctypes.CDLL("libcuda.so.1")
        pytest.skip("there is a driver")
    except OSError:
        monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    with OnnxSession(opened(write_copying(tmp_path))) as session:
        assert session.provider == CPU
    assert [(e["event"], e["wanted"], e["seen"]) for e in events] == [("provider_downgraded", CUDA, CPU)]
    assert "libcuda.so.1" in events[0]["reason"]


def test_cuda_that_was_asked_for_and_is_not_built_in_is_an_event(tmp_path: Path, events: list[logs.Event]) -> None:
    ort = pytest.importorskip("onnxruntime")
    if CUDA in ort.get_available_providers():
        pytest.skip("this onnxruntime is built with CUDA")
    with open_session(opened(write_copying(tmp_path)), backend="cuda") as session:
        assert session.provider == CPU
    assert [(e["event"], e["wanted"], e["seen"]) for e in events] == [("provider_downgraded", CUDA, CPU)]
    assert "make gpu" in events[0]["reason"]


def test_the_usual_load_says_nothing(
    tmp_path: Path, events: list[logs.Event], capfd: pytest.CaptureFixture[str]
) -> None:
    with OnnxSession(opened(write_copying(tmp_path))):
        assert events == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
def test_cuda_is_used_where_there_is_a_gpu(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    if CUDA not in ort.get_available_providers():
        pytest.skip("this onnxruntime is built without CUDA")
    with OnnxSession(opened(write_copying(tmp_path))) as session:
        assert session.provider == CUDA


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_that_is_no_network_is_one_line(tmp_path: Path) -> None:
    folder = write_copying(tmp_path)
    was, noise = (folder / "model.onnx").read_bytes(), b"no network at all"
    (folder / "model.onnx").write_bytes(noise)
    manifest = (folder / "manifest.toml").read_text()
    (folder / "manifest.toml").write_text(manifest.replace(sha256(was), sha256(noise)))
    with pytest.raises(SessionError, match=r"model\.onnx: cannot be loaded: .*") as error:
        OnnxSession(opened(folder))
    assert "\n" not in str(error.value)


def test_a_manifest_of_another_network_is_refused_by_the_tensor(tmp_path: Path) -> None:
    folder = write_copying(tmp_path)
    manifest = (folder / "manifest.toml").read_text()
    (folder / "manifest.toml").write_text(manifest.replace('name = "copy"', 'name = "stylized"'))
    with pytest.raises(
        SessionError, match=r"output 'stylized' of the manifest is not in the network; it has \['copy'\]"
    ):
        OnnxSession(opened(folder))


def test_a_closed_session_refuses_and_does_not_crash(tmp_path: Path) -> None:
    session = OnnxSession(opened(write_copying(tmp_path)))
    session.close()
    with pytest.raises(SessionError, match="closed"):
        session.run({"image": np.zeros((8, 8, 3), np.uint8)})


def test_changing_the_size_again_and_again_costs_no_memory() -> None:
    bundle = open_bundle("stylize", bundle_folders())
    weights = np.eye(36, dtype=np.float32)[0]
    sizes = [(480, 272), (320, 180), (256, 144)]
    after_mb = []
    with OnnxSession(bundle) as session:
        for _ in range(6):
            for width, height in sizes:
                session.run({"image": np.zeros((1, 3, height, width), np.float32), "style_weights": weights})
            after_mb.append(private_mb(os.getpid()))
    assert after_mb[-1] - after_mb[1] < 15.0, after_mb


def test_a_null_session_uses_up_the_processor_time_it_names(tmp_path: Path) -> None:
    session = NullSession(opened(write_null(tmp_path, cost_ms=8.0)))
    start_s = cpu_s()
    for _ in range(5):
        session.run({"image": np.zeros((8, 8, 3), np.uint8)})
    assert 0.040 <= cpu_s() - start_s < 0.045
