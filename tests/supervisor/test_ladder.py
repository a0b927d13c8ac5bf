"""The governor in a whole device: what is too heavy steps down the ladder, the worker follows, and there it stays."""

from pathlib import Path

from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.waiting import eventually, throughout

HEAVY = """
[[scenes]]
name = "heavy"
[[scenes.layers]]
kind = "fill"
style = "aurora"
[[scenes.layers]]
kind = "particles"
preset = "snow"
rate = 4000
[[scenes.layers]]
kind = "particles"
name = "more"
preset = "rain"
rate = 4000

[[ladder]]
name = "full"

[[ladder]]
name = "half"
canvas_scale = 0.5
models.echo = { size_px = [240, 136] }

[[ladder]]
name = "least"
canvas_scale = 0.1
hide = ["heavy/particles", "heavy/more"]
models.echo = { size_px = [160, 90], rate_hz = 10 }
"""


def test_a_scene_too_heavy_for_the_rate_steps_down_and_does_not_flap(tmp_path: Path) -> None:
    config = crew('start_scene = "heavy"', HEAVY).replace("rate_hz = 60", "rate_hz = 120", 1)
    config = config.replace('bundle = "null"', 'bundle = "null"\nrest = "never"', 1)  # the scene shows no picture of it
    with RunningDevice(config.replace("[640, 360]", "[3840, 2160]", 1), tmp_path) as device:
        eventually(device.control.exists, 10.0, "it listens")

        def rung() -> object:
            return device.status()["governor"].get("rung")

        eventually(lambda: rung() == "least", 30.0, "it takes the last rung")
        picture = device.reader("picture.echo")

        def shape() -> tuple[int, ...]:
            frame = picture.latest()
            return frame.array.shape if frame else ()

        eventually(lambda: shape() == (90, 160, 3), 5.0, "the worker follows")
        steps = [(event["was"], event["rung"]) for event in device.events("rung_changed")]
        assert steps == [("full", "half"), ("half", "least")]
        assert all(event["level"] == "warning" for event in device.events("rung_changed"))
        throughout(lambda: rung() == "least", 4.0, "it stays there")
        governor = device.status()["governor"]
        assert governor == {"rung": "least", "changes": 2}
        assert device.status()["display"]["canvas_px"] == [384, 216]
        assert device.why("heavy/more.rate")["ok"]
