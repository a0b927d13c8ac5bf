"""The signal board: one shared table of everything that changes and is small.

A row is a number, a flag, a text or a short vector, with the time it was measured. Each row has one writer; the
show takes a consistent picture of all rows once a frame. Which row is which is the config's order of names.
"""

import math
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.layout import TEXT_BYTES, VECTOR_LENGTH
from edge_runtime.memory import barrier

_ROW = np.dtype(
    [
        ("sequence", np.int64),  # odd while the row is being written
        ("measured_s", np.float64),
        ("length", np.int32),  # numbers in `numbers`; 0 for a text
        ("text_length", np.int32),
        ("numbers", np.float64, VECTOR_LENGTH),
        ("text", np.uint8, TEXT_BYTES),
    ]
)
_TRIES = 3

Value = float | str | tuple[float, ...]


def to_value(raw: object) -> Value | None:
    """A value fit for the board, or None: finite numbers, flags as 0 and 1, short vectors, text cut at 256 bytes."""
    if isinstance(raw, bool | int | float):
        return float(raw) if math.isfinite(raw) else None
    if isinstance(raw, str):
        return raw.encode()[:TEXT_BYTES].decode(errors="ignore")
    if isinstance(raw, Sequence) and 0 < len(raw) <= VECTOR_LENGTH:
        numbers = tuple(float(n) for n in raw if isinstance(n, bool | int | float) and math.isfinite(n))
        return numbers if len(numbers) == len(raw) else None
    return None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All signals as they were at one moment: a copy, which no writer touches."""

    rows: np.ndarray
    index: Mapping[str, int]
    now_s: float

    def number(self, name: str) -> float | None:
        """The first number of a signal; None when it was never written or is a text."""
        row = self.rows[self.index[name]]
        return float(row["numbers"][0]) if row["length"] > 0 else None

    def value(self, name: str) -> Value | None:
        """The signal as it was put; None when it was never written."""
        row = self.rows[self.index[name]]
        if row["sequence"] == 0:
            return None
        length = int(row["length"])
        if length == 0:
            return bytes(row["text"][: row["text_length"]]).decode(errors="replace")
        return float(row["numbers"][0]) if length == 1 else tuple(float(n) for n in row["numbers"][:length])

    def age_s(self, name: str) -> float:
        """Seconds since the signal was measured; infinite when it never was."""
        row = self.rows[self.index[name]]
        return math.inf if row["sequence"] == 0 else self.now_s - float(row["measured_s"])

    def __contains__(self, name: str) -> bool:
        return name in self.index


class SignalBoard:
    """The board, as one part sees it. `put` only signals that this part owns."""

    def __init__(self, region: mmap.mmap, names: Iterable[str]) -> None:
        self._rows = np.frombuffer(region, _ROW)
        self._copy = self._rows.copy()
        self.index = {name: row for row, name in enumerate(names)}

    def put(self, name: str, value: Value, measured_s: float) -> None:
        """Write one row, whole: no reader sees half of it."""
        row = self._rows[self.index[name]]
        sequence = int(row["sequence"]) | 1  # a writer killed in the middle leaves an odd count: carry on from it
        row["sequence"] = sequence
        barrier()
        if isinstance(value, str):
            encoded = value.encode()[:TEXT_BYTES]
            row["length"], row["text_length"] = 0, len(encoded)
            row["text"][: len(encoded)] = np.frombuffer(encoded, np.uint8)
        else:
            numbers = (value,) if isinstance(value, float | int) else value
            row["length"] = len(numbers)
            row["numbers"][: len(numbers)] = numbers
        row["measured_s"] = measured_s
        barrier()
        row["sequence"] = sequence + 1

    def snapshot(self, now_s: float) -> Snapshot:
        """A consistent copy of every row, 5 us for 40 rows. A row that is always being written keeps its last value."""
        for _ in range(_TRIES):
            before = self._rows["sequence"].copy()
            fresh = self._rows.copy()
            torn = (before != self._rows["sequence"]) | (before & 1 == 1)
            if not torn.any():
                break
        else:
            fresh[torn] = self._copy[torn]
        self._copy = fresh
        return Snapshot(fresh, self.index, now_s)
