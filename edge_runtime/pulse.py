"""The pulse: one row of shared words a part, by which the supervisor knows that it lives. Needs no numpy."""

import mmap

from edge_runtime.memory import Bell

BEAT_S = 0.75
"""A part that promised nothing else beats at least this often."""


class Pulse:
    """Shared words: the bell, and for each part its beat and its count. The supervisor reads, each part writes its own.

    A beat is a promise: the moment by which the next one comes. A part that must wait longer says so beforehand.
    """

    WORDS = 8
    PROMISED_S, COUNT = 0, 1

    def __init__(self, region: mmap.mmap, parts: list[str]) -> None:
        self.bell = Bell(region)
        body = memoryview(region)[Bell.SIZE_BYTES :]
        self._seconds, self._counts = body.cast("d"), body.cast("q")
        self._index = {part: row * self.WORDS for row, part in enumerate(parts)}

    @classmethod
    def size_bytes(cls, parts: int) -> int:
        """Size of the region for that many parts."""
        return Bell.SIZE_BYTES + parts * cls.WORDS * 8

    def beat(self, part: str, promised_s: float, count: int) -> None:
        """Promise the next beat by `promised_s`; `count` is what the part has done so far (frames, runs)."""
        row = self._index[part]
        self._counts[row + self.COUNT] = count
        self._seconds[row + self.PROMISED_S] = promised_s

    def promised_s(self, part: str) -> float:
        """When the next beat is due."""
        return self._seconds[self._index[part] + self.PROMISED_S]

    def count(self, part: str) -> int:
        """What the part says it has done."""
        return self._counts[self._index[part] + self.COUNT]
