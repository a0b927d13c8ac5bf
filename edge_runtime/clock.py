"""The only source of time.

Seconds are float and monotonic (CLOCK_MONOTONIC, one count for all processes of the machine). Wall time is
for schedules, MQTT stamps and the sun only. Layers and bindings never ask for time: they are handed it.
"""

import contextlib
import math
import threading
import time
from dataclasses import dataclass
from typing import Protocol

SPIN_S = 1.5e-3
"""How long before a deadline the sleep ends and spinning begins: the wake-up error of a busy box. Source:
measured on 2 virtual cores under load, sleep-only p99.9 17.3 ms against 16.9 ms with the spin."""


def now_s() -> float:
    """Monotonic seconds, the same count in every process of this machine."""
    return time.monotonic()


def wall_s() -> float:
    """Unix seconds, UTC. Jumps when the clock is set: never measure an interval with it."""
    return time.time()


def cpu_s() -> float:
    """Seconds of processor time that this thread has used: what work costs, whoever else is busy."""
    return time.thread_time()


def pause_s(seconds: float) -> None:
    """Sleep, outside the show. The show sleeps in `FrameClock.wait` alone."""
    time.sleep(seconds)


class Clock(Protocol):
    """A source of monotonic time that can wait for a moment."""

    def now_s(self) -> float:
        """Monotonic seconds."""
        ...

    def sleep_until(self, deadline_s: float) -> None:
        """Return at `deadline_s`, at once if it is past."""
        ...


class SystemClock:
    """The machine's monotonic clock: sleeps until just before the deadline, then spins."""

    def __init__(self, *, spin_s: float = SPIN_S) -> None:
        self._spin_s = spin_s

    def now_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def sleep_until(self, deadline_s: float) -> None:
        """Return at `deadline_s`, at once if it is past."""
        slack_s = deadline_s - self._spin_s - time.monotonic()
        if slack_s > 0:
            time.sleep(slack_s)
        while time.monotonic() < deadline_s:
            pass


class ManualClock:
    """A clock that moves only when told: for tests and for replays faster than life."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._now_s

    def sleep_until(self, deadline_s: float) -> None:
        """Jump to `deadline_s`; stay if it is past."""
        self._now_s = max(self._now_s, deadline_s)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now_s += seconds


@dataclass(frozen=True, slots=True)
class Tick:
    """One frame's place on the grid of deadlines."""

    index: int
    now_s: float
    """The deadline this frame was due at: smooth, where the time of waking is not."""
    missed: int
    """Deadlines that passed unserved since the tick before."""


class FrameClock:
    """Hands out frame deadlines on a fixed grid.

    A late frame is not chased: the deadlines it missed are counted and skipped, so one stall
    costs one visible gap and never a burst of hurried frames.
    """

    def __init__(self, clock: Clock, *, rate_hz: float) -> None:
        self._clock = clock
        self.period_s = 1.0 / rate_hz
        self._deadline_s: float | None = None  # set by the first wait()
        self._index = 0

    @property
    def deadline_s(self) -> float:
        """When the next frame is due; now, before the first."""
        return self._clock.now_s() if self._deadline_s is None else self._deadline_s

    def wait(self) -> Tick:
        """Sleep to the next deadline. The only sleep of the show."""
        now_s = self._clock.now_s()
        deadline_s = now_s if self._deadline_s is None else self._deadline_s
        # A wake-up a few microseconds after the deadline still serves it: only whole periods are lost.
        missed = max(0, math.floor((now_s - deadline_s) / self.period_s))
        start_s = deadline_s + missed * self.period_s
        self._clock.sleep_until(start_s)
        self._deadline_s = start_s + self.period_s
        tick = Tick(self._index, start_s, missed)
        self._index += 1
        return tick


class Lead:
    """Evens out presents: every frame is shown as long after its deadline as the longest to draw of late.

    A frame with a new picture takes a millisecond more to draw than one without, and the eye sees the interval. An
    outlier costs one uneven interval, not latency for ever. Source: 2 busy virtual cores, p99.9 of the deviation from
    the period 0.7 ms with the lead and 1.9 ms without.
    """

    LONGEST_S = 0.005
    FORGETS = 0.9997
    SPIN_S = 3e-4

    def __init__(self) -> None:
        self._clock = SystemClock(spin_s=self.SPIN_S)
        self._lead_s = 0.0

    def wait(self, deadline_s: float, cost_s: float) -> None:
        """Sleep until it is time to present the frame due at `deadline_s`, whose drawing took `cost_s`."""
        self._lead_s = min(self.LONGEST_S, max(cost_s, self._lead_s * self.FORGETS))
        self._clock.sleep_until(deadline_s + self._lead_s)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a layer knows of time: it never asks a clock."""

    time_s: float
    """Seconds since the show began, on the grid of frames."""
    step_s: float
    """Seconds since the frame drawn before; 0 on the first. Capped, so that a stall does not make things leap."""
    frame: int
    """Frames drawn before this one."""
    now_s: float
    """This frame's deadline, monotonic: to tell the age of what comes from outside, not to animate with."""


class Timekeeper:
    """Turns ticks into the timeline that layers see."""

    MAX_STEP_S = 0.25

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._last_s = 0.0
        self._frame = 0

    def advance(self, tick: Tick) -> Timeline:
        """The timeline of the frame due at `tick`."""
        if self._start_s is None:
            self._start_s = self._last_s = tick.now_s
        step_s = min(self.MAX_STEP_S, tick.now_s - self._last_s)
        timeline = Timeline(time_s=tick.now_s - self._start_s, step_s=step_s, frame=self._frame, now_s=tick.now_s)
        self._last_s = tick.now_s
        self._frame += 1
        return timeline


class Rate:
    """A ceiling on how often something runs: at most once per period, without drift and without bursts."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._due_s = -math.inf

    def due_in_s(self, now_s: float) -> float:
        """Seconds until the next run is allowed; 0 when it is."""
        return max(0.0, self._due_s - now_s)

    def take(self, now_s: float) -> None:
        """Note a run at `now_s`. The grid is kept while runs are on time, so 30 Hz of frames jittering stays 30 Hz."""
        period_s = 1.0 / self.rate_hz
        self._due_s = max(self._due_s + period_s, now_s + period_s / 2)


class Every:
    """Things that are done every so often, each by its own name. Used from one thread."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def due(self, what: str, period_s: float, now_s: float) -> bool:
        """True when it is time for `what` (the first time it is); it is due again after `period_s`."""
        if now_s < self._due.get(what, -math.inf):
            return False
        self._due[what] = now_s + period_s
        return True


class Stopper:
    """A stop request that waiting loops notice at once; set by a signal or by the supervisor's hang-up."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self, *_: object) -> None:
        """Ask for the stop. Fit for `signal.signal`."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """True once somebody asked."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`; True when the stop was asked for."""
        with contextlib.suppress(OverflowError):
            return self._event.wait(max(0.0, seconds))
        return self._event.is_set()
