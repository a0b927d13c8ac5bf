"""Cameras that OpenCV opens: V4L2 devices and network streams.

Neither buffers on purpose: a device keeps one frame, FFmpeg hands out each frame as it is decoded, on one thread,
because frame threading costs a frame of delay for each thread. What piles up while the part stands still is read
at the speed of decoding, so the picture is new again a moment later.
"""

import os
from pathlib import Path
from typing import cast

import cv2

from edge_runtime import logs
from edge_runtime.clock import now_s
from edge_runtime.config import CameraConfig
from edge_runtime.errors import InputError
from edge_runtime.inputs.address import expand, redact
from edge_runtime.inputs.source import PATIENCE_S, Frame, Picture

_FFMPEG_OPTIONS = "rtsp_transport;tcp|flags;low_delay|max_delay;0|fpsprobesize;2"
"""Not looking for the frame rate opens RTSP in 0.4 s instead of 1.0. Without `fflags;nobuffer`: it throws the probed
frames away, the first key frame among them, and the picture is grey until the next one comes. Kept, they are through in
30 ms. Source: measured with 640x480 H.264 at 30 Hz from gst-rtsp-server 1.22, OpenCV 5.0.0, one x86 core."""
_BY_ID = Path("/dev/v4l/by-id")


def quiet_libraries() -> None:
    """Silence OpenCV and FFmpeg: they print addresses, with passwords, to stderr. Call it before the first capture."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # AV_LOG_QUIET
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class _Capture:
    """Frames of an open `cv2.VideoCapture`, in one reused buffer."""

    live = True

    def __init__(self, capture: cv2.VideoCapture, shown: str) -> None:
        self._capture = capture
        self._shown = shown
        self._picture: Picture | None = None

    def read(self) -> Frame | None:
        """The next frame, stamped on arrival. Blocks for `PATIENCE_S` at most.

        Raises:
            InputError: the camera has gone, or was silent for so long.
        """
        if not self._capture.grab():
            raise InputError(f"{self._shown}: the camera has gone, or is silent")
        captured_s = now_s()  # before the conversion to BGR, which takes milliseconds at 1080p
        arrived, picture = self._capture.retrieve(self._picture)
        if not arrived:
            raise InputError(f"{self._shown}: a frame came that cannot be decoded")
        self._picture = cast("Picture", picture)
        return Frame(self._picture, captured_s)

    def close(self) -> None:
        self._capture.release()


class DeviceSource(_Capture):
    """A V4L2 camera: `device:0`, `/dev/video0` or, best, `/dev/v4l/by-id/...`, which survives a change of socket."""

    def __init__(self, config: CameraConfig, path: Path) -> None:
        """Open the device with the config's format, size, rate and controls.

        Raises:
            InputError: no such device or control, or another program holds it.
        """
        controls = {name: _control(name) for name in config.controls}
        if not path.exists():
            there = ", ".join(sorted(str(p) for p in [*Path("/dev").glob("video*"), *_BY_ID.glob("*")]))
            raise InputError(f"{path}: no such camera; there are: {there or 'none'}")
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", f"{PATIENCE_S:.0f}")  # OpenCV waits 10 s
        capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
        super().__init__(capture, str(path))
        if not capture.isOpened():
            capture.release()
            raise InputError(
                f"{path}: cannot be opened: held by another program, no camera, or no right to (group video)"
            )
        self._set_up(config, controls)

    def _set_up(self, config: CameraConfig, controls: dict[str, int]) -> None:
        if config.fourcc:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.fourcc))  # first: it resets the size
        left, top, right, bottom = config.crop
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, round(config.size_px[0] / (right - left)))
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, round(config.size_px[1] / (bottom - top)))
        self._capture.set(cv2.CAP_PROP_FPS, config.rate_hz)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        refused = [name for name, prop in controls.items() if not self._capture.set(prop, config.controls[name])]
        if refused:
            logs.event("camera_controls_refused", "warning", source=self._shown, controls=refused)


def _control(name: str) -> int:
    prop = getattr(cv2, f"CAP_PROP_{name.upper()}", None)
    if not isinstance(prop, int):
        raise InputError(f"controls.{name}: OpenCV has no CAP_PROP_{name.upper()}; try exposure, gain, auto_wb, focus")
    return prop


class NetworkSource(_Capture):
    """A stream that FFmpeg reads: RTSP over TCP, MJPEG over HTTP and its like.

    When the stream changes its size, OpenCV goes on scaling to the size it had at the opening.
    """

    def __init__(self, address: str) -> None:
        """Connect, within `PATIENCE_S`.

        Raises:
            InputError: a variable of the address is not set, or nothing answers there.
        """
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _FFMPEG_OPTIONS)
        limit_ms = round(PATIENCE_S * 1000)
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit_ms]
        capture = cv2.VideoCapture(expand(address), cv2.CAP_FFMPEG, [*timeouts, cv2.CAP_PROP_N_THREADS, 1])
        super().__init__(capture, redact(address))
        if not capture.isOpened():
            capture.release()
            raise InputError(
                f"{self._shown}: no stream within {PATIENCE_S:g} s; check camera, address, user and password"
            )
