"""How long to wait before the next attempt: growing, capped, and never in step with a hundred other boxes."""

import random

CAP_S = 30.0
FIRST_S = 1.0
"""Between two attempts there is never less, whatever goes wrong: one connect a second is all that a box asks for."""
STABLE_S = 60.0


class Backoff:
    """Exponential back-off with full jitter on top of a floor, forgotten only after a stable minute. Pure.

    A broker that accepts and drops at once is met with growing waits too, because a short connection forgives nothing.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter spreads a fleet best.
    """

    def __init__(self, rng: random.Random, *, first_s: float = FIRST_S, cap_s: float = CAP_S) -> None:
        self._rng = rng
        self._first_s, self._cap_s = first_s, cap_s
        self._attempts = 0
        self._connected_s: float | None = None

    def connected(self, now_s: float) -> None:
        """Note that the connection stands."""
        self._connected_s = now_s

    def lost(self, now_s: float) -> float:
        """Note a failed attempt or a lost connection; seconds to wait before the next attempt."""
        if self._connected_s is not None and now_s - self._connected_s >= STABLE_S:
            self._attempts = 0
        self._connected_s = None
        ceiling_s = min(self._cap_s, self._first_s * 2.0 ** min(self._attempts, 30))
        self._attempts += 1
        return self._first_s + self._rng.uniform(0.0, ceiling_s)
