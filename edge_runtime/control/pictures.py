"""Screenshots and the preview: presented pictures as PNG files on the box. They never travel over the network."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.control.state import write_atomically
from edge_runtime.slots import SlotReader

KEPT_SCREENSHOTS = 20
WAITING_PICTURES = 4
Bgr = npt.NDArray[np.uint8]
Done = Callable[[str | None], None]
"""Called with the reason when it failed, with None when the file is there."""


class PictureWriter:
    """Encodes on a thread of its own; what comes back is called by `tend`, on the thread that owns this."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
        self._finished: deque[tuple[Done, str | None]] = deque()
        self._waiting = 0

    @property
    def busy(self) -> bool:
        """True when no more pictures should be given."""
        return self._waiting >= WAITING_PICTURES

    def write(self, bgr: Bgr, path: Path, done: Done, *, keep: int | None = None) -> None:
        """Write (H, W, 3) BGR uint8 as PNG. The array is the writer's from now on.

        With `keep` only so many newest PNG files stay in the folder.
        """
        self._waiting += 1
        self._thread.submit(self._write, bgr, path, done, keep)

    def tend(self) -> None:
        """Tell what was finished."""
        while self._finished:
            done, reason = self._finished.popleft()
            self._waiting -= 1
            done(reason)

    def close(self) -> None:
        """Finish the picture in hand; forget the others."""
        self._thread.shutdown(cancel_futures=True)

    def _write(self, bgr: Bgr, path: Path, done: Done, keep: int | None) -> None:
        reason: str | None = None
        try:
            _, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 3])
            write_atomically(path, encoded.tobytes())
            if keep is not None:
                newest_first = sorted(path.parent.glob("*.png"), key=os.path.getmtime, reverse=True)
                for old in newest_first[keep:]:
                    old.unlink(missing_ok=True)
        except (OSError, cv2.error) as error:
            reason = f"{path}: {error}"
        self._finished.append((done, reason))
        self._wake()


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
