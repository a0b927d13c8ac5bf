"""Tracks: which box of this picture is which of the last one. Boxes are left, top, right, bottom, 0-1."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Box = tuple[float, float, float, float]
Thing = TypeVar("Thing")
_OVERLAP = 0.15
"""Two boxes that share less are not the same thing."""


@dataclass(slots=True)
class Track(Generic[Thing]):
    """One thing that is followed."""

    box: Box
    thing: Thing
    seen_s: float
    before: Thing | None = None
    """What it was before the last run; None where it is new."""
    runs: int = 1
    """In how many runs it was seen."""
    fresh: bool = field(default=True)
    """Seen in the last run."""


class Tracks(Generic[Thing]):
    """Everything that is followed. What is not seen for `keep_s` is forgotten."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self.all: list[Track[Thing]] = []

    def update(self, found: Iterable[tuple[Box, Thing]], at_s: float) -> Sequence[Track[Thing]]:
        """Match what was found with what is known, the best overlaps first."""
        new = list(found)
        self.all = [track for track in self.all if at_s - track.seen_s <= self._keep_s]
        pairs = [(overlap(track.box, box), i, j) for i, track in enumerate(self.all) for j, (box, _) in enumerate(new)]
        for track in self.all:
            track.fresh, track.before = False, track.thing
        taken: set[int] = set()
        for share, i, j in sorted(pairs, reverse=True):
            track = self.all[i]
            if share < _OVERLAP or track.fresh or j in taken:
                continue
            track.box, track.thing = new[j]
            track.seen_s, track.runs, track.fresh = at_s, track.runs + 1, True
            taken.add(j)
        self.all += [Track(box, thing, at_s) for j, (box, thing) in enumerate(new) if j not in taken]
        return self.all

    def clear(self) -> None:
        """Forget everything."""
        self.all = []


def overlap(a: Box, b: Box) -> float:
    """Shared area over joined area, 0-1."""
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    joined = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / joined if joined > 0 else 0.0
