"""What every camera source promises: the next frame, with the moment it arrived, or an `InputError`.

A source is opened by its constructor, read from the one thread that opened it, and closed. It never reconnects:
the camera part does, by opening a new one.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, blue green red."""

SILENCE_S = 1.5
"""A live source that gives nothing for so long counts as lost; when it goes on after that, it is back."""
PATIENCE_S = 4.0
"""A live source that gives nothing for so long is closed and opened again. A stream may start with a wait for its next
key frame, which many cameras send every 2 s only. OpenCV's own limit is 30 s."""
POLL_S = 0.1
"""A source that can wait with a limit waits no longer than this in one `read`, so that a stop is noticed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture as it came in."""

    bgr_hwc: Picture
    """Belongs to the source, which may draw the next frame into it: use it before the next `read`."""
    captured_s: float
    """Monotonic: when the picture arrived, or was due where the source keeps its own time."""


class Source(Protocol):
    """A moving picture. Used from one thread: the one that opened it."""

    @property
    def live(self) -> bool:
        """True for a camera: silence and a picture that never changes are faults there."""
        ...

    def read(self) -> Frame | None:
        """Wait for the next frame; None when there is none yet.

        A source that cannot wait with a limit may block for `PATIENCE_S`.

        Raises:
            InputError: the source is lost. The message carries no secret.
        """
        ...

    def close(self) -> None:
        """Let go of the device, the connection or the program. May be called twice."""
        ...
