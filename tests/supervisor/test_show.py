"""The show itself dies or hangs: a new picture in about a second, everything else stays as it was."""

import signal
from pathlib import Path

import pytest

from edge_runtime.clock import now_s
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.waiting import eventually

PICTURE_WITHIN_S = 3.0
"""Measured: 0.3 s after a kill, 1.3 s after a hang, on an idle machine of two cores."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_show_that_is_gone_is_back_with_all_that_it_was_told(device: RunningDevice, number: signal.Signals) -> None:
    others = {name: part["pid"] for name, part in device.ps().items() if name != "show"}
    level = 30.0 if number == signal.SIGKILL else 70.0
    for command, args in (
        ("set", {"parameter": "night/fill.speed", "value": 2.5}),
        ("set", {"parameter": "night/fill.energy", "value": 0.9, "for_s": 600}),
        ("scene", {"scene": "mirror", "fade_s": 0}),
        ("blackout", {"on": False}),
        ("blackout", {"on": number == signal.SIGKILL}),
        ("brightness", {"percent": level}),
        ("scene", {"scene": "night", "fade_s": 0}),  # killed at once: sooner than the state is written again
    ):
        ack = device.send(command, **args)
        assert ack.ok, ack.reason
    begun_s, before = now_s(), device.status()["frames"]
    was = device.hurt("show", number)
    device.wait_back("show", not_pid=was)
    shown = device.shown(begun_s)
    print(f"show {number.name}: no picture for {shown.longest_s:.2f} s")
    assert shown.longest_s < PICTURE_WITHIN_S
    eventually(lambda: device.shown(begun_s).presented > 30, 3.0, "it presents")
    told = {"name": "night", "blackout": number == signal.SIGKILL, "brightness": level}
    eventually(lambda: device.status()["scene"] == told, 3.0, f"it shows what it was told: {told}")
    assert {name: part["pid"] for name, part in device.ps().items() if name != "show"} == others
    speed, energy = device.why("night/fill.speed")["result"], device.why("night/fill.energy")["result"]
    assert (speed["value"], speed["by"]) == (2.5, "held")
    assert (energy["value"], energy["by"]) == (0.9, "held")
    assert 0 < energy["left_s"] <= 600
    frames = device.status()["frames"]  # of the whole run, and the darkness is part of it
    assert frames["presented"] >= before["presented"]
    assert frames["missed"] > before["missed"] + 5
    assert frames["due"] == frames["presented"] + frames["missed"]


def test_what_was_told_survives_a_restart_of_everything(tmp_path: Path) -> None:
    with RunningDevice(crew(), tmp_path) as device:
        device.wait_up()
        for command, args in (
            ("scene", {"scene": "night", "fade_s": 0}),
            ("brightness", {"percent": 40}),
            ("blackout", {"on": True}),
        ):
            assert device.send(command, **args).ok
        assert device.stop() == 0
        device.start()
        device.wait_up()
        scene = eventually(lambda: device.status()["scene"], 3.0, "the show reports")
        assert scene == {"name": "night", "blackout": True, "brightness": 40.0}
        assert device.events("scene_changed")[-1]["scene"] == "night"
        assert len(device.events("scene_changed")) == 1
        (restored,) = device.events("state_restored")
        assert (restored["scene"], restored["blackout"], restored["brightness"]) == ("night", True, 40.0)
        assert restored["path"] == str(device.state_folder / "state.json")
        told = eventually(lambda: device.events("preview")[1:], 3.0, "each run tells where its preview is")
        assert [event["path"] for event in told] == [str(device.runtime_folder / "preview.png")]
