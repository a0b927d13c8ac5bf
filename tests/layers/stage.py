"""What the tests of layers share: a show without a screen, frame by frame at 60 Hz."""

from collections.abc import Mapping

import numpy as np

from edge_runtime.clock import FrameClock, ManualClock, Timekeeper, Timeline
from edge_runtime.config.scenes import AnyLayerConfig
from edge_runtime.layers import PictureSource, open_layer
from edge_runtime.layout import slot_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.scene import Canvas, Layer
from edge_runtime.slots import SlotReader, SlotWriter

RATE_HZ = 60.0


def blank(width_px: int, height_px: int, level: int = 0) -> Canvas:
    return np.full((height_px, width_px, 4), level, np.uint8)


class Show:
    """One layer on a canvas, and the clock that both live by."""

    def __init__(
        self, config: AnyLayerConfig, *, sources: Mapping[str, PictureSource] | None = None, seed: int = 7
    ) -> None:
        self.clock = ManualClock(1000.0)
        self._frames = FrameClock(self.clock, rate_hz=RATE_HZ)
        self._time = Timekeeper()
        self._config = config
        self.layer: Layer = open_layer(config, sources=sources or {}, rng=np.random.default_rng(seed))

    def draw(self, canvas: Canvas, **values: float | str) -> Timeline:
        """One frame, with the config's own values where none are given."""
        timeline = self._time.advance(self._frames.wait())
        defaults = {name: self._config.default(name) for name in self._config.PARAMETERS}
        self.layer.render(canvas, timeline, {**defaults, **values})
        return timeline

    def play(self, canvas: Canvas, frames: int, **values: float | str) -> None:
        for _ in range(frames):
            self.draw(canvas, **values)


class Slot:
    """A real slot in shared memory, and a hand that writes plain pictures into it."""

    def __init__(self, interval_s: float = 1.0 / 30.0) -> None:
        self._region = map_region(create_region("test", slot_bytes(64 * 36 * 3)))
        self.writer = SlotWriter(self._region, 0)
        self.source = PictureSource(SlotReader(self._region), interval_s)

    def write(self, level: int, now_s: float) -> int:
        return self.writer.write(np.full((36, 64, 3), level, np.uint8), now_s, now_s)
