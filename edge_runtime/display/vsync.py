"""Vsync cannot be asked for reliably, so it is measured; and a frame clock for the displays where it is real.

SDL says nothing about whether a flip truly waits for the screen, drivers ignore the wish silently, and SDL imitates
vsync with a millisecond sleep where GL has none (SDL_RenderSimulateVSync). Any doubt ends in the timer.
"""

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from edge_runtime.clock import Clock, Tick

FLIPS = 20
"""Flips to time: a third of a second at 60 Hz."""
_QUEUED_FLIPS = 5  # a swap chain takes the first few at once
_RATES_HZ = (24.0, 250.0)


def has_gpu() -> bool:
    """True where GL may run on hardware that this process can open; software GL would cost 3-13 ms a flip.

    Source: measured with llvmpipe on 2 virtual cores. A render node proves nothing about the X server in use, so
    this only decides whether the accelerated path is worth timing.
    """
    if os.environ.get("LIBGL_ALWAYS_SOFTWARE", "0") not in {"", "0", "false"}:
        return False
    nodes = [*Path("/dev/dri").glob("renderD*"), Path("/dev/nvidia0"), Path("/dev/nvhost-gpu")]
    return any(os.access(node, os.R_OK | os.W_OK) for node in nodes)


def judge_vsync(flip_intervals_s: Sequence[float], refresh_hz: float | None) -> float | None:
    """The rate at which flips block, or None where they do not block on the screen.

    Nine of ten intervals must agree within a tenth, at a rate that a screen can have and that the screen, where it
    says one, confirms. Screens round 59.94 to 59 or 60, hence the tolerance; SDL's imitation of 60 Hz runs at 62.5.
    """
    intervals_s = list(flip_intervals_s)[_QUEUED_FLIPS:]
    if len(intervals_s) < FLIPS // 2 or (median_s := statistics.median(intervals_s)) <= 0:
        return None
    regular_s = [s for s in intervals_s if abs(s - median_s) <= 0.1 * median_s]
    rate_hz = 1.0 / statistics.fmean(regular_s)
    if len(regular_s) < 0.9 * len(intervals_s) or not _RATES_HZ[0] * 0.99 <= rate_hz <= _RATES_HZ[1]:
        return None
    if refresh_hz and abs(rate_hz - refresh_hz) > max(1.25, 0.02 * refresh_hz):
        return None
    return rate_hz


class VsyncFrames:
    """`clock.FrameClock` for a display that blocks: `present` is the wait, this tells which frame it ended.

    The grid follows the screen slowly, so that frame times are smooth where wake-ups are not. A present that comes
    back far too early (a hidden window, a screen asleep) is paced by the clock, or the loop would run away.
    """

    _FOLLOW = 0.05

    def __init__(self, clock: Clock, *, rate_hz: float) -> None:
        self._clock = clock
        self.period_s = 1.0 / rate_hz
        self._due_s: float | None = None
        self._index = 0

    @property
    def deadline_s(self) -> float:
        """When the next frame is due; now, before the first."""
        return self._clock.now_s() if self._due_s is None else self._due_s + self.period_s

    def wait(self) -> Tick:
        """The frame that begins now. Sleeps only where the display failed to."""
        now_s = self._clock.now_s()
        missed = 0
        if self._due_s is None:
            self._due_s = now_s
        else:
            if now_s - self._due_s < self.period_s / 2:
                self._clock.sleep_until(self._due_s + self.period_s)
                now_s = self._clock.now_s()
            periods = max(1, round((now_s - self._due_s) / self.period_s))
            expected_s = self._due_s + periods * self.period_s
            self._due_s = expected_s + self._FOLLOW * (now_s - expected_s)
            missed = periods - 1
        tick = Tick(self._index, self._due_s, missed)
        self._index += 1
        return tick
