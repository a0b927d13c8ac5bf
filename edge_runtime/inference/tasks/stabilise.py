"""Keeps a network's picture still where the camera's picture is still.

A style network turns sensor noise of 2 levels into strokes that jump by 10 or 20. Two filters along one optical
flow hold it: the input is denoised before the network sees it, the output is blended with its own past. Both
believe the past only where the moved past looks like the present, so nothing trails behind a person who walks.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from edge_runtime.slots import Array

PAST_STILL = 0.85
"""Share of the past where nothing moves: a time constant of six runs."""
PAST_MOVING = 0.7
"""Share of the past where things move: bilinear resampling of an older past would blur it."""
PAST_REDRAWN = 0.45
"""Share of the past where strokes are redrawn though the scene rests, as round a head that passes: gone in two runs."""
MATCH_LEVELS = (4.0, 10.0)
"""Difference between present and moved past: fully believed below, not at all above."""
REST_LEVELS = (1.5, 3.0)
"""Difference between present and past as it lay: at rest below, moving above."""
REDRAWN_LEVELS = (8.0, 32.0)
"""Difference between the picture and its moved past: kept below, redrawn above."""
_SCALE = 2
"""Flow and differences are found at half size: a quarter of the cost, and half of the noise."""


@dataclass(frozen=True, slots=True)
class _Motion:
    """How the past input lies under the present one."""

    maps: tuple[Array, Array]
    """Where each pixel was; fixed-point, for `remap`."""
    share: Array
    """(H / 2, W / 2) float32: how much of the past to keep, 0-1."""


class Stabiliser:
    """The past of one picture stream. When the size changes the past is forgotten. Used from one thread."""

    def __init__(self, strength: float) -> None:
        """`strength` scales the share of the past, 0 (every frame on its own) to 1."""
        self._strength = strength
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._grid = np.empty((0, 0, 2), np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._input: Array | None = None
        self._output: Array | None = None
        self._motion: _Motion | None = None

    def settle_input(self, frame: Array) -> Array:
        """Denoise a frame along the motion since the one before.

        Args:
            frame: (H, W, 3) uint8.

        Returns:
            (H, W, 3) float32, 0-255. Belongs to the stabiliser: read it, do not write.
        """
        present = frame.astype(np.float32)
        if self._input is None or self._input.shape != present.shape or self._strength <= 0:
            self.reset()
            self._input = present
            return present
        self._motion, moved = self._find_motion(frame, present, self._input)
        self._input = _blend(moved, present, self._motion.share)
        return self._input

    def _find_motion(self, frame: Array, present: Array, past: Array) -> tuple[_Motion, Array]:
        height, width = frame.shape[:2]
        if self._grid.shape[:2] != (height, width):
            self._grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
        gray, gray_past = _half_gray(frame), _half_gray(past)
        rest = _ramp(cv2.blur(cv2.absdiff(gray, gray_past), (5, 5)), REST_LEVELS)
        # Flow found in mere noise would make a still picture swim: what rests does not move.
        flow = self._flow.calc(gray, gray_past, np.empty(0)) * ((1.0 - rest) * _SCALE)[:, :, None]
        where = cv2.resize(flow, (width, height)) + self._grid
        maps = cv2.convertMaps(where, np.empty(0), cv2.CV_16SC2)
        moved = _move(past, maps)
        match = _ramp(_difference(present, moved), MATCH_LEVELS)
        most = PAST_MOVING + (PAST_STILL - PAST_MOVING) * rest
        return _Motion(maps, match * most * np.float32(self._strength)), moved

    def settle_output(self, picture: Array, *, fresh: float = 0.0) -> Array:
        """Blend the network's picture of the last frame given to `settle_input` with its past.

        Args:
            picture: (H, W, 3) float32, 0-255.
            fresh: how much the wanted look changed since the last run, 0 to 1: as much of the past is dropped.

        Returns:
            (H, W, 3) float32. Belongs to the stabiliser: read it, do not write.
        """
        if self._output is None or self._motion is None:
            self._output = picture
            return picture
        moved = _move(self._output, self._motion.maps)
        kept = _ramp(_difference(picture, moved), REDRAWN_LEVELS)
        most = PAST_REDRAWN + (1.0 - PAST_REDRAWN) * kept
        share = np.minimum(self._motion.share, most) * np.float32(1.0 - fresh)
        self._output = _blend(moved, picture, share)
        return self._output


_MEAN = np.full((1, 3), 1 / 3, np.float32)


def _move(past: Array, maps: tuple[Array, Array]) -> Array:
    return cv2.remap(past, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _blend(past: Array, present: Array, share: Array) -> Array:
    height, width = present.shape[:2]
    share = cv2.resize(share, (width, height))
    return cv2.blendLinear(past, present, share, 1.0 - share)


def _halved(picture: Array) -> Array:
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // _SCALE, height // _SCALE), interpolation=cv2.INTER_AREA)


def _difference(present: Array, past: Array) -> Array:
    """How far two pictures are apart, in levels, at half size.

    Signed until it is halved: noise and the softness of a resampled past cancel, a shape that came or went does not.
    """
    return cv2.blur(cv2.transform(np.abs(_halved(cv2.subtract(present, past))), _MEAN), (3, 3))


def _half_gray(picture: Array) -> Array:
    gray = cv2.cvtColor(_halved(picture), cv2.COLOR_BGR2GRAY)
    return gray if gray.dtype == np.uint8 else cv2.convertScaleAbs(gray)


def _ramp(difference: Array, levels: tuple[float, float]) -> Array:
    """1 below the first level, 0 above the second, straight between."""
    low, high = levels
    ramp: Array = np.clip((high - difference) * np.float32(1 / (high - low)), 0.0, 1.0, dtype=np.float32)
    return ramp
