"""`replay`, `send` over MQTT and `demo`, with a real broker."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.control.local import request
from edge_runtime.errors import ChannelError
from tests.fixtures.broker import Mosquitto
from tests.fixtures.children import find_program
from tests.fixtures.device import REPOSITORY, RunningDevice, crew
from tests.fixtures.waiting import eventually

SECONDS = 20.0
WITH_BROKER = """
[mqtt]
url = "{url}"
"""


@pytest.mark.broker
def test_a_recording_played_into_the_broker_reaches_the_picture(
    mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = crew(WITH_BROKER.format(url=mosquitto.url))
    config = config.replace('name = "weather.rain"', 'name = "weather.rain"\nmqtt = "venue/weather"\npointer = "/rain"')
    recording = tmp_path / "venue.jsonl"
    line = {"at_s": 0.2, "topic": "venue/weather", "payload": {"rain": 7.5}}
    recording.write_text(json.dumps(line) + "\n" + json.dumps({**line, "at_s": 0.4}) + "\n")
    with RunningDevice(config, tmp_path) as device:
        device.wait_up()
        eventually(lambda: device.events("mqtt_connected"), 5.0, "it is connected")
        assert main(["replay", str(recording), "--url", mosquitto.url, "--once"]) == 0
        rain = eventually(lambda: device.value_of("weather.rain"), 5.0, "rain came in")
        assert rain == 7.5
        capsys.readouterr()
        assert main(["send", "crew", "scene", "scene=night", "--url", mosquitto.url]) == 0
        (ack,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
        assert (ack["device_id"], ack["ok"]) == ("crew", True)
        assert main(["send", "crew", "scene", "scene=x", "--url", mosquitto.url]) == 1


@pytest.mark.broker
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_demo_talks_through_a_broker_of_its_own_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    if find_program("mosquitto") is None:
        pytest.skip("mosquitto is not installed")
    folders = {"RUNTIME_DIRECTORY": str(tmp_path / "run"), "STATE_DIRECTORY": str(tmp_path / "state")}
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_runtime", "demo", "--headless", "--json"],
            cwd=REPOSITORY,
            env={**os.environ, **folders},
            stdin=subprocess.DEVNULL,
            stdout=out,
        )

    def rain() -> object:
        try:
            return request(tmp_path / "run" / "control", "status")["signals"]["weather.rain"]["value"] is not None
        except (ChannelError, KeyError):
            return None

    mark = f"RUNTIME_DIRECTORY={folders['RUNTIME_DIRECTORY']}\0".encode()

    def alive() -> list[str]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    found.append((folder / "comm").read_text().strip())
            except OSError:
                continue
        return found

    try:
        eventually(rain, SECONDS, "the venue's weather reaches the board")
        assert "mosquitto" in alive()
        process.send_signal(number)
        code = process.wait(SECONDS)
        assert code == (0 if number == signal.SIGTERM else -number)
        eventually(lambda: not alive(), 5.0, "nothing is left")
    finally:
        process.kill()
        process.wait()
