"""Brush: a small soft picture as a large painting of strokes that stand still while colours flow through them.

Where every stroke lies is decided once; a frame only looks up which colour it has. So it is crisp at any size, costs
a few look-ups a pixel, and cannot flicker: no pixel of the painting changes faster than the picture does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from edge_runtime.inference.tasks import FrameBgr
from edge_runtime.slots import Array


class _Size(NamedTuple):
    """Strokes of one size, laid over the larger ones."""

    length: float
    """Of the painting's height, as is the width."""
    width: float
    cover: float
    """Times that they would cover the painting."""
    blend: float
    """How much of the picture's own shading stays within a stroke."""


_SIZES = (_Size(0.19, 0.046, 2.4, 0.25), _Size(0.11, 0.025, 2.0, 0.35), _Size(0.055, 0.012, 1.6, 0.5))
_BEND, _WOBBLE_RAD = 0.55, 0.22
_RELIEF_SHARE = 0.035
_LAID_OUT_PX = 720
"""Height that strokes are laid out at, at most: a second on one core. Larger paintings have the same ones, enlarged."""
_UNLIT = 200.0
"""The relief's value for paint as it is; 255 is the brightest it can get."""


@dataclass(slots=True)
class _Canvas:
    """What is known of every pixel of the painting while it is laid out."""

    top: Array
    """(h, w, 2): where the stroke on top takes its colour from, and `under` the one below it."""
    under: Array
    share: Array
    """Of the stroke on top: less than 1 at its edges."""
    relief: Array
    """How bristles and edges catch the light, around 0."""


class Brush:
    """Paints at one size. Used from one thread; keeps three scratch pictures of that size."""

    def __init__(self, size_px: tuple[int, int], *, seed: int = 1) -> None:
        """Lay out the strokes: up to a second."""
        height = min(size_px[1], _LAID_OUT_PX)
        laid_px = (max(1, round(size_px[0] * height / size_px[1])), height)
        self._canvas = _lay_out(laid_px, np.random.default_rng(seed))
        self.fit(size_px)

    def fit(self, size_px: tuple[int, int]) -> None:
        """Paint at another size from now on, with the same strokes. Takes milliseconds."""
        self.size_px, canvas = size_px, self._canvas
        width, height = size_px
        self._maps = [_look_up(where, size_px) for where in (canvas.top, canvas.under)]
        share, relief = (
            cv2.resize(of, size_px, interpolation=cv2.INTER_LINEAR) for of in (canvas.share, canvas.relief)
        )
        self._shares = share, 1 - share
        lit = (_UNLIT * (1 + _RELIEF_SHARE * relief)).clip(0, 255).round().astype(np.uint8)
        self._relief = cv2.merge([lit, lit, lit, lit])
        self._large, self._top, self._under = (np.empty((height, width, 4), np.uint8) for _ in range(3))

    def paint(self, picture: FrameBgr, out: FrameBgr) -> None:
        """Paint a picture of any size.

        Args:
            picture: (h, w, 3) uint8.
            out: (H, W, 3) uint8 of `size_px`, to fill.
        """
        bgrx = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)  # `remap` moves four channels faster than three
        cv2.resize(bgrx, self.size_px, dst=self._large, interpolation=cv2.INTER_CUBIC)
        for maps, layer in zip(self._maps, (self._top, self._under), strict=True):
            cv2.remap(self._large, *maps, cv2.INTER_LINEAR, dst=layer, borderMode=cv2.BORDER_REPLICATE)
        cv2.blendLinear(self._top, self._under, *self._shares, dst=self._large)
        cv2.multiply(self._large, self._relief, dst=self._top, scale=1 / _UNLIT)
        cv2.cvtColor(self._top, cv2.COLOR_BGRA2BGR, dst=out)


def _look_up(where: Array, size_px: tuple[int, int]) -> tuple[Array, Array]:
    """Where every pixel of a painting of that size takes its colour from, the way `remap` reads it fastest."""
    height, width = where.shape[:2]
    there = cv2.resize(where, size_px, interpolation=cv2.INTER_NEAREST)  # between two strokes lies no third one
    return there[..., 0] * np.float32(size_px[0] / width), there[..., 1] * np.float32(size_px[1] / height)


def _lay_out(size_px: tuple[int, int], rng: np.random.Generator) -> _Canvas:
    """Strokes one over the other, the largest first, along a field that bends gently."""
    width, height = size_px
    bends = rng.standard_normal((5, 8)).astype(np.float32)
    angles = _BEND * cv2.resize(bends, size_px, interpolation=cv2.INTER_CUBIC)
    places = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    flat = np.zeros((height, width), np.float32)
    canvas = _Canvas(places.copy(), places.copy(), flat + 1, flat)
    for size in _SIZES:
        count = round(size.cover * width / (height * size.length * size.width))
        for x, y in rng.random((count, 2)) * (width, height):
            angle = float(angles[int(y), int(x)] + rng.normal(0, _WOBBLE_RAD))
            _stroke(canvas, size, (float(x), float(y)), angle, rng)
    return canvas


def _stroke(canvas: _Canvas, size: _Size, at: tuple[float, float], angle: float, rng: np.random.Generator) -> None:
    (height, width), (x, y) = canvas.share.shape, at
    long = max(2.0, size.length * height * rng.uniform(0.3, 0.62))
    wide = max(0.8, size.width * height * rng.uniform(0.3, 0.6))
    cosine, sine = np.cos(angle), np.sin(angle)
    reach_x, reach_y = abs(cosine) * long + wide + 3, abs(sine) * long + wide + 3
    box = (
        slice(max(0, int(y - reach_y)), min(height, int(y + reach_y) + 1)),
        slice(max(0, int(x - reach_x)), min(width, int(x + reach_x) + 1)),
    )
    right = np.arange(box[1].start, box[1].stop, dtype=np.float32) - np.float32(x)
    down = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] - np.float32(y)
    along, across = (right * cosine + down * sine) / long, (down * cosine - right * sine) / wide
    across = across + 0.25 * rng.normal() * along * along  # a hand's curve
    inside = ((1 - np.maximum(np.abs(across), np.abs(along) ** 3)) * (wide / 1.2) + 0.5).clip(0, 1)
    painted = inside > 0
    canvas.under[box][painted] = canvas.top[box][painted]
    colour = np.empty((*painted.shape, 2), np.float32)
    colour[..., 0], colour[..., 1] = x + size.blend * right, y + size.blend * down
    canvas.top[box][painted] = colour[painted]
    canvas.share[box][painted] = inside[painted]
    bristles = 0.5 * np.sin(across * 5.5 + rng.uniform(0, 6)) + rng.normal(0, 0.6)
    ridge = 1.4 * (np.abs(across) - 0.55).clip(0, 1) * -np.sign(across)  # lit from above
    canvas.relief[box] += inside * (bristles + ridge - canvas.relief[box])
