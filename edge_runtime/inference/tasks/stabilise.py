"""Keeps a network's picture still where the camera's picture is still.

A style network turns sensor noise of 2 levels into strokes that jump by 10 or 20. Two filters along one optical
flow hold it: the input is denoised before the network sees it, the output is blended with its own past. Both
believe the past only where the moved past looks like the present, so nothing trails behind a person who walks.

What is kept is (H, W, 4) float32: blue, green, red 0-1 and a channel that nobody looks at, since `remap` moves four in
less than half the time of three. Work goes band by band, so that the next step finds in the cache what the last one
left: at 1280x720 it is memory that costs, not arithmetic.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from edge_runtime.inference.tasks import FrameBgr, check_finite
from edge_runtime.inference.tasks.shrink import halvings, shrunk
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
_FLOW_HALVINGS = 3
"""Flow is found on an eighth of the picture at the finest, whatever it is given."""
_BAND_ROWS = 32
"""0.6 MB of 1280 pixels. A multiple of what any picture is divided by."""


class _Past:
    """What one stream of pictures has settled to, whole (H, W, 4) and small (h, w, 4)."""

    def __init__(self, size: tuple[int, int], scratch: Array) -> None:
        """Nothing yet. `scratch`: (H, W, 4), finite; streams that take turns may share it."""
        self.small: Array | None = None
        """None: there is no past."""
        self._whole, self._moved = np.zeros((*size, 4), np.float32), scratch

    def move(self, maps: tuple[Array, Array], times: int) -> Array:
        """Lay it under the present picture, for `blend`; returns what that looks like, small."""
        (right, down), small = maps, []
        for rows in _bands(len(right)):
            moved, where = self._moved[rows], (right[rows], down[rows])
            cv2.remap(self._whole, *where, cv2.INTER_LINEAR, dst=moved, borderMode=cv2.BORDER_REPLICATE)
            small.append(shrunk(moved, times))
        return np.concatenate(small)

    def blend(self, present: Callable[[slice], Array], share: Array) -> Iterator[tuple[slice, Array]]:
        """Take the present picture in, with a share (h, w) of the moved past; yields every band as it settles."""
        height, width = self._whole.shape[:2]
        large = cv2.resize(share, (width, height))
        for rows in _bands(height):
            settled = self._whole[rows]
            cv2.blendLinear(self._moved[rows], present(rows), large[rows], 1.0 - large[rows], dst=settled)
            yield rows, settled


class Stabiliser:
    """The past of one picture stream. When the size changes the past is forgotten. Used from one thread."""

    def __init__(self, strength: float) -> None:
        """`strength` scales the share of the past, 0 (every frame on its own) to 1."""
        self._strength = strength
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._begin((0, 0))

    def reset(self) -> None:
        """Forget the past."""
        self._begin(self._size)

    def _begin(self, size: tuple[int, int]) -> None:
        self._size, self._halvings = size, halvings(size)
        self._flow.setFinestScale(max(0, _FLOW_HALVINGS - self._halvings))
        scratch = np.zeros((*size, 4), np.float32)
        self._input, self._output = (_Past(size, scratch) for _ in range(2))
        self._maps: tuple[Array, Array] = scratch[..., 0], scratch[..., 1]
        self._share: Array = np.zeros([side >> self._halvings for side in size], np.float32)

    def settle_input(self, frame: Array, planes: Array) -> None:
        """Denoise a frame along the motion since the one before.

        Args:
            frame: (H, W, 3) uint8.
            planes: (3, H, W) float32 to fill: red, green, blue, 0-1.
        """
        if frame.shape[:2] != self._size:
            self._begin((frame.shape[0], frame.shape[1]))
        small = _floats(shrunk(frame, self._halvings))
        past, moved = self._input.small, small
        if past is not None and self._strength > 0:
            rest = self._find_motion(small, past)
            moved = self._input.move(self._maps, self._halvings)
            match = _ramp(_difference(small, moved), MATCH_LEVELS)
            most = PAST_MOVING + (PAST_STILL - PAST_MOVING) * rest
            self._share = match * most * np.float32(self._strength)
        for rows, settled in self._input.blend(lambda rows: _floats(frame[rows]), self._share):
            cv2.mixChannels([settled], [plane[rows] for plane in planes], [2, 0, 1, 1, 0, 2])
        self._input.small = cv2.blendLinear(moved, small, self._share, 1.0 - self._share)

    def _find_motion(self, small: Array, past: Array) -> Array:
        """Where everything was in the past, for `_maps`; returns (h, w) where it rests, 0-1."""
        height, width = self._size
        gray, gray_past = _gray(small), _gray(past)
        rest = _ramp(cv2.blur(cv2.absdiff(gray, gray_past), (5, 5)), REST_LEVELS)
        # Flow found in mere noise would make a still picture swim: what rests does not move.
        moving = (1.0 - rest) * np.float32(1 << self._halvings)
        flow = self._flow.calc(gray, gray_past, np.empty(0)) * moving[:, :, None]
        right, down = (cv2.resize(part, (width, height)) for part in cv2.split(flow))
        np.add(right, np.arange(width, dtype=np.float32), out=right)
        np.add(down, np.arange(height, dtype=np.float32)[:, None], out=down)
        self._maps = right, down
        return rest

    def settle_output(self, planes: Array, out: FrameBgr, *, fresh: float = 0.0) -> None:
        """Blend the network's picture of the last frame given to `settle_input` with its past.

        Args:
            planes: (3, H, W) float32: red, green, blue, 0-1.
            out: (H, W, 3) to fill.
            fresh: how much the wanted look changed since the last run, 0 to 1: as much of the past is dropped.

        Raises:
            SessionError: the picture is not finite.
        """
        small = cv2.merge([shrunk(plane, self._halvings) for plane in _bgrx(planes)])
        check_finite("stylize", small)
        share = np.zeros_like(self._share)
        if self._output.small is not None and self._strength > 0:
            kept = _ramp(_difference(small, self._output.move(self._maps, self._halvings)), REDRAWN_LEVELS)
            most = PAST_REDRAWN + (1.0 - PAST_REDRAWN) * kept
            share = np.minimum(self._share, most) * np.float32(1.0 - fresh)
        for rows, settled in self._output.blend(lambda rows: cv2.merge(_bgrx(planes[:, rows])), share):
            cv2.cvtColor(cv2.convertScaleAbs(settled, alpha=255), cv2.COLOR_BGRA2BGR, dst=out[rows])
        self._output.small = small


_LEVELS = np.array([[255 / 3, 255 / 3, 255 / 3, 0]], np.float32)
"""The mean of blue, green and red, in 8-bit levels."""


def _bands(height: int) -> list[slice]:
    """Rows that are worked on in one go; the last band takes what is left over."""
    starts = range(0, max(_BAND_ROWS, height - _BAND_ROWS + 1), _BAND_ROWS)
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], height], strict=True)]


def _bgrx(planes: Array) -> list[Array]:
    """Red, green and blue in the order of what is kept."""
    return [planes[2], planes[1], planes[0], planes[0]]


def _floats(frame: Array) -> Array:
    """(H, W, 3) uint8 as (H, W, 4) float32, 0-1."""
    bgrx = cv2.cvtColor(frame, cv2.COLOR_BGR2BGRA)
    return cv2.addWeighted(bgrx, 1 / 255, bgrx, 0, 0, dtype=cv2.CV_32F)


def _difference(present: Array, past: Array) -> Array:
    """How far two small pictures are apart, in levels.

    Signed until after they were shrunk: noise and the softness of a resampled past cancel, a shape that came or went
    does not.
    """
    return cv2.blur(cv2.transform(cv2.absdiff(present, past), _LEVELS), (3, 3))


def _gray(picture: Array) -> Array:
    return cv2.convertScaleAbs(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), alpha=255)


def _ramp(difference: Array, levels: tuple[float, float]) -> Array:
    """1 below the first level, 0 above the second, straight between."""
    low, high = levels
    ramp: Array = np.clip((high - difference) * np.float32(1 / (high - low)), 0.0, 1.0, dtype=np.float32)
    return ramp
