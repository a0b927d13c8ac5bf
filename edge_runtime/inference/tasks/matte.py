"""Matte: people cut out of what is behind them, with soft edges that keep still."""

from collections.abc import Mapping

import cv2
import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work, check_finite
from edge_runtime.signals import Value
from edge_runtime.slots import Array

STEADY, QUICK = 0.25, 0.9
"""Share of the new mask where it hardly differs from the last one (noise), and where it differs much (motion)."""
_MOTION = (0.08, 0.4)
"""Differences of the mask that are noise, and that are motion."""
_NOISE_LEVELS = 10
"""A pixel of the guide that changes by less is noise and hardly moves; one that changes by more is taken as it is."""
_RADIUS_PX, _SOFTNESS = 5, 1e-3
"""Of the guided filter, at the network's size. Source: He, Sun 2015, "Fast Guided Filter"."""
_EDGE = (0.2, 0.8)
"""Mask values that become fully transparent and fully opaque."""


class Matte:
    """A picture of people in, the people alone out: BGRA, straight alpha.

    The first input is looked at; the last one is cut out, so that a painted picture can be cut along the camera's.
    """

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = False, 4, 0.0
        self._input, self._output = manifest.inputs[0].name, manifest.outputs[0].name
        height, width = manifest.inputs[0].shape[2:]
        self._size_px = int(width), int(height)
        self._mask: Array | None = None
        self._guide: Array | None = None

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        if not work.frames:
            raise SessionError("matte runs on a picture; give the model an input")
        seen = _resized(work.frames[0], self._size_px)
        x_nchw = np.ascontiguousarray(seen[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32) * np.float32(1 / 255)
        found = self.session.run({self._input: x_nchw})[self._output][0, 0]
        check_finite("matte", found)
        mask = self._steady(found)
        height, width = out.shape[:2]
        picture = _resized(work.frames[-1], (width, height))
        alpha = _refined(mask, self._steady_guide(_resized(work.frames[0], (width, height))))
        cv2.mixChannels([picture, alpha[:, :, None]], [out], [0, 0, 1, 1, 2, 2, 3, 3])
        return _measured(mask)

    def _steady(self, mask: Array) -> Array:
        """Blend with the last mask where the difference looks like noise."""
        if self._mask is not None:
            low, high = _MOTION
            motion = np.clip((cv2.blur(np.abs(mask - self._mask), (7, 7)) - low) / (high - low), 0, 1)
            mask = self._mask + (mask - self._mask) * (STEADY + (QUICK - STEADY) * motion)
        self._mask = np.asarray(mask, np.float32)
        return self._mask

    def _steady_guide(self, frame: Array) -> Array:
        """What the mask's edge follows, (h, w) uint8: its noise would make the edge tremble, however still the mask."""
        grey = cv2.GaussianBlur(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), (3, 3), 0)
        if self._guide is not None and self._guide.shape == grey.shape:
            settled = cv2.addWeighted(grey, STEADY, self._guide, 1 - STEADY, 0)
            moves = cv2.threshold(cv2.absdiff(grey, self._guide), _NOISE_LEVELS, 255, cv2.THRESH_BINARY)[1]
            cv2.copyTo(grey, moves, settled)
            grey = settled
        self._guide = grey
        return grey

    def reset(self) -> None:
        self._mask = self._guide = None


def _resized(frame: Array, size_px: tuple[int, int]) -> Array:
    if (frame.shape[1], frame.shape[0]) == size_px:
        return np.ascontiguousarray(frame[:, :, :3])
    smaller = frame.shape[1] > size_px[0]
    return cv2.resize(frame[:, :, :3], size_px, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _refined(mask: Array, grey: Array) -> Array:
    """The mask along the edges of a grey picture, (h, w) uint8: a guided filter found small and applied large."""
    large = grey.astype(np.float32) * np.float32(1 / 255)
    guide = cv2.resize(large, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_AREA)
    side = (2 * _RADIUS_PX + 1, 2 * _RADIUS_PX + 1)
    mean_g, mean_m = cv2.blur(guide, side), cv2.blur(mask, side)
    slope = (cv2.blur(guide * mask, side) - mean_g * mean_m) / (cv2.blur(guide * guide, side) - mean_g**2 + _SOFTNESS)
    size_px = grey.shape[1], grey.shape[0]
    slope = cv2.blur(slope, side)
    offset = cv2.blur(mean_m - slope * mean_g, side)
    alpha = cv2.resize(slope, size_px) * large + cv2.resize(offset, size_px)
    low, high = _EDGE
    share = np.clip((alpha - low) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(share * share * (3 - 2 * share) * 255, np.uint8)


def _measured(mask: Array) -> dict[str, Value]:
    """How much of the picture is people, and where their middle is."""
    total = float(mask.sum())
    coverage = total / mask.size
    if coverage < 0.005:
        return {"coverage": coverage}
    height, width = mask.shape
    return {
        "coverage": coverage,
        "x": float(mask.sum(axis=0) @ np.arange(width)) / total / (width - 1),
        "y": float(mask.sum(axis=1) @ np.arange(height)) / total / (height - 1),
    }
