"""Splats: thousands of soft points drawn at once, in levels of half the size each.

A point is spread over four pixels, so that it glides instead of hopping; one at level 2 is four pixels large because
its level is scaled up by four. All levels end in one picture of light, (H, W) uint8: how much of each pixel is covered.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Light = npt.NDArray[np.uint8]

MARGIN_PX = 8
"""Room around every level, so that a point may lie a little outside without being tested for it."""


class Splats:
    """The levels of one canvas size. Level 0 has the pixels of the canvas."""

    def __init__(self, width_px: int, height_px: int, levels: int) -> None:
        self.size_px = (width_px, height_px)
        shapes = [(-(-height_px // 2**n) + 2 * MARGIN_PX, -(-width_px // 2**n) + 2 * MARGIN_PX) for n in range(levels)]
        self.levels: list[Light] = [np.zeros(shape, np.uint8) for shape in shapes]
        self._soft: list[Light] = [np.zeros(shape, np.uint8) for shape in shapes]
        inner = [(-(-height_px // 2**n), -(-width_px // 2**n)) for n in range(levels)]
        self._total: list[Light] = [np.zeros(shape, np.uint8) for shape in inner]

    def clear(self) -> None:
        """Begin a frame."""
        for level in self.levels:
            level.fill(0)

    def stamp(self, number: int, x_px: Floats, y_px: Floats, light: Floats) -> None:
        """Put points on level `number`. Places in canvas pixels, `light` 0-255; where two meet the brighter wins.

        Never more than 255: `np.maximum.at` on bytes is what makes this fast.
        """
        level = self.levels[number]
        rows, columns = level.shape
        x = np.clip(x_px * (0.5**number) + (MARGIN_PX - 0.5), 0, columns - 2)
        y = np.clip(y_px * (0.5**number) + (MARGIN_PX - 0.5), 0, rows - 2)
        column, row = x.astype(np.intp), y.astype(np.intp)
        right, down = x - column, y - row
        at, flat = row * columns + column, level.reshape(-1)
        lower, upper = light * down, light * (1.0 - down)
        np.maximum.at(flat, at, (upper * (1.0 - right)).astype(np.uint8))
        np.maximum.at(flat, at + 1, (upper * right).astype(np.uint8))
        np.maximum.at(flat, at + columns, (lower * (1.0 - right)).astype(np.uint8))
        np.maximum.at(flat, at + columns + 1, (lower * right).astype(np.uint8))

    def smear(self, number: int, dx_px: float, dy_px: float) -> None:
        """Draw every point of a level out into a line that ends in it and began (dx, dy) canvas pixels before.

        Doubles the line until it is long enough: 6 steps for 50 pixels, whatever the number of points.
        """
        level = self.levels[number]
        dx, dy = dx_px * 0.5**number, dy_px * 0.5**number
        length = max(1, round(max(abs(dx), abs(dy))))
        done = 1
        while done < length:
            step = min(done, length - done)
            _lighten(level, round(dx / length * step), round(dy / length * step))
            done += step

    def soften(self, number: int, gain: float, size_px: int = 3) -> None:
        """Round the points of a level and multiply its light, which the spreading took from them, by `gain`."""
        kernel = cv2.getGaussianKernel(size_px, 0.0) * math.sqrt(gain)
        cv2.sepFilter2D(self.levels[number], -1, kernel, kernel, dst=self._soft[number])
        self.levels[number], self._soft[number] = self._soft[number], self.levels[number]

    def collect(self, *, last: int = 0) -> Light:
        """All levels down to number `last` in one picture of that level's size. Valid until the next call."""
        total = self._inner(len(self.levels) - 1)
        for number in reversed(range(last, len(self.levels) - 1)):
            larger = self._total[number]
            cv2.resize(total, (larger.shape[1], larger.shape[0]), dst=larger, interpolation=cv2.INTER_LINEAR)
            cv2.max(larger, self._inner(number), dst=larger)
            total = larger
        return total

    def _inner(self, number: int) -> Light:
        return self.levels[number][MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def _lighten(level: Light, dx: int, dy: int) -> None:
    """Make each pixel at least as bright as the one (dx, dy) further on."""
    rows, columns = level.shape
    if abs(dx) >= columns or abs(dy) >= rows:
        return
    to = level[max(0, -dy) : rows - max(0, dy), max(0, -dx) : columns - max(0, dx)]
    from_ = level[max(0, dy) : rows + min(0, dy), max(0, dx) : columns + min(0, dx)]
    cv2.max(to, from_ if dy > 0 else from_.copy(), dst=to)  # in place is safe only where it reads rows further down
