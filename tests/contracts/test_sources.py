"""What every camera source promises, on every kind that needs no device."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.clock import now_s
from edge_runtime.config import CameraConfig
from edge_runtime.errors import InputError
from edge_runtime.inputs.opening import open_source
from edge_runtime.inputs.source import Frame, Source
from tests.fixtures.films import write_film
from tests.fixtures.mjpeg import MjpegCamera
from tests.fixtures.rtsp import RtspCamera
from tests.fixtures.waiting import eventually

SIZE_PX = (320, 240)
NOISE = "import os, sys, time\nwhile True: sys.stdout.buffer.write(os.urandom(320*240*3)); time.sleep(0.02)"
KINDS = ("synthetic", "file", "pipe", "http", "rtsp")
OpenSource = Callable[[], Source]


@pytest.fixture(params=KINDS)
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> OpenSource:
    """Opens one kind of source; what it needs is running."""
    match request.param:
        case "file":
            source = f"file:{write_film(tmp_path / 'film.mp4', frames=20, rate_hz=50, size_px=SIZE_PX)}"
        case "http":
            camera: MjpegCamera = request.getfixturevalue("mjpeg")
            source = camera.url
        case "rtsp":
            stream: RtspCamera = request.getfixturevalue("rtsp")
            source = stream.url
        case _:
            source = "synthetic"
    if request.param == "pipe":
        return lambda: open_source(CameraConfig(pipe=[sys.executable, "-c", NOISE], size_px=SIZE_PX))
    return lambda: open_source(CameraConfig(source=source, size_px=SIZE_PX))


def next_frame(source: Source) -> Frame:
    return eventually(source.read, 5.0, "a frame")


def test_a_source_gives_new_colour_pictures_with_the_moment_they_arrived(opening: OpenSource) -> None:
    with contextlib.closing(opening()) as source:
        frames = []
        for _ in range(5):
            frame = next_frame(source)
            assert frame.bgr_hwc.dtype == np.uint8
            assert frame.bgr_hwc.shape[2] == 3
            assert -0.01 < now_s() - frame.captured_s < 0.1
            frames.append((frame.captured_s, frame.bgr_hwc.copy()))
    times_s = [captured_s for captured_s, _ in frames]
    assert times_s == sorted(set(times_s))
    assert any(not np.array_equal(frames[0][1], picture) for _, picture in frames[1:])


def test_a_source_may_be_closed_twice_and_opened_again(opening: OpenSource) -> None:
    for _ in range(2):
        source = opening()
        next_frame(source)
        source.close()
        source.close()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"source": "file:/nowhere/film.mp4"}, "/nowhere/film.mp4: no such file"),
        ({"source": f"file:{__file__}"}, "no film"),
        ({"source": "device:63"}, "/dev/video63: no such camera"),
        ({"source": "/dev/v4l/by-id/usb-absent:1-video-index0"}, "usb-absent:1-video-index0: no such camera"),
        ({"source": "/dev/null"}, "/dev/null: cannot be opened"),
        ({"source": "device:0", "controls": {"exposrue": 1}}, "CAP_PROP_EXPOSRUE"),
        ({"source": "http://127.0.0.1:9/stream"}, "no stream"),
        ({"source": "rtsp://${EDGE_ABSENT}@127.0.0.1/a"}, "EDGE_ABSENT"),
        ({"pipe": ["/nowhere/program"]}, "/nowhere/program: there is no such program"),
    ],
)
def test_a_source_that_cannot_be_opened_is_named_with_the_reason(config: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError) as caught:
        open_source(CameraConfig.model_validate(config))
    assert reason in str(caught.value)
