"""`ps`, `why`, `send local` and `schema`, at a device that runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.cli import local
from edge_runtime.errors import EdgeError
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.waiting import eventually


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevice]:
    with RunningDevice(crew(), tmp_path_factory.mktemp("local")) as device:
        device.wait_up()
        yield device


@pytest.fixture
def here(running: RunningDevice, monkeypatch: pytest.MonkeyPatch) -> RunningDevice:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(running.runtime_folder))
    return running


def test_ps_lists_every_part(here: RunningDevice, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == here.ps()
    assert main(["ps"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["PART", "STATE", "PID", "RESTARTS"]
    assert [line.split() for line in lines] == [
        [name, "up", str(part["pid"]), str(part["restarts"])] for name, part in here.ps().items()
    ]


def test_why_says_what_drives_a_parameter(here: RunningDevice, capsys: pytest.CaptureFixture[str]) -> None:
    def why(parameter: str) -> str:
        assert main(["why", parameter]) == 0
        return capsys.readouterr().out.strip()

    assert why("mirror/picture.zoom") == "mirror/picture.zoom = 1 (fixed in the config)"
    assert "(fallback: signal weather.rain never came)" in why("night/fill.warmth")
    assert here.send("set", parameter="night/fill.warmth", value=0.25, for_s=60).ok
    assert why("night/fill.warmth").startswith("night/fill.warmth = 0.25 (held by a command for ")
    assert here.send("set", parameter="night/fill.warmth", value=None).ok
    assert "held" not in why("night/fill.warmth")
    assert main(["why", "mirror/picture.zoom", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by"] == "fixed"


@pytest.mark.parametrize("parameter", ["mirror/picture.zom", "mirror/pictur.zoom", "miror/picture.zoom", "zoom"])
def test_why_of_what_is_not_there_is_one_line_with_what_is(
    here: RunningDevice, capsys: pytest.CaptureFixture[str], parameter: str
) -> None:
    assert here.control.exists()
    assert main(["why", parameter]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edge-runtime: no ")
    assert len(captured.err.splitlines()) == 1


def test_send_prints_the_answer_and_its_exit_code_says_yes_or_no(
    here: RunningDevice, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "local", "scene", "scene=night", "fade_s=0"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    eventually(lambda: here.status()["scene"]["name"] == "night", 3.0, "the scene is on")
    assert main(["send", "local", "identify", "seconds=1"]) == 0
    assert json.loads(capsys.readouterr().out)["device_id"] == "crew"
    assert main(["send", "local", "scene", "scene=nigth"]) == 1
    assert "known: mirror, night" in json.loads(capsys.readouterr().out)["reason"]
    assert main(["send", "local", "scene", "night"]) == 2
    assert "scene night: expected scene=, e.g. scene=night" in capsys.readouterr().err
    assert main(["send", "local", "screenshot"]) == 0
    picture = Path(json.loads(capsys.readouterr().out)["result"]["path"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    was = here.pid_of("camera:main")
    assert main(["send", "local", "restart-part", "part=camera:main"]) == 0
    here.wait_back("camera:main", not_pid=was)


def test_without_a_device_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "nobody"))
    for argv in (["ps"], ["why", "a/b.c"], ["send", "local", "identify", "seconds=1"]):
        assert main(argv) == 2
        captured = capsys.readouterr()
        assert captured.err.splitlines() == [
            "edge-runtime: no device runs on this box for this user; start one with `edge-runtime run CONFIG`"
        ]
    assert main(["ps", "--device", "foyer"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_box_that_a_service_runs_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "mine" / "x"))
    monkeypatch.setattr(local, "SERVICE", tmp_path / "service")
    (tmp_path / "service" / "foyer").mkdir(parents=True)
    (tmp_path / "service" / "control").touch()
    assert local.control_path(None) == tmp_path / "service" / "control"
    (tmp_path / "service" / "foyer" / "control").touch()
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "mine"))
    assert local.control_path("foyer") == tmp_path / "service" / "foyer" / "control"
    with pytest.raises(EdgeError, match="several devices run here: service, foyer; choose with --device"):
        local.control_path(None)


def test_schema_describes_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"device_id", "rate_hz", "display", "mqtt", "cameras", "signals", "models", "scenes", "ladder"} <= set(
        schema["properties"]
    )
    assert schema["additionalProperties"] is False
