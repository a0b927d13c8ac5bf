"""Restart budgets: when a part that ended may start again. Pure: time is passed in."""

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
