"""Screenshots and the preview: presented pictures as PNG files on the box. They never travel over the network."""

import os
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.control.background import Background, Done
from edge_runtime.control.state import write_atomically
from edge_runtime.slots import SlotReader

KEPT_SCREENSHOTS = 20
WAITING_PICTURES = 4
Bgr = npt.NDArray[np.uint8]


class PictureWriter:
    """Hands pictures to the background. Used from the thread that owns that one."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._waiting = 0

    @property
    def busy(self) -> bool:
        """True when no more pictures should be given."""
        return self._waiting >= WAITING_PICTURES

    def write(self, bgr: Bgr, path: Path, done: Done, *, keep: int | None = None, blurred: bool = False) -> None:
        """Write (H, W, 3) BGR uint8 as PNG. The array is the writer's from now on.

        With `keep` only so many newest PNG files stay in the folder; `blurred`, nobody can be told in it.
        """
        self._waiting += 1

        def written(reason: str | None) -> None:
            self._waiting -= 1
            done(None if reason is None else f"{path}: {reason}")

        self._background.submit(lambda: _write(blur(bgr) if blurred else bgr, path, keep), written)


def blur(bgr: Bgr) -> Bgr:
    """The picture with no detail finer than a sixteenth of its height."""
    height, width = bgr.shape[:2]
    coarse = cv2.resize(bgr, (max(1, 16 * width // max(1, height)), 16), interpolation=cv2.INTER_AREA)
    soft: Bgr = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    return soft


def _write(bgr: Bgr, path: Path, keep: int | None) -> None:
    try:
        _, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    except cv2.error as error:
        raise ValueError(str(error)) from error
    write_atomically(path, encoded.tobytes())
    if keep is not None:
        newest_first = sorted(path.parent.glob("*.png"), key=os.path.getmtime, reverse=True)
        for old in newest_first[keep:]:
            old.unlink(missing_ok=True)


def copy_picture(reader: SlotReader, sequence: int) -> Bgr | None:
    """The picture of that sequence or newer as (H, W, 3) BGR, a fresh array; None while there is no whole one."""
    for _ in range(3):
        frame = reader.latest()
        if frame is None or frame.sequence < sequence:
            return None
        bgr: Bgr = np.ascontiguousarray(frame.array[..., :3])
        if reader.intact(frame):
            return bgr
    return None
