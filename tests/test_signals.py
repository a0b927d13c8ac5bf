"""The signal board: whole rows, one snapshot a frame."""

import math
import subprocess
import sys

import pytest

from edge_runtime.layout import ROW_BYTES, board_bytes
from edge_runtime.memory import Bell, create_region, map_region
from edge_runtime.signals import _ROW, SignalBoard, to_value
from tests.fixtures.waiting import eventually

NAMES = ["rain", "prompt", "palette"]


def board() -> SignalBoard:
    return SignalBoard(map_region(create_region("board", board_bytes(len(NAMES)))), NAMES)


def test_the_layout_that_the_supervisor_counts_with_is_the_one_in_use() -> None:
    assert _ROW.itemsize == ROW_BYTES


def test_numbers_texts_and_vectors_come_back_as_they_went_in() -> None:
    signals = board()
    signals.put("rain", 2.5, 10.0)
    signals.put("prompt", "Gewitter über dem Hafen", 11.0)
    signals.put("palette", (0.1, 0.2, 0.3), 12.0)
    snapshot = signals.snapshot(13.0)
    assert snapshot.value("rain") == 2.5
    assert snapshot.number("rain") == 2.5
    assert snapshot.value("prompt") == "Gewitter über dem Hafen"
    assert snapshot.number("prompt") is None
    assert snapshot.value("palette") == (0.1, 0.2, 0.3)
    assert snapshot.age_s("rain") == 3.0


def test_a_signal_that_never_came_has_no_value_and_no_age() -> None:
    snapshot = board().snapshot(1.0)
    assert snapshot.value("rain") is None
    assert snapshot.age_s("rain") == math.inf


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (3, 3.0),
        (True, 1.0),
        (math.nan, None),
        ("x" * 400, "x" * 256),
        ([1, 2], (1.0, 2.0)),
        ([], None),
        ([1, "a"], None),
        ({}, None),
    ],
)
def test_only_what_fits_the_board_becomes_a_value(raw: object, value: object) -> None:
    assert to_value(raw) == value


def test_a_text_cut_at_256_bytes_is_still_text() -> None:
    cut = to_value("ü" * 200)
    assert cut == "ü" * 128


def test_a_writer_that_died_in_a_row_leaves_the_last_value_and_its_successor_repairs_it() -> None:
    signals = board()
    signals.put("rain", 1.0, 1.0)
    signals.snapshot(1.0)
    row = signals._rows[0]
    row["sequence"] += 1  # killed between the two halves of a put
    row["numbers"][0] = 777.0
    assert signals.snapshot(2.0).number("rain") == 1.0
    signals.put("rain", 2.0, 3.0)
    assert signals.snapshot(3.0).number("rain") == 2.0


PUTTER = """
import sys
from edge_runtime.memory import map_region
from edge_runtime.signals import SignalBoard
board = SignalBoard(map_region(int(sys.argv[1])), ["rain", "prompt", "palette"])
for value in range(30_000):
    board.put("palette", (float(value),) * 8, float(value))
"""


def test_no_snapshot_holds_half_a_row_of_a_writer_in_another_process() -> None:
    descriptor = create_region("board", board_bytes(len(NAMES)))
    signals = SignalBoard(map_region(descriptor), NAMES)
    seen = set()
    with subprocess.Popen([sys.executable, "-c", PUTTER, str(descriptor)], pass_fds=[descriptor]) as process:
        while process.poll() is None:
            value = signals.snapshot(0.0).value("palette")
            if value is not None:
                assert isinstance(value, tuple)
                assert len(set(value)) == 1, value
                seen.add(value[0])
    assert process.returncode == 0
    assert seen


def test_the_bell_wakes_a_waiter_in_another_process_at_once() -> None:
    descriptor = create_region("bell", 4096)
    ringing = (
        "import sys; from edge_runtime.memory import Bell, map_region; bell = Bell(map_region(int(sys.argv[1])));"
        "print('in', flush=True); bell.wait(bell.seen(), 30.0); print('out', flush=True)"
    )
    bell = Bell(map_region(descriptor))
    with subprocess.Popen(
        [sys.executable, "-c", ringing, str(descriptor)], pass_fds=[descriptor], stdout=subprocess.PIPE
    ) as waiter:
        assert waiter.stdout is not None
        assert waiter.stdout.readline() == b"in\n"

        def rung() -> bool:
            bell.ring()
            return waiter.poll() is not None

        eventually(rung, 5.0, "the waiter woke")


def test_a_wait_on_a_bell_that_rang_meanwhile_returns_at_once() -> None:
    bell = Bell(map_region(create_region("bell", 4096)))
    seen = bell.seen()
    bell.ring()
    bell.wait(seen, 60.0)  # the test's own timeout would tell
    assert bell.seen() != seen
