"""Parameters that a command holds at a value, until released or for a while."""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hold:
    """One held parameter."""

    value: float | str
    until_s: float = math.inf
    """Monotonic; infinite: until released."""


class Holds:
    """What is held now. Pure: it is told the time. Bounded by the vocabulary, which knows every parameter."""

    def __init__(self, holds: Mapping[str, Hold] | None = None) -> None:
        self._holds = dict(holds or {})

    def put(self, parameter: str, value: float | str | None, for_s: float | None, now_s: float) -> float | None:
        """Hold a parameter, or release it with None; until when it holds, or None for ever (or not at all)."""
        self._holds.pop(parameter, None)
        if value is None:
            return None
        until_s = math.inf if for_s is None else now_s + for_s
        self._holds[parameter] = Hold(value, until_s)
        return None if for_s is None else until_s

    def current(self, now_s: float) -> dict[str, Hold]:
        """Every hold that still lasts."""
        self._holds = {parameter: hold for parameter, hold in self._holds.items() if hold.until_s > now_s}
        return dict(self._holds)
