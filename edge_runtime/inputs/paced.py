"""Pictures that keep their own time: a film, and the synthetic picture. They are never silent and never lost."""

from pathlib import Path
from typing import cast

import cv2

from edge_runtime.clock import Clock, FrameClock, SystemClock
from edge_runtime.errors import InputError
from edge_runtime.inputs.source import POLL_S, Frame, Picture
from edge_runtime.inputs.synthetic import SyntheticPicture

_STALL_S = 0.25
"""A film that is so late goes on from where it stands; the lost time is not chased."""


class SyntheticSource:
    """The synthetic picture at a fixed rate."""

    live = False

    def __init__(self, *, size_px: tuple[int, int], rate_hz: float, seed: int = 0, still: bool = False) -> None:
        self._picture = SyntheticPicture(size_px=size_px, seed=seed, still=still)
        self._frames = FrameClock(SystemClock(spin_s=0.0), rate_hz=rate_hz)
        self._start_s: float | None = None
        self._buffer: Picture | None = None

    def read(self) -> Frame | None:
        """The picture of the next deadline."""
        tick = self._frames.wait()
        if self._start_s is None:
            self._start_s = tick.now_s
        self._buffer = self._picture.frame(tick.now_s - self._start_s, self._buffer)
        return Frame(self._buffer, tick.now_s)

    def close(self) -> None:
        """Nothing is held."""


class FileSource:
    """A film, looped, each frame at the time its own stamp says."""

    live = False

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        """Open the film.

        Raises:
            InputError: there is no such file, or nothing in it can be decoded.
        """
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        self._path = path
        self._clock = clock or SystemClock(spin_s=0.0)
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened():
            self._capture.release()
            raise InputError(f"{path}: is no film that can be decoded")
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self._step_s = 1.0 / rate_hz if 0.1 < rate_hz < 1000 else 1.0 / 30.0
        self._start_s: float | None = None  # when the film's time 0 is, on our clock; set by the first frame
        self._at_s = -self._step_s
        self._buffer: Picture | None = None
        self._pending: Picture | None = None  # decoded, not due yet

    def read(self) -> Frame | None:
        """The next frame when it is due; None while it is not.

        Raises:
            InputError: the file has gone or is damaged from its first frame on.
        """
        picture = self._decode() if self._pending is None else self._pending
        now_s = self._clock.now_s()
        if self._start_s is None or now_s - self._start_s - self._at_s > _STALL_S:
            self._start_s = now_s - self._at_s
        due_s = self._start_s + self._at_s
        self._pending = picture if due_s - now_s > POLL_S else None
        self._clock.sleep_until(min(due_s, now_s + POLL_S))
        return Frame(picture, due_s) if self._pending is None else None

    def _decode(self) -> Picture:
        arrived, picture = self._capture.read(self._buffer)
        if not arrived:
            self._rewind()
            arrived, picture = self._capture.read(self._buffer)
        if not arrived:
            raise InputError(f"{self._path}: no frame can be decoded")
        self._buffer = cast("Picture", picture)
        stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        # Some containers carry no stamps, or repeat one: the nominal rate stands in.
        self._at_s = stamp_s if stamp_s > self._at_s else self._at_s + self._step_s
        return self._buffer

    def _rewind(self) -> None:
        if self._start_s is not None:
            self._start_s += self._at_s + self._step_s
        self._at_s = -self._step_s
        if not self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0):
            self._capture.open(str(self._path), cv2.CAP_FFMPEG)

    def close(self) -> None:
        self._capture.release()
