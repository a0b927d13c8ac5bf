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
MATCH_LEVELS = (3.0, 8.0)
"""Difference between moved past and present, mean of 5 x 5 pixels: fully believed below, not at all above."""
REST_LEVELS = (1.5, 3.0)
"""The same between past and present without moving, at half size: at rest below, moving above."""
_SCALE = 2
"""Flow is found at half size: a quarter of the cost, and half of the noise."""


@dataclass(frozen=True, slots=True)
class _Motion:
    """How the past input lies under the present one."""

    maps: tuple[Array, Array]
    """Where each pixel was; fixed-point, for `remap`."""
    share: Array
    """(H, W) float32: how much of the past to keep, 0-1."""


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
        share = self._motion.share
        self._input = cv2.blendLinear(moved, present, share, 1.0 - share)
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
        # Blurred first: noise and the softness of a resampled past are no change, a shape that came or went is.
        difference = np.abs(cv2.blur(cv2.subtract(present, moved), (3, 3)))
        difference = cv2.blur(cv2.transform(difference, _MEAN), (5, 5))
        most = cv2.resize(PAST_MOVING + (PAST_STILL - PAST_MOVING) * rest, (width, height))
        return _Motion(maps, _ramp(difference, MATCH_LEVELS) * most * np.float32(self._strength)), moved

    def settle_output(self, picture: Array, *, fresh: float = 0.0) -> Array:
        """Blend the network's picture of the last frame given to `settle_input` with its past.

        Args:
            picture: (H, W, 3) float32.
            fresh: how much the wanted look changed since the last run, 0 to 1: as much of the past is dropped.

        Returns:
            (H, W, 3) float32. Belongs to the stabiliser: read it, do not write.
        """
        if self._output is None or self._motion is None:
            self._output = picture
            return picture
        # Strokes reach past the edge of what moves: the past is given up a little round it too.
        share = cv2.erode(self._motion.share, _NEAR) * np.float32(1.0 - fresh)
        self._output = cv2.blendLinear(_move(self._output, self._motion.maps), picture, share, 1.0 - share)
        return self._output


_MEAN = np.full((1, 3), 1 / 3, np.float32)
_NEAR = np.ones((3, 3), np.uint8)


def _move(past: Array, maps: tuple[Array, Array]) -> Array:
    return cv2.remap(past, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _half_gray(frame: Array) -> Array:
    height, width = frame.shape[:2]
    half = cv2.resize(frame, (width // _SCALE, height // _SCALE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(half, cv2.COLOR_BGR2GRAY)
    return gray if gray.dtype == np.uint8 else cv2.convertScaleAbs(gray)


def _ramp(difference: Array, levels: tuple[float, float]) -> Array:
    """1 below the first level, 0 above the second, straight between."""
    low, high = levels
    ramp: Array = np.clip((high - difference) * np.float32(1 / (high - low)), 0.0, 1.0, dtype=np.float32)
    return ramp
