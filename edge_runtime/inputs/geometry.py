"""From the camera's picture to the config's: crop, cover, resize, flip. Pure."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.inputs.source import Picture

Flip = Literal["none", "horizontal", "vertical", "both"]
_FLIP_CODES: dict[Flip, int] = {"horizontal": 1, "vertical": 0, "both": -1}


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a picture that is kept, in pixels."""

    left: int
    top: int
    width: int
    height: int


def choose_window(from_px: tuple[int, int], to_px: tuple[int, int], crop: tuple[float, float, float, float]) -> Window:
    """The largest window inside `crop` (left, top, right, bottom, 0-1) with the aspect of `to_px`, in its middle."""
    left, right = crop[0] * from_px[0], crop[2] * from_px[0]
    top, bottom = crop[1] * from_px[1], crop[3] * from_px[1]
    scale = min((right - left) / to_px[0], (bottom - top) / to_px[1])
    width, height = max(1, round(to_px[0] * scale)), max(1, round(to_px[1] * scale))
    x = min(max(0, round((left + right - width) / 2)), from_px[0] - width)
    y = min(max(0, round((top + bottom - height) / 2)), from_px[1] - height)
    return Window(x, y, width, height)


class Geometry:
    """Fits pictures of any size, which may change from one to the next. Used from one thread: it keeps a buffer."""

    def __init__(
        self, *, size_px: tuple[int, int], crop: tuple[float, float, float, float] = (0, 0, 1, 1), flip: Flip = "none"
    ) -> None:
        self._size_px = size_px
        self._crop = crop
        self._flip = _FLIP_CODES.get(flip)
        self._unflipped: Picture = np.empty((size_px[1], size_px[0], 3), np.uint8)

    def fit(self, bgr_hwc: Picture, out_bgr_hwc: Picture) -> None:
        """Draw `bgr_hwc` (H, W, 3) into `out_bgr_hwc` (h, w, 3), contiguous, of the size given at the start.

        Raises:
            InputError: the source gives something that is not a colour picture.
        """
        if bgr_hwc.ndim != 3 or bgr_hwc.shape[2] != 3 or bgr_hwc.dtype != np.uint8:
            raise InputError(f"the source gives {bgr_hwc.shape} {bgr_hwc.dtype}: (H, W, 3) uint8 was expected")
        window = choose_window((bgr_hwc.shape[1], bgr_hwc.shape[0]), self._size_px, self._crop)
        kept = bgr_hwc[window.top : window.top + window.height, window.left : window.left + window.width]
        fitted = out_bgr_hwc if self._flip is None else self._unflipped
        if (window.width, window.height) == self._size_px:
            np.copyto(fitted, kept)
        else:
            shrinks = window.width > self._size_px[0]
            cv2.resize(kept, self._size_px, fitted, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if self._flip is not None:
            cv2.flip(fitted, self._flip, out_bgr_hwc)
