"""What systemd is told: ready with the first picture, alive while pictures are presented, stopping at the end."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.clock import now_s
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.waiting import eventually, throughout


class ServiceManager:
    """The receiving end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        """Everything heard so far."""
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def watched(self) -> int:
        return self.listen().count("WATCHDOG=1")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    manager = ServiceManager(tmp_path / "notify")
    yield manager
    manager.close()


def test_systemd_hears_of_the_first_picture_of_every_good_second_and_of_the_end(
    tmp_path: Path, manager: ServiceManager
) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2000000"}
    with RunningDevice(crew(), tmp_path, environment=environment) as device:
        eventually(lambda: "READY=1" in manager.listen(), 20.0, "it is ready")
        assert device.shown(0.0).presented > 0
        assert manager.heard[0] == "READY=1"
        device.wait_up()
        fed = manager.watched()
        eventually(lambda: manager.watched() >= fed + 3, 3.0, "the watchdog is fed")
        was = device.hurt("show", signal.SIGSTOP)
        successor = eventually(lambda: (p := device.ps()["show"]["pid"]) != was and p, 5.0, "a successor starts")
        os.kill(successor, signal.SIGSTOP)  # before its first picture
        silent_s = now_s() + 1.5
        eventually(lambda: now_s() > silent_s, 3.0, "the last second of pictures has gone by")
        assert device.ps()["show"]["state"] == "starting"
        fed = manager.watched()
        throughout(lambda: manager.watched() == fed, 2.0, "a show that does not present is not vouched for")
        os.kill(successor, signal.SIGCONT)
        eventually(lambda: manager.watched() > fed, 5.0, "it presents again")
        assert device.stop() == 0
        assert manager.listen()[-1] == "STOPPING=1"
        assert manager.heard.count("READY=1") == 1
