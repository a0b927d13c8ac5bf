"""Picture: what a camera or a model sees, cross-faded to its fallbacks when it goes stale, never to black."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from edge_runtime.clock import Timeline
from edge_runtime.config.scenes import PROCEDURAL, PictureConfig
from edge_runtime.layers.compose import blend, region, scratch, smooth
from edge_runtime.layers.flow import Aurora, Flow
from edge_runtime.scene import Canvas, Values
from edge_runtime.slots import Array, SlotFrame, SlotReader

_TRIES = 3
"""Frames looked at before a torn one is shown: two frames mixed for one refresh, where nothing better can be had."""
_LONGEST_INTERVAL_S = 0.5
_LUMA = np.array([0.114, 0.587, 0.299])  # Source: ITU-R BT.601, as cv2's own grey


@dataclass(frozen=True, slots=True)
class PictureSource:
    """A slot to draw from, and the interval between its frames that the config promises, in seconds."""

    reader: SlotReader
    interval_s: float


class Watch:
    """One source with its patience: frames that come slower than promised stretch it, so a slow model does not flap."""

    def __init__(self, source: PictureSource, stale_after_s: float | None) -> None:
        self.reader = source.reader
        self._promised_s = self._interval_s = source.interval_s
        self._seen_s: float | None = None
        self._stale_after_s = stale_after_s
        self._last: tuple[int, int, float] | None = None
        """Ring, sequence and publishing time of the frame looked at last."""

    def fresh(self, now_s: float) -> SlotFrame | None:
        """The newest frame, unless it is stale."""
        frame = self.reader.latest()
        if frame is None:
            return None
        self._learn(frame)
        stale_after_s = self._stale_after_s or max(0.25, 3.0 * self._interval_s)
        return frame if now_s - frame.published_s < stale_after_s else None

    def _learn(self, frame: SlotFrame) -> None:
        """Take the interval of the last frames, but not of one gap: the source that caused it may be gone again."""
        ring, sequence, published_s = self._last or (-1, 0, 0.0)
        self._last = (frame.ring, frame.sequence, frame.published_s)
        if frame.ring != ring:  # another process writes: how long that took says nothing of its frames
            self._interval_s, self._seen_s = self._promised_s, None
        elif frame.sequence > sequence:  # perhaps many: a fallback is not looked at for hours
            seen_s = min((frame.published_s - published_s) / (frame.sequence - sequence), _LONGEST_INTERVAL_S)
            self._interval_s = max(min(self._seen_s or seen_s, seen_s), self._promised_s)
            self._seen_s = seen_s


class PictureLayer:
    """The freshest of its sources; below them all lies a procedural picture that never fails."""

    def __init__(
        self, config: PictureConfig, *, sources: Mapping[str, PictureSource], rng: np.random.Generator
    ) -> None:
        self._config = config
        names = itertools.takewhile(lambda name: name != PROCEDURAL, (config.source, *config.fallback))
        self._watches = {name: Watch(sources[name], config.stale_after_s) for name in names}
        self._flow = Flow(Aurora(), rng)
        self._picture: Canvas | None = None
        """The last whole picture at the size of the box: a copy of it is three times cheaper than a scaling."""
        self._name = ""
        self._drawn: tuple[object, ...] = ()
        """What `_picture` holds: source, frame and look."""
        self._shown: tuple[str, SlotFrame] | None = None
        self._before: Canvas | None = None
        """What was on the glass when the source changed; kept while fading only."""
        self._faded_s = 0.0
        self._spare: Canvas | None = None

    @property
    def shown(self) -> tuple[str, SlotFrame] | None:
        """Name and frame of the source drawn last; None when that was procedural or nothing was drawn."""
        return self._shown

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        opacity = float(values["opacity"])
        self._faded_s += timeline.step_s
        if opacity <= 0.0:
            self._shown = None
            return
        view = region(canvas, self._config.box)
        if self._picture is None or self._picture.shape != view.shape:
            self._picture, self._before, self._name, self._drawn = np.empty(view.shape, np.uint8), None, "", ()
        name, frame = self._choose(timeline.now_s)
        if name != self._name:
            self._begin_fade()
            self._name, self._drawn = name, ()
            self._faded_s = timeline.step_s  # the first frame of a fade already moves
        self._refresh(self._picture, frame, timeline, values)
        self._lay(view, opacity)

    def _choose(self, now_s: float) -> tuple[str, SlotFrame | None]:
        for name, watch in self._watches.items():
            if frame := watch.fresh(now_s):
                return name, frame
        return PROCEDURAL, None

    def _begin_fade(self) -> None:
        """Keep what is on the glass, be it in the middle of a fade, as that from which the next one starts."""
        if not self._name or self._config.fade_s <= 0.0 or self._picture is None:
            return
        if self._before is not None:
            share = self._share()
            cv2.addWeighted(self._picture, share, self._before, 1.0 - share, 0.0, dst=self._before)
        else:
            self._before, self._picture = self._picture, np.empty_like(self._picture)

    def _refresh(self, picture: Canvas, frame: SlotFrame | None, timeline: Timeline, values: Values) -> None:
        """Bring `picture` up to date; it stays as it is when the frame is the one it holds already."""
        if frame is None:
            self._shown = None
            self._flow.advance(timeline.step_s)
            self._flow.draw(picture, energy=0.5, warmth=0.35)
            return
        look = Look(float(values["zoom"]), float(values["saturation"]), float(values["gain"]))
        wanted = (self._name, frame.ring, frame.sequence, look)
        if wanted == self._drawn:
            return
        reader = self._watches[self._name].reader
        for _ in range(_TRIES):
            small = look.develop(frame.array, mirror=self._config.mirror)
            if reader.intact(frame):
                break
            frame = reader.latest() or frame
        self._spare = _frame(picture, small, fit=self._config.fit, zoom=look.zoom, spare=self._spare)
        self._drawn = (self._name, frame.ring, frame.sequence, look)
        self._shown = (self._name, frame)

    def _share(self) -> float:
        """How far the fade has come, 0-1."""
        return smooth(self._faded_s / self._config.fade_s)

    def _lay(self, view: Canvas, opacity: float) -> None:
        """Put the picture, or the mixture of a fade, onto the canvas."""
        if self._picture is None:
            return
        if self._before is None or (share := self._share()) >= 1.0:
            self._before = None
            blend(view, self._picture, opacity)
        elif opacity >= 1.0:
            cv2.addWeighted(self._picture, share, self._before, 1.0 - share, 0.0, dst=view)
        else:
            self._spare = scratch(self._spare, view)
            cv2.addWeighted(self._picture, share, self._before, 1.0 - share, 0.0, dst=self._spare)
            blend(view, self._spare, opacity)


@dataclass(frozen=True, slots=True)
class Look:
    """The parameters that change what one frame looks like."""

    zoom: float
    saturation: float
    gain: float

    def develop(self, array: Array, *, mirror: bool) -> Canvas:
        """A copy of a slot's picture, (h, w, 3 or 4) BGR or (h, w) grey, as (h, w, 4) with the colours wanted."""
        if array.ndim == 3 and array.shape[2] == 4:
            small = array.copy()
        else:
            small = cv2.cvtColor(array, cv2.COLOR_GRAY2BGRA if array.ndim == 2 else cv2.COLOR_BGR2BGRA)
        if (self.saturation, self.gain) != (1.0, 1.0):
            matrix = np.zeros((4, 4), np.float32)
            matrix[:3, :3] = (1.0 - self.saturation) * _LUMA + self.saturation * np.eye(3)
            small = cv2.transform(small, matrix * self.gain)
        return cv2.flip(small, 1) if mirror else small  # type: ignore[return-value]


