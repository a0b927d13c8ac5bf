"""However the supervisor ends, nothing of it is left; and nothing piles up while it runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.children import held, state
from tests.fixtures.device import REPOSITORY, RunningDevice, crew
from tests.fixtures.waiting import eventually

PIPE = """
[[cameras]]
name = "feed"
size_px = [64, 36]
pipe = ["sh", "-c", "while true; do head -c 6912 /dev/urandom; sleep 0.1; done"]
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    shared = set(Path("/dev/shm").iterdir())
    with RunningDevice(crew(end=PIPE), tmp_path) as device:
        device.wait_up()
        assert device.stop(number) == 0
        assert device.processes() == []
        assert not device.control.exists()
        assert not device.events("part_did_not_stop")
        assert device.stderr.read_text() == ""
    assert set(Path("/dev/shm").iterdir()) <= shared


def test_a_supervisor_that_is_killed_takes_all_with_it_and_is_no_obstacle_to_the_next(tmp_path: Path) -> None:
    with RunningDevice(crew(end=PIPE), tmp_path) as device:
        device.wait_up()
        feed = device.pid_of("camera:feed")
        children = Path(f"/proc/{feed}/task").glob("*/children")
        assert any(path.read_text().split() for path in children), "the camera has its program running"
        assert device.stop(signal.SIGKILL) == -signal.SIGKILL
        eventually(lambda: not device.processes() or None, 3.0, "no orphan is left")
        assert device.control.exists()
        device.start()
        device.wait_up()
        assert device.ps()["show"]["restarts"] == 0


def test_parts_that_hang_do_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with RunningDevice(crew(), tmp_path) as device:
        device.wait_up()
        for part in ("show", "worker:main", "hub"):
            device.hurt(part, signal.SIGSTOP)
        assert device.stop() == 0
        assert device.processes() == []


def test_a_part_that_does_not_stop_is_ended_and_the_run_was_none_the_worse(tmp_path: Path) -> None:
    with RunningDevice(crew(), tmp_path) as device:
        device.wait_up()
        with held(device.pid_of("worker:main")):
            assert device.stop() == 0, "anything else means to systemd that the show failed"
        assert [event["name"] for event in device.events("part_did_not_stop")] == ["worker:main"]
        assert device.processes() == []


def test_twenty_kills_leave_no_zombie_and_no_descriptor(tmp_path: Path) -> None:
    with RunningDevice(crew(), tmp_path) as device:
        device.wait_up()
        folder = Path(f"/proc/{device.process.pid}")

        def kept() -> tuple[int, int]:
            return len(list((folder / "fd").iterdir())), len(list((folder / "task").iterdir()))

        def children() -> list[int]:
            return [int(pid) for path in folder.glob("task/*/children") for pid in path.read_text().split()]

        before = kept()
        for _ in range(5):
            was = {part: device.hurt(part, signal.SIGKILL) for part in ("camera:main", "worker:main", "hub", "show")}
            for part, pid in was.items():
                device.wait_back(part, not_pid=pid)
        assert sum(part["restarts"] for part in device.ps().values()) == 20
        eventually(lambda: kept() <= before, 3.0, f"no more descriptors and threads than {before}; they are {kept()}")
        assert sorted(children()) == sorted(part["pid"] for part in device.ps().values())
        assert not [pid for pid in children() if state(pid) == "Z"]


def test_the_second_run_of_a_device_is_refused_in_one_line(device: RunningDevice) -> None:
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(device.runtime_folder)}
    environment["STATE_DIRECTORY"] = str(device.state_folder)
    argv = [sys.executable, "-m", "edge_runtime", "run", str(device.folder / "device.toml"), "--headless"]
    second = subprocess.run(
        argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == 2
    assert second.stderr.splitlines() == [
        "edge-runtime: device 'crew' runs already on this box (`edge-runtime ps`); stop it first"
    ]
    assert second.stdout == ""
    assert {part["state"] for part in device.ps().values()} == {"up"}
