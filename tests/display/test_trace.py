"""The ring of per-frame figures, between real processes where it matters."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.display.trace import TRACE_COLUMNS, TraceReader, TraceRing, trace_bytes
from edge_runtime.memory import create_region, map_region
from tests.fixtures.waiting import eventually

ROOT = Path(__file__).parents[2]
ROWS = 16
WIDTH = len(TRACE_COLUMNS)

WRITER = """
import os, sys
from edge_runtime.display.trace import TRACE_COLUMNS, TraceRing
from edge_runtime.memory import map_region
ring = TraceRing(map_region(int(sys.argv[1])))
for number in range(int(sys.argv[2])):
    ring.write([float(number)] * len(TRACE_COLUMNS))
"""


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = create_region("trace", trace_bytes(ROWS))
    yield descriptor
    os.close(descriptor)


def row(number: float) -> tuple[float, ...]:
    return (float(number),) * WIDTH


def test_rows_come_out_once_and_in_order(descriptor: int) -> None:
    ring, reader = TraceRing(map_region(descriptor)), TraceReader(map_region(descriptor))
    assert reader.drain() == []
    for number in range(3):
        ring.write(row(number))
    assert reader.drain() == [row(0), row(1), row(2)]
    assert reader.drain() == []
    ring.write(row(3))
    assert reader.drain() == [row(3)]
    assert reader.lost == 0


def test_a_reader_that_was_lapped_knows_how_much_it_lost(descriptor: int) -> None:
    ring, reader = TraceRing(map_region(descriptor)), TraceReader(map_region(descriptor))
    for number in range(100):
        ring.write(row(number))
    rows = reader.drain()
    assert rows[-1] == row(99)
    assert len(rows) >= ROWS - 2
    assert len(rows) + reader.lost == 100


def test_a_restarted_writer_carries_on(descriptor: int) -> None:
    reader = TraceReader(map_region(descriptor))
    TraceRing(map_region(descriptor)).write(row(1))
    TraceRing(map_region(descriptor)).write(row(2))
    assert reader.drain() == [row(1), row(2)]


def test_no_row_is_torn_while_another_process_writes_as_fast_as_it_can(descriptor: int) -> None:
    reader = TraceReader(map_region(descriptor))
    argv = [sys.executable, "-c", WRITER, str(descriptor), "200000"]
    rows: list[tuple[float, ...]] = []
    with subprocess.Popen(argv, cwd=ROOT, pass_fds=[descriptor]) as writer:
        rows += eventually(reader.drain, 20.0, "rows arrive")
        while writer.poll() is None:
            rows.extend(reader.drain())
        rows.extend(reader.drain())
    assert all(len(set(one)) == 1 for one in rows)
    numbers = [one[0] for one in rows]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 199_999
    assert len(numbers) + reader.lost == 200_000
