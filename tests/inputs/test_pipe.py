import contextlib
import os
import signal
import sys

import pytest

from edge_runtime.clock import now_s
from edge_runtime.errors import InputError
from edge_runtime.inputs.pipe import PipeSource
from edge_runtime.inputs.source import Frame
from tests.fixtures.children import find_program, state
from tests.fixtures.waiting import eventually

SIZE_PX = (64, 36)
FRAME_BYTES = 64 * 36 * 3


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, sys, time; out = sys.stdout.buffer\n{script}", *arguments]


def next_frame(source: PipeSource) -> Frame:
    return eventually(source.read, 5.0, "a frame")


def test_a_frame_that_comes_in_pieces_is_put_together() -> None:
    script = f"frame = bytes(range(256)) * {FRAME_BYTES // 256}\n"
    script += (
        "for byte in range(0, len(frame), 700): out.write(frame[byte:byte + 700]); out.flush(); time.sleep(0.001)\n"
    )
    script += "time.sleep(60)"
    with contextlib.closing(PipeSource(python(script), size_px=SIZE_PX)) as source:
        frame = next_frame(source)
    assert frame.bgr_hwc.shape == (36, 64, 3)
    assert frame.bgr_hwc.tobytes() == bytes(range(256)) * (FRAME_BYTES // 256)


def test_a_program_that_is_silent_gives_control_back() -> None:
    with contextlib.closing(PipeSource(python("time.sleep(60)"), size_px=SIZE_PX)) as source:
        started_s = now_s()
        assert source.read() is None
        assert now_s() - started_s < 0.5


def test_half_a_frame_at_the_end_is_no_frame_and_the_exit_code_is_told() -> None:
    script = f"out.write(b'x' * {FRAME_BYTES + 100}); out.flush(); sys.exit(3)"
    with contextlib.closing(PipeSource(python(script), size_px=SIZE_PX)) as source:
        next_frame(source)
        with pytest.raises(InputError, match="exit code 3"):
            eventually(source.read, 5.0, "never a frame")


def test_a_program_killed_in_mid_run_is_an_input_error_that_hides_its_arguments() -> None:
    script = f"out.write(str(os.getpid()).encode().ljust({FRAME_BYTES})); out.flush(); time.sleep(60)"
    with contextlib.closing(PipeSource(python(script, "s3cr3t"), size_px=SIZE_PX)) as source:
        pid = int(next_frame(source).bgr_hwc.tobytes())
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(InputError, match="ended with exit code -9") as caught:
            eventually(source.read, 5.0, "never a frame")
        assert "s3cr3t" not in str(caught.value)


def test_the_secrets_of_the_broker_are_not_handed_to_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_MQTT_PASSWORD", "s3cr3t")
    monkeypatch.setenv("FOYER_CAMERA", "door")
    script = f"out.write(repr(dict(os.environ)).encode()[:{FRAME_BYTES}].ljust({FRAME_BYTES})); out.flush(); "
    with contextlib.closing(PipeSource(python(script + "time.sleep(60)"), size_px=SIZE_PX)) as source:
        seen = next_frame(source).bgr_hwc.tobytes().decode()
    assert "'FOYER_CAMERA': 'door'" in seen
    assert "EDGE_RUNTIME_MQTT_PASSWORD" not in seen
    assert "s3cr3t" not in seen


def test_closing_ends_a_program_that_will_not_go_and_its_children() -> None:
    script = "child = os.fork()\nif not child: time.sleep(60)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    script += f"out.write(f'{{os.getpid()}} {{child}}'.encode().ljust({FRAME_BYTES})); out.flush(); time.sleep(60)"
    source = PipeSource(python(script), size_px=SIZE_PX)
    program, child = (int(pid) for pid in next_frame(source).bgr_hwc.tobytes().split())
    source.close()
    assert state(program) == ""
    eventually(lambda: state(child) in {"", "Z"}, 2.0, "the program's child is dead")


def test_a_real_ffmpeg_gives_its_test_picture() -> None:
    if find_program("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    size = f"{SIZE_PX[0]}x{SIZE_PX[1]}"
    argv = ["ffmpeg", "-loglevel", "quiet", "-re", "-f", "lavfi", "-i", f"testsrc=size={size}:rate=30"]
    with contextlib.closing(PipeSource([*argv, "-pix_fmt", "bgr24", "-f", "rawvideo", "-"], size_px=SIZE_PX)) as source:
        assert next_frame(source).bgr_hwc.std() > 30
