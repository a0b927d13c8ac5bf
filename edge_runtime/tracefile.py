"""The trace as a file: one CSV row a frame, written by the hub, far from the show."""

import math
import mmap
import os
from pathlib import Path
from typing import BinaryIO

from edge_runtime.display.trace import TRACE_COLUMNS, Row, TraceReader

_TIME = TRACE_COLUMNS.index("time_s")
_TAIL_BYTES = 4096
_ROUNDED_S = 1e-5
"""A time read from the file is that much off at most."""


class TraceFile:
    """Appends the show's rows to a file. A successor carries on after the last row that is there."""

    def __init__(self, path: Path, region: mmap.mmap) -> None:
        self._path = path
        self._reader = TraceReader(region, from_oldest=True)
        self._after_s = -math.inf
        self._failed = False

    def tend(self) -> None:
        """Write what came since the last call; a disk that refused once is left alone. From any thread, one at a time.

        Raises:
            OSError: it could not be written.
            ValueError: what is there already is no trace.
        """
        rows = self._reader.drain()
        if self._failed or not rows:
            return
        try:
            self._append(rows)
        except (OSError, ValueError):
            self._failed = True
            raise

    def _append(self, rows: list[Row]) -> None:
        with self._path.open("a+b") as file:
            if self._after_s == -math.inf:
                self._after_s = _last_s(file)
                if file.seek(0, os.SEEK_END) == 0:
                    file.write(f"{','.join(TRACE_COLUMNS)}\n".encode())
            file.write("".join(_line(row) for row in rows if row[_TIME] > self._after_s + _ROUNDED_S).encode())
        self._after_s = max(self._after_s, rows[-1][_TIME])


def _line(row: Row) -> str:
    return ",".join("NA" if math.isnan(value) else f"{round(value, 6):.15g}" for value in row) + "\n"


def _last_s(file: BinaryIO) -> float:
    """Time of the last row in the file; before all time where there is none. A row cut short is cut off."""
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    whole, _, torn = file.read().rpartition(b"\n")
    file.truncate(size_bytes - len(torn))
    last = whole.rpartition(b"\n")[2].decode(errors="replace")
    return float(last.split(",")[_TIME]) if last and not last.startswith(TRACE_COLUMNS[0]) else -math.inf
