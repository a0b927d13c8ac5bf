"""Palettes that look even to the eye: colours are mixed in OKLab, not in the screen's own numbers.

Source: Björn Ottosson, "A perceptual color space for image processing", 2020 (public domain).
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rgb = tuple[int, int, int]
Tones = Sequence[Sequence[Rgb]]
"""The same palette in several moods, cold to warm. Neighbours are close, or their mixture would be grey."""

PALETTE_SIZE = 512
_ROUNDING = 61  # entries over which a corner of the palette is rounded
_LMS_FROM_LINEAR = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB_FROM_LMS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LINEAR_FROM_LMS = np.linalg.inv(_LMS_FROM_LINEAR)
_LMS_FROM_LAB = np.linalg.inv(_LAB_FROM_LMS)


def oklab_from_rgb(rgb: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(..., 3) sRGB 0-255 to OKLab."""
    x = np.asarray(rgb, np.float64) / 255.0
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    lab: npt.NDArray[np.float64] = np.cbrt(linear @ _LMS_FROM_LINEAR.T) @ _LAB_FROM_LMS.T
    return lab


def bgr_from_oklab(lab: npt.NDArray[np.float64]) -> Floats:
    """(..., 3) OKLab to BGR 0-255, float32, clipped to what the screen can show."""
    linear = np.clip((lab @ _LMS_FROM_LAB.T) ** 3 @ _LINEAR_FROM_LMS.T, 0.0, 1.0)
    x = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.ascontiguousarray(x[..., ::-1] * 255.0, np.float32)


def palette(lab: npt.NDArray[np.float64]) -> Floats:
    """(3, PALETTE_SIZE) float32 B, G, R 0-255 that runs evenly through the (N, 3) OKLab colours, without corners."""
    at = np.linspace(0.0, len(lab) - 1.0, PALETTE_SIZE)
    run = np.stack([np.interp(at, np.arange(len(lab)), lab[:, channel]) for channel in range(3)], axis=1)
    if len(lab) > 2:
        run = np.asarray(cv2.GaussianBlur(run, (1, _ROUNDING), 0.0, borderType=cv2.BORDER_REPLICATE), np.float64)
    return np.ascontiguousarray(bgr_from_oklab(run).T)


class Tint:
    """The palette of a mood between cold (0) and warm (1); computed anew only when the mood changes."""

    def __init__(self, tones: Tones) -> None:
        self._lab = oklab_from_rgb(tones)  # (moods, N, 3)
        self._warmth = -1.0
        self._palette = np.empty((3, 0), np.float32)

    def at(self, warmth: float) -> Floats:
        """(3, PALETTE_SIZE) float32 B, G, R 0-255."""
        if warmth != self._warmth:
            self._warmth = warmth
            place = min(max(warmth, 0.0), 1.0) * (len(self._lab) - 1)
            first = min(int(place), max(0, len(self._lab) - 2))
            last = min(first + 1, len(self._lab) - 1)
            share = place - first
            self._palette = palette((1.0 - share) * self._lab[first] + share * self._lab[last])
        return self._palette
