"""One row of figures a frame, handed to another process through a ring in shared memory.

The show writes and never waits; whoever reads is told how many rows it was too slow for. Columns follow PresentMon
where it has one of that meaning. Needs no numpy, so that the supervisor may read.

Layout: one int64 count of rows written, padding to 64 bytes, then rows of float64.
"""

import mmap
import struct
from collections.abc import Sequence

from edge_runtime.memory import barrier

TRACE_COLUMNS = (
    "frame",
    "time_s",  # when present returned, monotonic
    "due_s",
    "ms_between_presents",
    "ms_render",
    "ms_cpu",
    "ms_present",
    "ms_late",  # of waking, after the deadline
    "missed",
    "animation_error_ms",  # interval on the screen less interval of what is shown; Source: PresentMon's AnimationError
    "camera_latency_ms",  # nan: no new picture in this frame
    "rung",
    "scene",
)
_HEADER_BYTES = 64
_ROW = struct.Struct(f"{len(TRACE_COLUMNS)}d")

Row = tuple[float, ...]


def trace_bytes(rows: int) -> int:
    """Size of a region that holds `rows` rows."""
    return _HEADER_BYTES + rows * _ROW.size


class _Ring:
    def __init__(self, region: mmap.mmap) -> None:
        self.region = region
        self.rows = (len(region) - _HEADER_BYTES) // _ROW.size
        # Its items are stored in one move; struct.pack_into would store a 0 first, for readers to see.
        self._words = memoryview(region)[:_HEADER_BYTES].cast("q")

    def offset(self, row: int) -> int:
        return _HEADER_BYTES + row % self.rows * _ROW.size

    @property
    def count(self) -> int:
        return self._words[0]

    @count.setter
    def count(self, count: int) -> None:
        self._words[0] = count


class TraceRing:
    """The writing end. Used by the one thread that presents; a successor carries on from where it died."""

    def __init__(self, region: mmap.mmap) -> None:
        self._ring = _Ring(region)
        self._count = self._ring.count

    def write(self, row: Sequence[float]) -> None:
        """Append one row of `TRACE_COLUMNS`; never blocks."""
        _ROW.pack_into(self._ring.region, self._ring.offset(self._count), *row)
        self._count += 1
        barrier()  # the row is complete before it is announced
        self._ring.count = self._count


class TraceReader:
    """The reading end: every row written since it was made, in order; `from_oldest`: and those still there before."""

    def __init__(self, region: mmap.mmap, *, from_oldest: bool = False) -> None:
        self._ring = _Ring(region)
        count = self._ring.count
        self._next = max(0, self._oldest(count)) if from_oldest else count
        self.lost = 0
        """Rows overwritten before they were read."""

    def drain(self) -> list[Row]:
        """The rows since the last call."""
        ring = self._ring
        count = ring.count
        first = max(self._next, self._oldest(count))
        rows: list[Row] = [_ROW.unpack_from(ring.region, ring.offset(row)) for row in range(first, count)]
        torn = max(0, min(self._oldest(ring.count), count) - first)  # overwritten while they were copied
        self.lost += first - self._next + torn
        self._next = count
        return rows[torn:]

    def _oldest(self, count: int) -> int:
        """The oldest row that is safe: one is being overwritten, and the count may be seen one too low."""
        return count - self._ring.rows + 2
