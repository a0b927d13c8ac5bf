"""The fixtures hold what they promise: what tests stand on is tested too."""

import os
import signal
import socket
import subprocess

import pytest

from tests.fixtures.broker import Mosquitto
from tests.fixtures.children import find_program
from tests.fixtures.waiting import eventually


@pytest.mark.broker
def test_a_stopped_broker_comes_back_on_its_port(mosquitto: Mosquitto) -> None:
    address = ("127.0.0.1", mosquitto.port)
    socket.create_connection(address, timeout=1.0).close()
    mosquitto.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1.0)
    mosquitto.start()
    socket.create_connection(address, timeout=1.0).close()


@pytest.mark.broker
def test_a_frozen_broker_ends_with_the_test(mosquitto: Mosquitto) -> None:
    os.kill(mosquitto.pid, signal.SIGSTOP)


@pytest.mark.display
@pytest.mark.parametrize("xvfb", [(640, 360), (1920, 1080)], indirect=True, ids=str)
def test_a_screen_has_the_size_asked_for(xvfb: str, request: pytest.FixtureRequest) -> None:
    program = find_program("xdpyinfo")
    if program is None:
        pytest.skip("xdpyinfo is not installed (package x11-utils)")
    width_px, height_px = request.node.callspec.params["xvfb"]
    answer = subprocess.run([program, "-display", xvfb], capture_output=True, text=True, check=True).stdout
    assert f"dimensions:    {width_px}x{height_px} pixels" in answer


def test_a_free_port_can_be_listened_on(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        pass


def test_waiting_in_vain_says_what_for() -> None:
    with pytest.raises(AssertionError, match=r"not within 0.03 s: the moon is blue \(last seen: False\)"):
        eventually(lambda: False, 0.03, "the moon is blue")
