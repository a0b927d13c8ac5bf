"""The log of a whole device: nobody who reads it, or does not, matters to the show; and it stays small."""

import fcntl
import os
import signal
from pathlib import Path

from edge_runtime.clock import now_s
from tests.fixtures.device import REPOSITORY, RunningDevice, crew
from tests.fixtures.waiting import eventually

LINES_PER_MINUTE = 10
STEADY_S = 10.0


def goes_on(device: RunningDevice) -> None:
    """Kill a part, see it come back, see the show present."""
    was = device.hurt("camera:main", signal.SIGKILL)
    device.wait_back("camera:main", not_pid=was)
    begun_s = now_s()
    eventually(lambda: device.shown(begun_s).presented > 30, 5.0, "it presents")


def test_a_stdout_whose_reader_went_away_stops_nothing(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    with RunningDevice(crew(), tmp_path, stdout=write_end) as device:
        os.close(write_end)
        os.close(read_end)
        device.wait_up()
        goes_on(device)
        assert device.stop() == 0
    assert device.stderr.read_text() == ""


def test_a_stdout_that_nobody_reads_stops_nothing_not_even_the_end(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(write_end, False)
    os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    with RunningDevice(crew(), tmp_path, stdout=write_end) as device:
        os.close(write_end)
        device.wait_up()
        goes_on(device)
        assert device.stop() == 0
    assert device.stderr.read_text() == ""
    os.close(read_end)


def test_a_device_without_stdout_and_stderr_runs(tmp_path: Path) -> None:
    with RunningDevice(crew(), tmp_path, closed=(1, 2)) as device:
        device.wait_up()
        goes_on(device)
        assert device.stop() == 0
    assert (device.runtime_folder / "lock").read_bytes() == b""


def test_a_quiet_device_writes_few_lines(tmp_path: Path) -> None:
    with RunningDevice(REPOSITORY / "device_configs" / "laptop.toml", tmp_path) as device:
        device.wait_up()
        start = len(device.events())
        assert start <= 8
        begun_s = now_s()
        eventually(lambda: now_s() > begun_s + STEADY_S, STEADY_S + 5.0, "a while has gone by")
        told = [event["event"] for event in device.events()[start:]]
        assert len(told) <= LINES_PER_MINUTE * STEADY_S / 60.0, told
