"""Cut-out: a model's picture with holes, laid over whatever is below. Where its source is stale it fades away."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from edge_runtime.clock import Timeline
from edge_runtime.config.scenes import CutoutConfig
from edge_runtime.layers.compose import region
from edge_runtime.layers.picture import Look, PictureSource, Watch, scale_to_cover
from edge_runtime.scene import Canvas, Values
from edge_runtime.slots import Array, SlotFrame

_TRIES = 3


@dataclass(frozen=True, slots=True)
class _Cut:
    """One frame at the size of its box, ready to be laid: only the rectangle in which anything is seen."""

    frame: tuple[int, int]
    rows: slice
    columns: slice
    light: Canvas
    """Colours times opacity, (h, w, 4)."""
    rest: Canvas
    """How much of what is below stays, 0-255, the same in all four channels."""


class CutoutLayer:
    """The newest frame of one source, (H, W, 4) BGRA with straight alpha; of three channels, all of it is seen."""

    def __init__(self, config: CutoutConfig, *, sources: Mapping[str, PictureSource]) -> None:
        self._config = config
        self._watch = Watch(sources[config.source], config.stale_after_s)
        self._cut: _Cut | None = None
        self._size: tuple[int, ...] = ()
        self._share = 0.0
        self._shown: tuple[str, SlotFrame] | None = None

    @property
    def shown(self) -> tuple[str, SlotFrame] | None:
        """Name and frame of the source drawn last; None while nothing is."""
        return self._shown

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        opacity = float(values["opacity"])
        frame = self._watch.fresh(timeline.now_s)
        step = timeline.step_s / self._config.fade_s if self._config.fade_s > 0 else 1.0
        self._share = min(1.0, self._share + step) if frame else max(0.0, self._share - step)
        self._shown = None
        if opacity <= 0.0 or self._share <= 0.0:
            return
        view = region(canvas, self._config.box)
        if frame is not None:
            self._refresh(frame, view)
        if self._cut is not None and self._size == view.shape:
            _lay(view, self._cut, opacity * self._share)

    def _refresh(self, frame: SlotFrame, view: Canvas) -> None:
        self._shown = (self._config.source, frame)
        if self._cut is not None and self._cut.frame == (frame.ring, frame.sequence) and self._size == view.shape:
            return
        for _ in range(_TRIES):
            small = self._developed(frame.array)
            if self._watch.reader.intact(frame):
                break
            frame = self._watch.reader.latest() or frame
        self._cut, self._size = _cut(small, view, (frame.ring, frame.sequence)), view.shape

    def _developed(self, array: Array) -> Canvas:
        """A copy, (h, w, 4), its colours already times its opacity: what is scaled then has no fringe."""
        if array.ndim == 2 or array.shape[2] == 3:
            return Look(1.0, 1.0, 1.0).develop(array, mirror=self._config.mirror)
        alpha = cv2.cvtColor(np.ascontiguousarray(array[:, :, 3]), cv2.COLOR_GRAY2BGRA)
        alpha[:, :, 3] = 255
        small = cv2.multiply(array, alpha, scale=1 / 255)
        return np.asarray(cv2.flip(small, 1) if self._config.mirror else small, np.uint8)


def _cut(small: Canvas, view: Canvas, frame: tuple[int, int]) -> _Cut | None:
    height, width = view.shape[:2]
    whole = np.empty((height, width, 4), np.uint8)
    scale_to_cover(whole, small)
    alpha = np.ascontiguousarray(whole[:, :, 3])
    x, y, w, h = cv2.boundingRect(alpha)
    if w == 0:
        return None
    rows, columns = slice(y, y + h), slice(x, x + w)
    rest = cv2.cvtColor(255 - alpha[rows, columns], cv2.COLOR_GRAY2BGRA)
    rest[:, :, 3] = 255
    return _Cut(frame, rows, columns, np.ascontiguousarray(whole[rows, columns]), np.asarray(rest, np.uint8))


def _lay(view: Canvas, cut: _Cut, opacity: float) -> None:
    """Source: 1.9 ms for a person of 420x600 on 1280x720 (2-core x86, 2026-11)."""
    below = view[cut.rows, cut.columns]
    light: Array = cut.light
    rest: Array = cut.rest
    if opacity < 1.0:
        light = cv2.convertScaleAbs(light, alpha=opacity)
        rest = cv2.convertScaleAbs(rest, alpha=opacity, beta=255 * (1 - opacity))
    kept = cv2.multiply(below, rest, scale=1 / 255)
    cv2.add(kept, light, dst=below)
