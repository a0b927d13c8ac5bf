"""The ledger: what the show saw itself do. Statistics, the trace, the kernel's own count, the report.

Kept up to date in constant time; nothing here waits, and nothing is decided here.
"""

import math
from collections.abc import Iterable
from typing import Any

from edge_runtime import logs
from edge_runtime.clock import now_s
from edge_runtime.director import Director
from edge_runtime.display.display import Display
from edge_runtime.display.statistics import FrameStatistics, PresentedFrame
from edge_runtime.display.trace import TraceRing
from edge_runtime.display.vblank import VblankCounter, compare, open_vblank_counter
from edge_runtime.layers import CutoutLayer, PictureLayer
from edge_runtime.part import Part

WARM_UP_S = 2.0
"""Frames of the first seconds are not counted: imports of other parts and first touches of memory disturb them."""


class Ledger:
    """Figures of the running show. Used from its one thread."""

    def __init__(self, part: Part, display: Display, *, period_s: float, realtime: bool) -> None:
        self._part, self._display, self._realtime = part, display, realtime
        self._statistics = FrameStatistics(period_s=period_s, warm_up_s=WARM_UP_S)
        self._trace = TraceRing(part.region("trace"))
        self._newest_s: dict[str, float] = {}
        self._vblanks: VblankCounter | None = None
        self._counting_vblanks = False
        self._first_model_frame_s: float | None = None
        self._begun_s = now_s()

    @property
    def warm(self) -> bool:
        """True when frames count: what came before says nothing of this machine."""
        return self._statistics.presented > 0

    def newly_shown(self, layers: Iterable[PictureLayer | CutoutLayer]) -> list[float]:
        """Capture times of the model results that the frame just presented was the first to show."""
        captured_s = []
        for layer in layers:
            if layer.shown is None or not layer.shown[0].startswith("picture."):
                continue
            source, frame = layer.shown
            if frame.captured_s > self._newest_s.get(source, -math.inf):  # a layer that is not drawn keeps an old one
                self._newest_s[source] = frame.captured_s
                captured_s.append(frame.captured_s)
        if captured_s and self._first_model_frame_s is None:
            self._first_model_frame_s = round(now_s() - self._part.started_s, 3)
            logs.event("first_model_frame", after_s=self._first_model_frame_s)
        return captured_s

    def enter(self, frame: PresentedFrame, *, rung: int, scene: int) -> None:
        """Count one frame and write its row of the trace."""
        self._trace.write(self._statistics.observe(frame, rung=rung, scene=scene))

    def report(self, director: Director, *, rung: int, changes: int) -> None:
        """Send the show's share of the statistics to the supervisor."""
        if self.warm and not self._counting_vblanks:
            self._vblanks, self._counting_vblanks = open_vblank_counter(), True
        governor = {"rung": self._part.config.rungs[rung].name, "changes": changes}
        self._part.report(
            {
                "display": self._display_as_json(),
                "scene": director.as_json(),
                "governor": governor,
                "seconds": round(now_s() - self._begun_s, 1),
                "first_model_frame_s": self._first_model_frame_s,
                **self._statistics.as_json(),
            }
        )

    def _display_as_json(self) -> dict[str, Any]:
        display, statistics = self._display, self._statistics
        vblanks = self._vblanks.vblanks() if self._vblanks else None
        return {
            "kind": display.kind,
            "driver": display.driver,
            "canvas_px": [display.canvas.shape[1], display.canvas.shape[0]],
            "screen_px": list(display.screen_px),
            "refresh_hz": display.refresh_hz,
            "pacer": display.pacer,
            "realtime": self._realtime,
            "vblank": compare(vblanks, presented=statistics.presented, missed=statistics.missed),
        }
