"""The camera part: one source, read on a thread of its own, drawn straight into the camera's slot.

The thread may block for seconds in a driver or a socket. The main thread never does: it beats, hears, reports and
stops when asked. A source that is lost is opened again with back-off; one whose picture stands still, byte for
byte, is a camera that froze, because no sensor is without noise.
"""

import contextlib
import math
import random
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from edge_runtime import logs
from edge_runtime.clock import Rate, Stopper, now_s
from edge_runtime.config import CameraConfig
from edge_runtime.errors import InputError
from edge_runtime.inputs.capture import quiet_libraries
from edge_runtime.inputs.geometry import Geometry
from edge_runtime.inputs.loss import BackOff, FreezeWatch
from edge_runtime.inputs.opening import open_source, show_source
from edge_runtime.inputs.source import PATIENCE_S, POLL_S, SILENCE_S, Frame, Picture
from edge_runtime.part import Part
from edge_runtime.slots import SlotWriter

HEALTHY_S = 5.0
"""A source that ran so long starts again at the shortest back-off."""
HANG_S = 30.0
"""A thread that is stuck for longer sits in a driver: the part stops beating and is replaced. Not sooner, because a
name server that does not answer holds up an opening for 20 s."""
_FIRST_FRAME_S = 10.0
"""What a source gets for its first frame: ffmpeg looks at a stream for 5 s before it writes any."""
_JOIN_S = 0.2
_REPORT_S = 1.0


class CameraThread(threading.Thread):
    """Keeps one source open and publishes its newest frame. Only this thread touches the source and the slot.

    What it tells is read by the main thread: plain values, each written here only.
    """

    def __init__(self, config: CameraConfig, writer: SlotWriter, ring: Callable[[], None], *, seed: int) -> None:
        super().__init__(name=f"input:{config.name}", daemon=True)  # a read that blocks must not hold up a stop
        self.frames = 0
        self.opened = 0
        self.live = False
        self.fault: str | None = None
        """Why there are no frames, from the moment the source was lost to its next frame."""
        self.frozen = False
        """The picture stands still, byte for byte."""
        self.frame_s = -math.inf
        """When the newest frame was captured."""
        self.alive_s = now_s()
        """When this thread last came by: it is stuck in a driver when that is long ago."""
        self.from_px: tuple[int, int] | None = None
        """Size of the source's own picture."""
        self.bug: Exception | None = None
        """What ended this thread, where that was not `stop`."""
        self._config = config
        self._writer = writer
        self._ring = ring
        self._seed = seed
        self._stop_asked = Stopper()
        self._geometry = Geometry(size_px=config.size_px, crop=config.crop, flip=config.flip)
        self._back_off = BackOff(random.Random())
        self._freeze = FreezeWatch()
        self._last: Picture | None = None

    def stop(self) -> None:
        """Ask for the end and wait for it a moment; a read that blocks ends with the process."""
        self._stop_asked.set()
        self.join(_JOIN_S)

    def run(self) -> None:
        """Open, read, lose, wait, again."""
        try:
            while not self._stop_asked.requested:
                self.alive_s = now_s()
                try:
                    self._read_until_lost()
                except InputError as error:
                    self.fault = str(error)
                    self._stop_asked.wait(self._back_off.take_s())
        except Exception as bug:  # noqa: BLE001 - the input thread: the main thread raises it and the part ends
            self.bug = bug

    def _read_until_lost(self) -> None:
        with contextlib.closing(open_source(self._config, seed=self._seed)) as source:
            self.opened += 1
            self.live = source.live
            rate = Rate(self._config.rate_hz)
            opened_s = now_s()
            patient_until_s = opened_s + _FIRST_FRAME_S
            while not self._stop_asked.requested:
                frame = source.read()
                self.alive_s = now_s()
                if frame is None:
                    if source.live and self.alive_s > patient_until_s:
                        raise InputError(f"{show_source(self._config)}: the camera is silent")
                    continue
                patient_until_s = self.alive_s + max(PATIENCE_S, 3.0 / self._config.rate_hz)
                if self.alive_s - opened_s > HEALTHY_S:
                    self._back_off.reset()
                if source.live and rate.due_in_s(frame.captured_s) > 0:
                    continue
                rate.take(frame.captured_s)
                picture = self._publish(frame)
                if source.live and self._stands_still(picture, frame.captured_s):
                    return

    def _publish(self, frame: Frame) -> Picture:
        width, height = self._config.size_px
        picture = self._writer.next((height, width, 3))
        self._geometry.fit(frame.bgr_hwc, picture)
        self._writer.publish(frame.captured_s, now_s())
        self._ring()
        self.from_px = (frame.bgr_hwc.shape[1], frame.bgr_hwc.shape[0])
        self.frame_s = frame.captured_s
        self.fault = None
        self.frames += 1
        return picture

    def _stands_still(self, picture: Picture, now_s: float) -> bool:
        """Whether the picture has stood still for so long that the source should be opened again."""
        same = self._last is not None and np.array_equal(picture, self._last)
        self._last = picture  # in the slot, and safe there until three more are published
        reopen = self._freeze.frozen(same=same, now_s=now_s)
        self.frozen = (self.frozen or reopen) and same
        return reopen


