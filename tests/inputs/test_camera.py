"""The camera part as a real process: on time, out of trouble, and never telling a secret."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.clock import now_s
from edge_runtime.config import DeviceConfig
from edge_runtime.slots import SlotFrame
from tests.fixtures.children import state
from tests.fixtures.films import write_film
from tests.fixtures.mjpeg import MjpegCamera, read_number
from tests.fixtures.parts import RunningPart
from tests.fixtures.rtsp import RtspCamera
from tests.fixtures.waiting import eventually

RUNS = "import os, sys, time\nwhile True: sys.stdout.buffer.write(%s); sys.stdout.buffer.flush(); time.sleep(0.02)"
PID_IN_FRAME = RUNS % "(str(os.getpid()).encode() + b' ' + os.urandom(9)).ljust(64*36*3, b' ')"
CameraOf = Callable[..., RunningPart]


@pytest.fixture
def camera_of(tmp_path: Path) -> CameraOf:
    """Makes the part of one camera, not started yet."""

    def make(*, environment: dict[str, str] | None = None, **camera: object) -> RunningPart:
        scene = {"name": "only", "layers": [{"kind": "picture", "source": "camera.main"}]}
        config = {"device_id": "test", "cameras": [{"name": "main", **camera}], "scenes": [scene]}
        return RunningPart("camera:main", DeviceConfig.model_validate(config), tmp_path, environment=environment)

    return make


def latest(camera: RunningPart) -> SlotFrame | None:
    return camera.reader("camera.main").latest()


def first_frame(camera: RunningPart) -> SlotFrame:
    return eventually(lambda: latest(camera), 8.0, "a first frame")


def later_frame(camera: RunningPart, than: float, within_s: float = 8.0) -> SlotFrame:
    """A frame captured after that moment."""

    def look() -> SlotFrame | None:
        frame = latest(camera)
        return frame if frame and frame.captured_s > than else None

    return eventually(look, within_s, "a newer frame")


def heard(camera: RunningPart, event: str, *, times: int = 1, within_s: float = 8.0) -> dict[str, object]:
    """The newest event of that name, once it has come so many times."""
    eventually(lambda: len(camera.events(event)) >= times, within_s, f"{event} is logged {times} times")
    return camera.events(event)[-1]


def test_the_part_says_it_is_ready_beats_reports_and_stops_at_once(camera_of: CameraOf) -> None:
    with camera_of(source="synthetic", size_px=[320, 180], rate_hz=60) as camera:
        frame = first_frame(camera)
        assert frame.array.shape == (180, 320, 3)
        assert frame.array.std() > 20
        eventually(lambda: camera.messages("ready"), 1.0, "the part is ready")
        seen = camera.bell.seen()
        eventually(lambda: camera.bell.seen() > seen, 0.5, "the bell rings")
        stats = eventually(camera.stats, 4.0, "a report")
        assert stats["source"] == "synthetic"
        assert stats["rate_hz"] == pytest.approx(60, rel=0.15)
        assert 0 < camera.pulse.promised_s("camera:main") - now_s() <= 1.0
        assert camera.pulse.count("camera:main") > 40
        stop_s = now_s()
        assert camera.stop() == 0
        assert now_s() - stop_s < 0.3


def test_the_part_ends_when_its_supervisor_is_gone(camera_of: CameraOf) -> None:
    with camera_of(source="synthetic") as camera:
        first_frame(camera)
        camera.hang_up()
        eventually(lambda: camera.exit_code == 0, 2.0, "the part ends by itself")


def test_a_part_that_was_killed_writes_the_other_ring_and_readers_follow(camera_of: CameraOf) -> None:
    with camera_of(source="synthetic") as camera:
        assert first_frame(camera).ring == 0
        camera.kill()
        killed_s = now_s()
        assert latest(camera) is not None
        camera.start()
        assert later_frame(camera, killed_s).ring == 1


def test_a_film_is_cropped_flipped_and_resized_into_the_slot(camera_of: CameraOf, tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", frames=30, rate_hz=30, size_px=(640, 480), first=0b0101_0101_0000_0000)
    left_half = [0, 0, 0.5, 1]
    with camera_of(source=f"file:{film}", size_px=[320, 180], crop=left_half, flip="horizontal") as camera:
        picture = first_frame(camera).array
        assert picture.shape == (180, 320, 3)
        assert camera.exit_code is None
        # Bits 0-7 lie in the left half and count up; the flip puts bit 7, always 0 here, at the left edge.
        assert picture[:, :30].mean() < 80


def test_frames_of_a_network_camera_arrive_within_milliseconds(camera_of: CameraOf, mjpeg: MjpegCamera) -> None:
    with camera_of(source=mjpeg.url) as camera:
        seen_s = first_frame(camera).captured_s
        delays_s = []
        for _ in range(20):
            frame = later_frame(camera, seen_s)
            seen_s = frame.captured_s
            delays_s.append(frame.published_s - mjpeg.sent_s[read_number(frame.array)])
        assert np.median(delays_s) < 0.02


def test_a_part_that_stood_still_shows_what_is_new_and_not_what_piled_up(
    camera_of: CameraOf, mjpeg: MjpegCamera
) -> None:
    with camera_of(source=mjpeg.url) as camera:
        first_frame(camera)
        camera.signal(signal.SIGSTOP)
        stopped_at = mjpeg.number
        eventually(lambda: mjpeg.number > stopped_at + 30, 5.0, "frames pile up for a second")
        camera.signal(signal.SIGCONT)
        resumed_s = now_s()
        eventually(
            lambda: (f := latest(camera)) and now_s() - mjpeg.sent_s[read_number(f.array)] < 0.1, 1.0, "a new frame"
        )
        assert now_s() - resumed_s < 0.5


def test_a_camera_that_stalls_is_lost_within_two_seconds_opened_again_and_back_when_it_goes_on(
    camera_of: CameraOf, mjpeg: MjpegCamera
) -> None:
    with camera_of(source=mjpeg.url) as camera:
        first_frame(camera)
        mjpeg.fault = "stall"
        stalled_s = now_s()
        assert "silent" in str(heard(camera, "camera_lost")["reason"])
        assert now_s() - stalled_s < 2.0
        eventually(lambda: mjpeg.viewers == 2, 5.0, "the camera is opened again")
        assert camera.pulse.promised_s("camera:main") > now_s()
        mjpeg.fault = "none"
        later_frame(camera, now_s(), within_s=2.0)
        heard(camera, "camera_back")
        assert len(camera.events("camera_lost")) == 1


def test_a_part_whose_camera_stalls_stops_at_once(camera_of: CameraOf, mjpeg: MjpegCamera) -> None:
    with camera_of(source=mjpeg.url) as camera:
        first_frame(camera)
        mjpeg.fault = "stall"
        eventually(lambda: (f := latest(camera)) and now_s() - f.captured_s > 0.2, 2.0, "the part waits for a frame")
        stop_s = now_s()
        assert camera.stop() == 0
        assert now_s() - stop_s < 0.5  # the thread that reads is given 0.2 s


def test_a_camera_that_drops_out_is_told_once_and_found_again(camera_of: CameraOf, mjpeg: MjpegCamera) -> None:
    with camera_of(source=mjpeg.url) as camera:
        first_frame(camera)
        mjpeg.stop()
        heard(camera, "camera_lost", within_s=2.0)
        eventually(lambda: (s := camera.stats()) and s["lost"] and s["age_s"] > 1.0, 3.0, "the report tells the loss")
        assert camera.pulse.promised_s("camera:main") > now_s()
        mjpeg.start()
        later_frame(camera, now_s(), within_s=6.0)
        assert float(str(heard(camera, "camera_back")["after_s"])) > 1.0
        assert len(camera.events("camera_lost")) == 1
        eventually(lambda: (s := camera.stats()) and not s["lost"] and s["reopened"] == 1, 3.0, "the report tells it")


def test_a_camera_that_is_not_there_at_the_start_is_found_when_it_comes(
    camera_of: CameraOf, mjpeg: MjpegCamera
) -> None:
    mjpeg.stop()
    with camera_of(source=mjpeg.url) as camera:
        heard(camera, "camera_lost")
        assert not camera.messages("ready")
        mjpeg.start()
        first_frame(camera)
        eventually(lambda: camera.messages("ready"), 1.0, "the part is ready")


def test_a_camera_whose_size_changes_in_mid_stream_keeps_working(camera_of: CameraOf, mjpeg: MjpegCamera) -> None:
    with camera_of(source=mjpeg.url, size_px=[320, 180]) as camera:
        first_frame(camera)
        for size_px in ((320, 240), (1280, 720)):
            mjpeg.size_px, changed_at = size_px, mjpeg.number
            eventually(lambda: mjpeg.number > changed_at + 3, 2.0, f"frames of {size_px} are sent")  # noqa: B023
            frame = later_frame(camera, now_s())
            assert frame.array.shape == (180, 320, 3)
            assert 0 <= mjpeg.number - read_number(frame.array) < 3
        assert mjpeg.viewers == 1
        assert not camera.events("camera_lost")


def test_a_camera_that_freezes_is_told_once_opened_again_and_still_shown(
    camera_of: CameraOf, mjpeg: MjpegCamera
) -> None:
    with camera_of(source=mjpeg.url) as camera:
        first_frame(camera)
        mjpeg.fault = "freeze"
        heard(camera, "camera_frozen", within_s=3.0)
        eventually(lambda: mjpeg.viewers == 2, 2.0, "the camera is opened again")
        later_frame(camera, now_s())
        assert eventually(lambda: (s := camera.stats()) and s["frozen"], 2.0, "the report tells it")
        assert len(camera.events("camera_frozen")) == 1
        assert not camera.events("camera_lost")


def test_an_rtsp_camera_is_shown_lost_and_found_again(camera_of: CameraOf, rtsp: RtspCamera) -> None:
    with camera_of(source=rtsp.url) as camera:
        first_frame(camera)
        rtsp.stop()
        heard(camera, "camera_lost", within_s=2.0)
        rtsp.start()
        later_frame(camera, now_s())
        heard(camera, "camera_back")


def test_a_pipe_whose_program_is_killed_is_started_again(camera_of: CameraOf) -> None:
    with camera_of(pipe=[sys.executable, "-c", PID_IN_FRAME], size_px=[64, 36]) as camera:
        pid = int(first_frame(camera).array.tobytes().split()[0])
        os.kill(pid, signal.SIGKILL)
        assert "exit code -9" in str(heard(camera, "camera_lost", within_s=2.0)["reason"])
        assert int(later_frame(camera, now_s()).array.tobytes().split()[0]) != pid


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_no_program_outlives_its_camera(camera_of: CameraOf, end: str) -> None:
    with camera_of(pipe=[sys.executable, "-c", PID_IN_FRAME], size_px=[64, 36]) as camera:
        pid = int(first_frame(camera).array.tobytes().split()[0])
        getattr(camera, end)()
        eventually(lambda: state(pid) in {"", "Z"}, 1.0, "the program is gone")


@pytest.mark.parametrize("password", ["s3cr3t", "wr0ng-s3cr3t"])
def test_no_message_of_the_part_carries_the_password(camera_of: CameraOf, password: str) -> None:
    mjpeg = MjpegCamera(user="viewer", password="s3cr3t")
    try:
        source = f"http://viewer:${{FOYER_PASSWORD}}@{mjpeg.authority}/stream?token=${{FOYER_PASSWORD}}"
        with camera_of(source=source, environment={"FOYER_PASSWORD": password}) as camera:
            if password == "s3cr3t":
                first_frame(camera)
                mjpeg.stop()
            heard(camera, "camera_lost")
            stats = eventually(camera.stats, 2.0, "a report")
            assert stats["source"] == f"http://***@{mjpeg.authority}/stream?token=***"
            camera.stop()
            told = json.dumps(camera.messages()) + camera.stderr.read_text()
            assert "s3cr3t" not in told
            assert "viewer" not in told
    finally:
        mjpeg.stop()


def test_a_missing_secret_is_named(camera_of: CameraOf) -> None:
    with camera_of(source="rtsp://viewer:${EDGE_ABSENT_PASSWORD}@127.0.0.1/stream") as camera:
        assert "EDGE_ABSENT_PASSWORD" in str(heard(camera, "camera_lost")["reason"])
