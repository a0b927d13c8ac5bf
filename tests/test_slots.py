"""Slots: the newest whole frame, across a writer's death, between real processes."""

import subprocess
import sys
from mmap import mmap

import numpy as np
import pytest

from edge_runtime.errors import ChannelError
from edge_runtime.layout import BUFFERS, choose_ring, slot_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.slots import SlotReader, SlotWriter
from tests.fixtures.waiting import eventually


@pytest.fixture
def region() -> mmap:
    return map_region(create_region("test", slot_bytes(64 * 36 * 3)))


def picture(value: int) -> np.ndarray:
    return np.full((36, 64, 3), value, np.uint8)


def test_a_reader_sees_the_newest_frame_with_its_times(region: mmap) -> None:
    writer, reader = SlotWriter(region, 0), SlotReader(region)
    assert reader.latest() is None
    for value in range(1, 7):
        writer.write(picture(value), captured_s=float(value), now_s=value + 0.5)
    frame = reader.latest()
    assert frame is not None
    assert (frame.sequence, frame.captured_s, frame.published_s) == (6, 6.0, 6.5)
    assert (frame.array == 6).all()


def test_shape_and_dtype_may_change_from_frame_to_frame(region: mmap) -> None:
    writer, reader = SlotWriter(region, 0), SlotReader(region)
    writer.write(picture(1), 0.0, 0.0)
    writer.write(np.linspace(0, 1, 17, dtype=np.float32), 0.0, 0.0)
    frame = reader.latest()
    assert frame is not None
    assert frame.array.shape == (17,)
    assert frame.array.dtype == np.float32


def test_a_frame_too_large_is_refused_with_both_sizes(region: mmap) -> None:
    with pytest.raises(ChannelError, match=r"cannot hold \(1000, 1000, 3\)"):
        SlotWriter(region, 0).next((1000, 1000, 3))


def test_a_reader_learns_that_its_frame_was_overwritten(region: mmap) -> None:
    writer, reader = SlotWriter(region, 0), SlotReader(region)
    writer.write(picture(1), 0.0, 0.0)
    held = reader.latest()
    assert held is not None
    for _ in range(BUFFERS - 1):
        writer.write(picture(2), 0.0, 0.0)
        assert reader.intact(held)
    writer.next((36, 64, 3))  # the buffer is about to change: from here on it is not to be trusted
    assert not reader.intact(held)


def test_a_frame_that_is_being_drawn_is_never_seen(region: mmap) -> None:
    writer, reader = SlotWriter(region, 0), SlotReader(region)
    writer.write(picture(1), 0.0, 0.0)
    writer.next((36, 64, 3))[...] = 99
    frame = reader.latest()
    assert frame is not None
    assert frame.sequence == 1


def test_a_restarted_writer_gets_the_other_ring_and_the_old_picture_stays_until_it_publishes(region: mmap) -> None:
    old, reader = SlotWriter(region, 0), SlotReader(region)
    old.write(picture(1), 0.0, 0.0)
    choose_ring(region, 1)
    before = reader.latest()
    assert before is not None
    assert (before.array == 1).all()
    SlotWriter(region, 1).write(picture(2), 0.0, 0.0)
    old.write(picture(3), 0.0, 0.0)  # a zombie writes on, into the ring that nobody follows
    after = reader.latest()
    assert after is not None
    assert (after.array == 2).all()


WRITER = """
import sys
import numpy as np
from edge_runtime.memory import map_region
from edge_runtime.slots import SlotWriter
writer = SlotWriter(map_region(int(sys.argv[1])), 0)
for value in range(20_000):
    writer.write(np.full((36, 64, 3), value % 251, np.uint8), float(value), float(value))
"""


def test_no_reader_ever_uses_a_torn_frame_of_a_writer_in_another_process() -> None:
    descriptor = create_region("test", slot_bytes(64 * 36 * 3))
    reader = SlotReader(map_region(descriptor))
    with subprocess.Popen([sys.executable, "-c", WRITER, str(descriptor)], pass_fds=[descriptor]) as process:
        eventually(lambda: reader.latest() is not None, 10.0, "a first frame")
        sequences = set()
        while process.poll() is None:
            frame = reader.latest()
            assert frame is not None
            seen = frame.array.copy()
            if reader.intact(frame):
                assert (seen == int(frame.captured_s) % 251).all()
                sequences.add(frame.sequence)
    assert process.returncode == 0
    assert len(sequences) > 100