class CameraLog:
    """Turns what the thread tells into events, one for each change. Used from the part's main thread."""

    def __init__(self, config: CameraConfig) -> None:
        self._source = show_source(config)
        self._silence_s = max(SILENCE_S, 3.0 / config.rate_hz)
        self._lost_s: float | None = None
        self._frozen = False

    @property
    def lost(self) -> bool:
        """The camera gives nothing at present."""
        return self._lost_s is not None

    def look(self, thread: CameraThread, now_s: float) -> None:
        """Log what has changed since the last look."""
        silent = thread.live and thread.frames > 0 and now_s - thread.frame_s > self._silence_s
        fault = thread.fault or (f"{self._source}: silent for {self._silence_s:g} s" if silent else None)
        if fault and self._lost_s is None:
            self._lost_s = now_s
            logs.event("camera_lost", "warning", source=self._source, reason=fault)
        elif fault is None and self._lost_s is not None:
            logs.event("camera_back", source=self._source, after_s=round(now_s - self._lost_s, 2))
            self._lost_s = None
        if thread.frozen and not self._frozen:
            logs.event("camera_frozen", "warning", source=self._source)
        self._frozen = thread.frozen


def run(part: Part) -> None:
    """Main function of the part `camera:NAME`: returns when asked to stop.

    Raises:
        Exception: whatever bug ended the camera's thread.
    """
    cv2.setNumThreads(1)
    quiet_libraries()
    config = next(camera for camera in part.config.cameras if camera.name == part.label)
    thread = CameraThread(config, part.writer(f"camera.{config.name}"), part.bell.ring, seed=part.config.seed)
    thread.start()
    try:
        _watch(part, thread, config)
    finally:
        thread.stop()


def _watch(part: Part, thread: CameraThread, config: CameraConfig) -> None:
    log = CameraLog(config)
    hang_s = max(HANG_S, 3.0 / config.rate_hz)
    counted = reported = 0
    reported_s = now_s()
    ready = hangs = False
    while not part.stop.wait(POLL_S if ready else POLL_S / 5):
        part.drain()
        if thread.bug is not None:
            raise thread.bug
        log.look(thread, now_s())
        if now_s() - thread.alive_s < hang_s:
            part.beat(did=thread.frames - counted)
            counted, hangs = thread.frames, False
        elif not hangs:
            hangs = True
            logs.event("camera_hangs", "error", source=show_source(config), for_s=hang_s)
        if thread.frames and not ready:
            ready = True
            part.ready()
        if (elapsed_s := now_s() - reported_s) >= _REPORT_S:
            part.report(_stats(thread, config, lost=log.lost, rate_hz=(thread.frames - reported) / elapsed_s))
            reported, reported_s = thread.frames, now_s()


def _stats(thread: CameraThread, config: CameraConfig, *, lost: bool, rate_hz: float) -> dict[str, Any]:
    return {
        "source": show_source(config),
        "from_px": thread.from_px,
        "rate_hz": round(rate_hz, 2),
        "frames": thread.frames,
        "reopened": max(0, thread.opened - 1),
        "lost": lost,
        "frozen": thread.frozen,
        "age_s": round(now_s() - thread.frame_s, 3) if thread.frames else None,
    }
