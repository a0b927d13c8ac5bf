"""When to give a source up, and when to try again. Pure."""

import random

FROZEN_S = 2.0
"""How long a live picture may stand still before its source is opened again."""
FROZEN_MAX_S = 60.0
"""The most patience with a picture that stands still."""


class BackOff:
    """Pauses between attempts: 0.25 s, doubled to 4 s, up to a quarter longer or shorter. Pure but for its dice."""

    FIRST_S, MOST_S, JITTER = 0.25, 4.0, 0.25

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._next_s = self.FIRST_S

    def take_s(self) -> float:
        """How long to wait before the next attempt. Many boxes lose one camera at the same moment: hence the dice."""
        pause_s, self._next_s = self._next_s, min(self.MOST_S, self._next_s * 2)
        return pause_s * self._dice.uniform(1 - self.JITTER, 1 + self.JITTER)

    def reset(self) -> None:
        """Begin again at the shortest pause."""
        self._next_s = self.FIRST_S


class FreezeWatch:
    """Tells when a picture has not changed for too long. Pure.

    Each reopening that does not help doubles its patience: a scene that truly stands still, behind an encoder that
    keeps it so, is left in peace.
    """

    def __init__(self) -> None:
        self._patience_s = FROZEN_S
        self._same_since_s: float | None = None

    def frozen(self, *, same: bool, now_s: float) -> bool:
        """Note a frame that is the `same` as the one before, or not; True when it is time to reopen the source."""
        if not same:
            self._patience_s, self._same_since_s = FROZEN_S, None
            return False
        if self._same_since_s is None:
            self._same_since_s = now_s
        if now_s - self._same_since_s <= self._patience_s:
            return False
        self._patience_s, self._same_since_s = min(FROZEN_MAX_S, 2 * self._patience_s), None
        return True
