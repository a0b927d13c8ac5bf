"""From canvas to screen pixels: fit, rotation, scaling and dimming. The one implementation for every software display.

Rotation is how far the picture is turned clockwise on its way to the screen's memory: 90 is right for a screen that
hangs with its right edge up.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import cv2
import numpy as np

from edge_runtime.config import DisplayConfig
from edge_runtime.scene import Canvas

Size = tuple[int, int]
Rotation = Literal[0, 90, 180, 270]
Fit = Literal["contain", "cover", "stretch"]
_Step = Callable[[Canvas, Canvas], object]

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_AREA_FROM = 2.0
"""Shrinking by this much or more averages pixels; below, two-tap filtering looks the same and costs a tenth."""


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size_px(self) -> Size:
        """Width and height."""
        return self.width, self.height

    def cut(self, pixels: Canvas) -> Canvas:
        """The rectangle of `pixels`, in place."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def turned(size_px: Size, rotation: Rotation) -> Size:
    """`size_px` after a rotation."""
    width, height = size_px
    return (height, width) if rotation in {90, 270} else (width, height)


def place(canvas_px: Size, screen_px: Size, rotation: Rotation, fit: Fit) -> tuple[Box, Box]:
    """Which part of the canvas is seen, and where on the screen it lands. Neither box is ever empty."""
    upright_px = turned(canvas_px, rotation)
    ratios = [screen / upright for screen, upright in zip(screen_px, upright_px, strict=True)]
    if fit == "contain":
        size = [max(1, round(side * min(ratios))) for side in upright_px]
        return _centred(canvas_px, canvas_px), _centred((size[0], size[1]), screen_px)
    if fit == "cover":
        size = [max(1, round(side / max(ratios))) for side in screen_px]
        return _centred(turned((size[0], size[1]), rotation), canvas_px), _centred(screen_px, screen_px)
    return _centred(canvas_px, canvas_px), _centred(screen_px, screen_px)


def _centred(size_px: Size, within_px: Size) -> Box:
    width, height = min(size_px[0], within_px[0]), min(size_px[1], within_px[1])
    return Box((within_px[0] - width) // 2, (within_px[1] - height) // 2, width, height)


class Projection:
    """Paints canvases of one size on screens of one size. Owns scratch arrays; used from one thread."""

    def __init__(self, canvas_px: Size, screen_px: Size, rotation: Rotation, fit: Fit) -> None:
        self.source, self.target = place(canvas_px, screen_px, rotation, fit)
        self._rotation = rotation
        self._gain = 1.0
        self._bars = self.target.size_px != screen_px
        self._plain, self._dimmed = self._plan(dim=False), self._plan(dim=True)
        self.is_identity = not self._plain and self.source.size_px == canvas_px and not self._bars

    def paint(self, canvas: Canvas, screen: Canvas, brightness: float) -> None:
        """Write all of `screen`; bars are cleared once, so give it the same memory until a new projection is made.

        Brightness is in percent of the encoded values: light falls with its power of 2.2, as steps that look even do.
        """
        if self._bars:
            screen[...] = 0
            self._bars = False
        self._gain = brightness / 100.0
        picture, target = self.source.cut(canvas), self.target.cut(screen)
        steps = self._plain if brightness >= 100.0 else self._dimmed
        if not steps:
            np.copyto(target, picture)
        for step, scratch in steps:
            into = target if scratch is None else scratch
            step(picture, into)
            picture = into

    def _plan(self, *, dim: bool) -> list[tuple[_Step, Canvas | None]]:
        """The steps and where each writes; None is the screen. What has fewer pixels is turned and dimmed."""
        source_px, target_px = self.source.size_px, self.target.size_px
        upright_px, flat_px = turned(source_px, self._rotation), turned(target_px, self._rotation)
        enlarges = source_px[0] * source_px[1] <= target_px[0] * target_px[1]
        steps: list[tuple[_Step, Size]] = []
        if self._rotation:
            steps.append((partial(_turn, code=_TURNS[self._rotation]), upright_px if enlarges else target_px))
        if dim:
            steps.append((self._dim, upright_px if enlarges else target_px))
        if upright_px != target_px:
            shrinks = min(upright_px[0] / target_px[0], upright_px[1] / target_px[1]) >= _AREA_FROM
            scale = partial(_scale, filter_=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
            steps.insert(len(steps) if enlarges else 0, (scale, target_px if enlarges else flat_px))
        plan: list[tuple[_Step, Canvas | None]] = [
            (step, np.empty((height, width, 4), np.uint8)) for step, (width, height) in steps[:-1]
        ]
        return [*plan, (steps[-1][0], None)] if steps else []

    def _dim(self, picture: Canvas, into: Canvas) -> None:
        cv2.convertScaleAbs(picture, dst=into, alpha=self._gain)


def _turn(picture: Canvas, into: Canvas, *, code: int) -> None:
    cv2.rotate(picture, code, dst=into)


def _scale(picture: Canvas, into: Canvas, *, filter_: int) -> None:
    cv2.resize(picture, (into.shape[1], into.shape[0]), dst=into, interpolation=filter_)


class Painter:
    """A display's canvas and how it becomes screen pixels. Changes of scale count from the next `canvas` on."""

    def __init__(self, config: DisplayConfig, screen_px: Size) -> None:
        self._config = config
        self._canvas_px = self._wanted_px = config.canvas_px
        self._canvas: Canvas | None = None
        self.brightness = config.brightness
        self.screen_px = screen_px
        self._projection = self._project()

    def _project(self) -> Projection:
        return Projection(self._canvas_px, self.screen_px, self._config.rotation, self._config.fit)

    @property
    def is_direct(self) -> bool:
        """True where the canvas may be the screen's own memory: nothing to scale, turn or dim."""
        unscaled = self._canvas_px == self._wanted_px
        return unscaled and self._projection.is_identity and self.brightness >= 100.0

    @property
    def canvas(self) -> Canvas:
        """An array of the wanted size; its contents are anything."""
        if self._canvas is None or self._canvas_px != self._wanted_px:
            self._canvas_px = self._wanted_px
            self._canvas = np.zeros((self._canvas_px[1], self._canvas_px[0], 4), np.uint8)
            self._projection = self._project()
        return self._canvas

    def scale(self, factor: float) -> None:
        """Draw on a canvas `factor` times the configured size."""
        width, height = self._config.canvas_px
        self._wanted_px = max(1, round(width * factor)), max(1, round(height * factor))

    def resize(self, screen_px: Size) -> None:
        """The screen has a new size, or new memory."""
        self.screen_px = screen_px
        self._projection = self._project()

    def paint(self, screen: Canvas) -> None:
        """Turn the canvas into screen pixels."""
        if self._canvas is not None:
            self._projection.paint(self._canvas, screen, self.brightness)


def copy_scaled(pixels: Canvas, out: Canvas) -> None:
    """Copy `pixels` into `out`, scaled where their sizes differ."""
    if pixels.shape == out.shape:
        np.copyto(out, pixels)
    else:
        cv2.resize(pixels, (out.shape[1], out.shape[0]), dst=out, interpolation=cv2.INTER_LINEAR)
