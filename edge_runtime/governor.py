"""The governor: picks the rung of the quality ladder that the recent frames can afford. Pure: it reads nothing."""

from dataclasses import dataclass
from typing import Literal

from edge_runtime.config.device import GovernorConfig

Reason = Literal["slow", "missed", "hot", "memory", "vram", "easy"]


@dataclass(frozen=True, slots=True)
class Change:
    """One step on the ladder and why."""

    rung: int
    was: int
    reason: Reason
    p95_s: float


@dataclass(frozen=True, slots=True)
class Machine:
    """What else can force a step down; None where it cannot be read."""

    temperature_c: float | None = None
    memory_free_mb: float | None = None
    vram_free_mb: float | None = None


class Governor:
    """Steps down as soon as one window of frames misses its budget, climbs only after many easy windows.

    The two thresholds are apart, so that the picture does not flicker between rungs; after a climb that had to be
    taken back the next climb waits twice as long.
    """

    _MAX_PATIENCE = 16

    def __init__(self, config: GovernorConfig, *, rungs: int, period_s: float) -> None:
        self._config = config
        self._rungs = rungs
        self._period_s = period_s
        self._costs_s: list[float] = []
        self._missed = 0
        self._easy = 0
        self._patience = 1
        self._climbed = False
        self.rung = 0
        self.changes = 0

    def observe(self, cost_s: float, missed: int, machine: Machine) -> Change | None:
        """Record one frame: what its drawing took and how many deadlines went by before it. Returns a step, if any."""
        self._costs_s.append(cost_s)
        self._missed += missed
        if len(self._costs_s) < self._config.window_frames and self._missed <= self._config.max_missed:
            return None
        p95_s = sorted(self._costs_s)[int(0.95 * (len(self._costs_s) - 1))]
        reason = self._strain(p95_s, machine)
        self._costs_s.clear()
        self._missed = 0
        if reason is not None:
            return self._fall(reason, p95_s)
        if p95_s < self._config.headroom * self._period_s:
            return self._climb(p95_s)
        self._easy = 0
        return None

    def _strain(self, p95_s: float, machine: Machine) -> Reason | None:
        config = self._config
        if p95_s > config.budget * self._period_s:
            return "slow"
        if self._missed > config.max_missed:
            return "missed"
        if config.max_temperature_c and (machine.temperature_c or 0.0) > config.max_temperature_c:
            return "hot"
        if _is_below(machine.memory_free_mb, config.min_memory_free_mb):
            return "memory"
        if _is_below(machine.vram_free_mb, config.min_vram_free_mb):
            return "vram"
        return None

    def _fall(self, reason: Reason, p95_s: float) -> Change | None:
        self._easy = 0
        if self._climbed:  # the last climb was a mistake
            self._patience = min(self._MAX_PATIENCE, self._patience * 2)
            self._climbed = False
        return self._step(+1, reason, p95_s)

    def _climb(self, p95_s: float) -> Change | None:
        self._easy += 1
        if self._easy < self._config.climb_windows * self._patience:
            return None
        if self._climbed:  # the climb before has held all this time
            self._patience = 1
        self._easy = 0
        change = self._step(-1, "easy", p95_s)
        self._climbed = change is not None
        return change

    def _step(self, by: int, reason: Reason, p95_s: float) -> Change | None:
        was, self.rung = self.rung, min(self._rungs - 1, max(0, self.rung + by))
        if self.rung == was:
            return None
        self.changes += 1
        return Change(self.rung, was, reason, p95_s)


def _is_below(value: float | None, limit: float | None) -> bool:
    """False where there is no limit, or nothing to hold against it."""
    return value is not None and limit is not None and value < limit
