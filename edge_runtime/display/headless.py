"""A display without a screen: for boxes that have none, for tests, and for drawing faster than life."""

import math
from types import TracebackType
from typing import Literal, Self

import numpy as np

from edge_runtime.clock import Clock
from edge_runtime.config import DisplayConfig
from edge_runtime.display.geometry import Painter, Size, copy_scaled, turned
from edge_runtime.scene import Canvas


class HeadlessDisplay:
    """Keeps the screen's pixels in memory. `simulated_hz` makes `present` block like a screen of that rate."""

    kind: Literal["headless"] = "headless"
    driver = "none"

    def __init__(self, config: DisplayConfig, clock: Clock, *, simulated_hz: float | None = None) -> None:
        window_px = config.window_px if config.windowed else None
        self._painter = Painter(config, window_px or turned(config.canvas_px, config.rotation))
        self._pixels = np.zeros((self.screen_px[1], self.screen_px[0], 4), np.uint8)
        self._clock = clock
        self._start_s = clock.now_s()
        self.refresh_hz = simulated_hz
        self.pacer: Literal["vsync", "timer"] = "vsync" if simulated_hz else "timer"

    @property
    def screen_px(self) -> Size:
        return self._painter.screen_px

    @property
    def canvas(self) -> Canvas:
        return self._painter.canvas

    def present(self) -> None:
        self._painter.paint(self._pixels)
        if self.refresh_hz:
            vblanks = math.floor((self._clock.now_s() - self._start_s) * self.refresh_hz + 1e-6)
            self._clock.sleep_until(self._start_s + (vblanks + 1) / self.refresh_hz)

    def set_brightness(self, percent: float) -> None:
        self._painter.brightness = percent

    def set_canvas_scale(self, factor: float) -> None:
        self._painter.scale(factor)

    def pump(self) -> list[Literal["quit"]]:
        return []

    def copy_presented(self, out: Canvas) -> None:
        copy_scaled(self._pixels, out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
