"""The trace as a file: continued where a predecessor stopped, also when that one was cut off in a row."""

from pathlib import Path

from edge_runtime.display.trace import TRACE_COLUMNS, TraceRing, trace_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.tracefile import TraceFile


def row(frame: int) -> tuple[float, ...]:
    return (float(frame), 100.0 + frame / 60.0, *[float("nan")] * (len(TRACE_COLUMNS) - 2))


def test_a_successor_goes_on_after_the_last_whole_row(tmp_path: Path) -> None:
    region = map_region(create_region("trace", trace_bytes(1000)))
    ring, path = TraceRing(region), tmp_path / "frames.csv"
    for frame in range(100):
        ring.write(row(frame))
    TraceFile(path, region).tend()
    path.write_bytes(path.read_bytes()[:-20])
    for frame in range(100, 150):
        ring.write(row(frame))
    successor = TraceFile(path, region)
    successor.tend()
    successor.tend()
    header, *lines = path.read_text().splitlines()
    assert header == ",".join(TRACE_COLUMNS)
    assert [int(line.split(",")[0]) for line in lines] == list(range(150))
    assert lines[60] == "60,101," + ",".join(["NA"] * (len(TRACE_COLUMNS) - 2))
