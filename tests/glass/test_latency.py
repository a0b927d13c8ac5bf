"""What a visitor sees, judged from the screen's own memory: numbers from camera to glass, commands to glass."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.cli.bench import latency, painting, stages
from edge_runtime.cli.bench.device import Device
from edge_runtime.cli.bench.glass import find_xvfb
from edge_runtime.cli.bench.table import spread
from edge_runtime.slots import Array

pytestmark = pytest.mark.display

COST_MS = 20.0
AGREE_MS = 50.0
"""Loose for a box on which other tests run; two camera frames that wait in a queue would break it."""

Glass = tuple[Device, Array, Path]


@pytest.fixture
def glass() -> Iterator[Glass]:
    if find_xvfb() is None:
        pytest.skip("Xvfb is not installed")
    with latency.numbers_on_glass(COST_MS) as opened:
        yield opened


def test_camera_frames_reach_the_glass_in_order_and_as_late_as_we_say(glass: Glass) -> None:
    device, pixels, log = glass
    seen, outside_ms, _ = latency.watch_camera(pixels, log, seconds=5.0)
    statistics = device.finish()
    inside, task = statistics["latency_ms"]["camera_to_present"], statistics["models"]["model"]["task_ms"]
    outside = spread(outside_ms)
    numbers = [number for _, number in seen if number is not None]

    assert len(numbers) > 5.0 * stages.CAMERA_HZ / 3, "most frames are seen"
    assert min(np.diff(numbers)) >= -1, "no older picture comes back"
    assert len(outside_ms) == len(numbers), "no number is seen that the camera did not write"
    assert outside["min"] is not None
    assert outside["min"] > 0.0, "nothing is seen before it was written"
    assert outside["p50"] is not None
    assert abs(outside["p50"] - inside["p50"]) <= AGREE_MS
    assert outside["p50"] <= task["p50"] + latency.CAMERA_MS + latency.FRAME_MS + AGREE_MS, "nothing queues"


def test_commands_reach_the_glass_as_late_as_we_say(glass: Glass) -> None:
    device, pixels, _ = glass
    device.command("scene", scene="flash", fade_s=0)
    outside = spread(latency.time_commands(device, pixels, "flash/white.opacity", times=12))
    inside = device.finish()["latency_ms"]["command_to_present"]

    assert outside["max"] is not None
    assert outside["max"] < 1e3 * latency.SEEN_WITHIN_S, "every command changed the picture"
    assert outside["p50"] is not None
    assert abs(outside["p50"] - inside["p50"]) <= AGREE_MS
    assert outside["p50"] <= latency.COMMAND_MS + AGREE_MS


def test_a_painted_number_survives_a_change_of_size_and_two_mixed_ones_are_not_read() -> None:
    frame = np.empty((360, 640, 3), np.uint8)
    painting.paint(frame, 40_321)
    assert painting.read(frame[::2, ::2]) == 40_321
    other = np.empty_like(frame)
    painting.paint(other, 40_322)
    other[: len(other) // 2] = frame[: len(frame) // 2]
    assert painting.read(other) is None
    assert painting.read(np.full_like(frame, 128)) is None
