"""Restart budgets: when a part that ended may start again, and when one has grown too large. Pure."""

from dataclasses import dataclass

QUICK_RESTARTS = 3
"""Failures in a row that are answered at once; from the next one on the waits grow."""
HEALTHY_S = 5.0
"""A part that was up this long has recovered: its failures are forgotten."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
FAILED_AFTER = 10
"""Failures in a row after which the part counts as failed: still retried, at the longest wait, and told."""


class RestartBudget:
    """Decides how long one part stays down after it ended."""

    def __init__(self) -> None:
        self.restarts = 0
        """Since the supervisor began."""
        self.failures = 0
        """In a row."""
        self._up_s: float | None = None

    @property
    def failed(self) -> bool:
        """True when the part cannot be expected back soon."""
        return self.failures >= FAILED_AFTER

    def up(self, now_s: float) -> None:
        """Note that the part said it does its work."""
        self._up_s = now_s

    def ended(self, now_s: float) -> float:
        """Note the part's end; seconds to wait before it is started again."""
        if self._up_s is not None and now_s - self._up_s >= HEALTHY_S:
            self.failures = 0
        self._up_s = None
        self.restarts += 1
        self.failures += 1
        if self.failures <= QUICK_RESTARTS:
            return 0.0
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (self.failures - QUICK_RESTARTS - 1))


@dataclass(frozen=True, slots=True)
class LeakRule:
    """When a part's private memory is a leak: beyond three times what it weighed once it had warmed up, and large."""

    floor_mb: float = 1024.0
    """Below this nothing is called a leak: a model on a GPU weighs as much."""
    factor: float = 3.0
    settled_s: float = 60.0
    """After this long a part weighs what it needs: models are loaded, every size was run once."""


class Weight:
    """What one process weighs, against what it weighed when it had settled."""

    def __init__(self, rule: LeakRule) -> None:
        self._rule = rule
        self._up_s: float | None = None
        self._settled_mb: float | None = None

    def up(self, now_s: float) -> None:
        """Note that a new process does its work."""
        self._up_s, self._settled_mb = now_s, None

    def leaks(self, mb: float, now_s: float) -> float | None:
        """The limit in MB that `mb` exceeds; None while all is well or nothing is known yet."""
        rule = self._rule
        if self._up_s is None or now_s - self._up_s < rule.settled_s:
            return None
        if self._settled_mb is None:
            self._settled_mb = mb
        limit_mb = max(rule.floor_mb, rule.factor * self._settled_mb)
        return limit_mb if mb > limit_mb else None