def scale_to_cover(picture: Canvas, small: Canvas) -> None:
    """Fill `picture` with the middle of `small`."""
    _frame(picture, small, fit="cover", zoom=1.0, spare=None)


def _frame(picture: Canvas, small: Canvas, *, fit: str, zoom: float, spare: Canvas | None) -> Canvas | None:
    """Scale `small` into `picture`. Returns the buffer it used on the way, for the next call."""
    height_px, width_px = picture.shape[:2]
    aspect = small.shape[1] / small.shape[0]
    if fit == "stretch":
        return _scale(picture, small, small.shape[1] / zoom, small.shape[0] / zoom, spare)
    if fit == "cover":
        crop_w = min(small.shape[1], small.shape[0] * width_px / height_px)
        crop_h = min(small.shape[0], small.shape[1] * height_px / width_px)
        return _scale(picture, small, crop_w / zoom, crop_h / zoom, spare)
    _backdrop(picture, small)
    inner_w, inner_h = min(width_px, round(height_px * aspect)), min(height_px, round(width_px / aspect))
    left, top = (width_px - inner_w) // 2, (height_px - inner_h) // 2
    inner = picture[top : top + max(1, inner_h), left : left + max(1, inner_w)]
    return _scale(inner, small, small.shape[1] / zoom, small.shape[0] / zoom, spare)


def _backdrop(picture: Canvas, small: Canvas) -> None:
    """What lies beside a picture that does not fill its box: itself, blurred and dimmed."""
    tiny = cv2.GaussianBlur(cv2.resize(small, (32, 18), interpolation=cv2.INTER_AREA), (9, 9), 0.0)
    cv2.resize(cv2.convertScaleAbs(tiny, alpha=0.35), (picture.shape[1], picture.shape[0]), dst=picture)


def _scale(target: Canvas, small: Canvas, crop_w: float, crop_h: float, spare: Canvas | None) -> Canvas | None:
    """Scale the centre of `small`, `crop_w` by `crop_h` of its pixels, to all of `target`.

    A crop that falls between pixels is scaled whole and cut afterwards, so that a slow zoom does not tremble.
    """
    left, top = (small.shape[1] - crop_w) / 2.0, (small.shape[0] - crop_h) / 2.0
    first_x, first_y = math.floor(left), math.floor(top)
    crop = small[first_y : math.ceil(top + crop_h), first_x : math.ceil(left + crop_w)]
    scale_x, scale_y = target.shape[1] / crop_w, target.shape[0] / crop_h
    size = (round(crop.shape[1] * scale_x), round(crop.shape[0] * scale_y))
    # Source: 480x272 to 1280x720 costs 0.81 ms cubic, 0.78 ms linear (2-core x86, 2026-11): sharpness is nearly free
    way = cv2.INTER_CUBIC if scale_x >= 1.0 else cv2.INTER_LINEAR if scale_x > 0.6 else cv2.INTER_AREA
    if size == (target.shape[1], target.shape[0]):
        cv2.resize(crop, size, dst=target, interpolation=way)
        return spare
    if spare is None or spare.shape[:2] != size[::-1]:
        spare = np.empty((size[1], size[0], 4), np.uint8)
    cv2.resize(crop, size, dst=spare, interpolation=way)
    x, y = round((left - first_x) * scale_x), round((top - first_y) * scale_y)
    np.copyto(target, spare[y : y + target.shape[0], x : x + target.shape[1]])
    return spare
