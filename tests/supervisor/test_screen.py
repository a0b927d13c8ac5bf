"""The screen that comes late: a show that stands in without one gives way to it."""

import subprocess
from pathlib import Path

import pytest

from tests.fixtures.children import bound_to_us, find_program, stop_child
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.waiting import eventually


@pytest.mark.display
def test_an_x_server_that_starts_after_the_show_gets_its_picture(tmp_path: Path) -> None:
    program = find_program("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed")
    number = next(n for n in range(140, 400) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    with RunningDevice(crew(), tmp_path, options=(), environment={"DISPLAY": f":{number}"}) as device:
        eventually(lambda: device.events("display_headless"), 10.0, "it goes on without a screen, and says so")
        device.wait_up()
        assert device.status()["display"]["kind"] == "headless"
        screen = [program, f":{number}", "-screen", "0", "640x360x24", "-nolisten", "tcp"]
        server = subprocess.Popen(bound_to_us(screen), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: device.status()["display"].get("kind") == "surface", 15.0, "a picture on the screen")
            device.stop()
        finally:
            stop_child(server)
