"""Figures of the show's frames, kept up to date in constant time and memory.

A missed deadline is blamed as mpv does: on us when our own drawing took more CPU time than a period has, on the world
when we were not running or the screen kept us waiting.
"""

import array
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.clock import Tick

BIN_MS = 0.01
LATENCY_BIN_MS = 0.1
"""A model on a slow CPU takes longer than `BINS` of the finer ones."""
BINS = 25_000


class Histogram:
    """Durations in bins of 0.01 ms up to 250 ms, or ten times that; beyond it only the longest is known."""

    def __init__(self, *, bin_ms: float = BIN_MS) -> None:
        self._bin_ms = bin_ms
        self._bins = array.array("Q", bytes(8 * (BINS + 1)))  # the last one holds all that is longer
        self.count = 0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one duration; negative ones count as 0."""
        ms = max(0.0, ms)
        self._bins[min(round(ms / self._bin_ms), BINS)] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, ms)

    def percentile(self, percent: float) -> float | None:
        """The smallest duration that `percent` of all do not exceed, to half a bin; None where there is none."""
        if not self.count:
            return None
        rank = max(1, math.ceil(self.count * percent / 100.0 - 1e-9))
        bin_ = int(np.searchsorted(np.cumsum(np.frombuffer(self._bins, np.uint64)), rank))
        return self.max_ms if bin_ == BINS else min(round(bin_ * self._bin_ms, 2), self.max_ms)

    def as_json(self, *percents: float) -> dict[str, float | None]:
        """Percentiles by name: 99.9 is "p999"."""
        return {f"p{percent:g}".replace(".", ""): _rounded(self.percentile(percent)) for percent in percents}


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 3)


@dataclass(frozen=True, slots=True)
class PresentedFrame:
    """One frame as the loop lived it. All times monotonic seconds."""

    tick: Tick
    woken_s: float
    """When its work began."""
    rendered_s: float
    """When drawing was done."""
    begun_s: float
    """When `present` was called: after the wait that keeps intervals even."""
    presented_s: float
    """When `present` returned."""
    cpu_s: float
    """CPU time of its drawing and presenting."""
    captured_s: Sequence[float] = ()
    """Capture times of the pictures that this frame was the first to show."""
    commanded_s: Sequence[float] = ()
    """Arrival times of the commands that this frame was the first to obey."""


class FrameStatistics:
    """Counts, intervals and latencies of the frames after a warm-up."""

    def __init__(self, *, period_s: float, warm_up_s: float = 0.0) -> None:
        self._period_s = period_s
        self._warm_up_s = warm_up_s
        self._first_s: float | None = None
        self._last: PresentedFrame | None = None
        self.presented = self.late_by_us = self.late_by_world = 0
        self.interval, self.deviation = Histogram(), Histogram()
        self.camera_to_present, self.command_to_present = (Histogram(bin_ms=LATENCY_BIN_MS) for _ in range(2))

    @property
    def missed(self) -> int:
        """Deadlines that went by without a frame."""
        return self.late_by_us + self.late_by_world

    def observe(self, frame: PresentedFrame, *, rung: int = 0, scene: int = 0) -> tuple[float, ...]:
        """Count one frame; returns its row of the trace, in the order of `trace.TRACE_COLUMNS`."""
        last, self._last = self._last, frame
        if self._first_s is None:
            self._first_s = frame.presented_s
        interval_ms = math.nan if last is None else (frame.presented_s - last.presented_s) * 1e3
        if frame.presented_s - self._first_s >= self._warm_up_s:
            self._count(frame, last, interval_ms)
        step_ms = math.nan if last is None else (frame.tick.now_s - last.tick.now_s) * 1e3
        return (
            frame.tick.index,
            frame.presented_s,
            frame.tick.now_s,
            interval_ms,
            (frame.rendered_s - frame.woken_s) * 1e3,
            frame.cpu_s * 1e3,
            (frame.presented_s - frame.begun_s) * 1e3,
            (frame.woken_s - frame.tick.now_s) * 1e3,
            frame.tick.missed,
            interval_ms - step_ms,
            max((frame.presented_s - at_s for at_s in frame.captured_s), default=math.nan) * 1e3,
            rung,
            scene,
        )

    def _count(self, frame: PresentedFrame, last: PresentedFrame | None, interval_ms: float) -> None:
        self.presented += 1
        for at_s in frame.captured_s:
            self.camera_to_present.add((frame.presented_s - at_s) * 1e3)
        for at_s in frame.commanded_s:
            self.command_to_present.add((frame.presented_s - at_s) * 1e3)
        if last is None or self.presented == 1:  # what went before is of the warm-up
            return
        self.interval.add(interval_ms)
        self.deviation.add(abs(interval_ms - self._period_s * 1e3))
        if last.cpu_s > self._period_s:
            self.late_by_us += frame.tick.missed
        else:
            self.late_by_world += frame.tick.missed

    def as_json(self) -> dict[str, Any]:
        """The sections "frames" and "latency_ms" of the statistics; null where nothing was measured."""
        return {
            "frames": {
                "due": self.presented + self.missed,
                "presented": self.presented,
                "missed": self.missed,
                "late_by_us": self.late_by_us,
                "late_by_world": self.late_by_world,
                "interval_ms": {
                    **self.interval.as_json(50, 95, 99, 99.9),
                    "max": _rounded(self.interval.max_ms) if self.interval.count else None,
                },
                "deviation_ms": self.deviation.as_json(99, 99.9),
            },
            "latency_ms": {
                "camera_to_present": self.camera_to_present.as_json(50, 95, 99),
                "command_to_present": self.command_to_present.as_json(50, 95, 99),
            },
        }
