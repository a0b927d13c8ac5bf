"""`init`: asked on a real terminal or told by flags, it writes one config that `check` accepts, or nothing."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.cli.init import detect_box, plugged_in
from edge_runtime.cli.templates import BOXES, SCREENS, canvas_for
from edge_runtime.config import DeviceConfig, load
from tests.fixtures.children import state
from tests.fixtures.device import REPOSITORY
from tests.fixtures.waiting import eventually

FOYER = ["--device-id", "foyer", "--camera", "synthetic", "--box", "laptop"]


def written(path: Path, *flags: str) -> DeviceConfig:
    assert main(["init", str(path), "--yes", *FOYER, *flags]) == 0
    return load(path)


class Terminal:
    """`edge-runtime init` at a real pseudo-terminal."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process, self._descriptor, self.text = process, descriptor, ""

    def read(self) -> str:
        """All that was said so far."""
        try:
            self.text += os.read(self._descriptor, 65536).decode()
        except BlockingIOError:
            pass
        except OSError:  # the other end is closed
            self.process.poll()
        return self.text

    def answer(self, question: str, answer: str) -> None:
        """Wait for a question, and only then answer it."""
        heard = len(self.text)
        eventually(lambda: re.search(rf"{question}[^\n]*\]: $", self.read()[heard:], re.DOTALL), 10.0, question)
        # Ctrl-C that comes between Python's prompt and its read is not seen before the next key; no person is so fast.
        eventually(lambda: state(self.process.pid) == "S", 10.0, "it waits for an answer")
        os.write(self._descriptor, answer.encode())

    def end(self) -> int:
        """The exit code."""
        eventually(lambda: (self.read(), self.process.poll() is not None)[1], 10.0, "it ends")
        return self.process.returncode


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    ours, its = pty.openpty()
    os.set_blocking(ours, False)
    # whoever started this test run may have had it ignore Ctrl-C, as a shell does in the background
    heeds = ["env", "--default-signal=INT"]
    command = ["setsid", "--ctty", *heeds, sys.executable, "-m", "edge_runtime", "init", *arguments]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(its)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_questions_are_answered_by_a_number_a_word_or_the_enter_key(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    with terminal(str(path), "--box", "jetson-agx-orin") as person:
        person.answer("Name of the box", "The Foyer\n")
        person.answer("small letters, digits and -\r\nName of the box", "foyer-left\n")
        person.answer("Kind of screen: 1 landscape  2 portrait", "2\n")
        person.answer("degrees: 0  90", "270\n")
        person.answer("Size", "\n")
        person.answer("Camera", "rtsp://10.0.0.7/stream\n")
        person.answer("Broker", "mqtt://venue:1884\n")
        person.answer("Screenshots", "blurred\n")
        person.answer("AI label", "von einer KI\n")
        person.answer("First scene", "drift\n")
        assert person.end() == 0
    config = load(path)
    assert (config.device_id, config.first_scene, config.label.text) == ("foyer-left", "drift", "von einer KI")
    assert (config.display.rotation, config.display.canvas_px) == (270, (720, 1280))
    assert config.display.screenshots == "blurred"
    assert config.cameras[0].source == "rtsp://10.0.0.7/stream"
    assert (config.mqtt and config.mqtt.url, config.replay) == ("mqtt://venue:1884", None)
    assert f"edge-runtime run {path}" in person.text


@pytest.mark.parametrize(("keys", "code", "words"), [("\x04", 2, "nothing was written"), ("\x03", 130, "")])
def test_who_breaks_off_has_nothing_written(tmp_path: Path, keys: str, code: int, words: str) -> None:
    with terminal(str(tmp_path / "device.toml")) as person:
        person.answer("Name of the box", "foyer\n")
        person.answer("Kind of box", keys)
        assert person.end() == code
    assert words in person.text
    assert "Traceback" not in person.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("broker", ["none", "mqtts://venue"])
def test_every_box_with_every_screen_gives_a_config_that_check_has_nothing_to_say_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], box: str, screen: str, broker: str
) -> None:
    path = tmp_path / "device.toml"
    flags = ["--device-id", "foyer", "--box", box, "--screen", screen, "--broker", broker]
    assert main(["init", str(path), "--yes", *flags]) == 0
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().err == ""
    config, limits = load(path), load(REPOSITORY / "device_configs" / f"{box}.toml").governor
    assert (config.replay is None, config.mqtt is None) == (broker != "none", broker == "none")
    assert (config.governor.max_temperature_c or 999) <= (limits.max_temperature_c or 0)
    assert (config.governor.min_memory_free_mb or 0) >= (limits.min_memory_free_mb or 999)
    assert "# " in path.read_text(encoding="utf-8").split("[display]")[1]


def test_flags_stand_in_for_answers(tmp_path: Path) -> None:
    path = tmp_path / "device.toml"
    config = written(
        path, "--size", "3840x1080", "--label", 'KI: "nicht echt"', "--scene", "drift", "--rotation", "180"
    )
    assert (config.device_id, config.first_scene, config.label.text) == ("foyer", "drift", 'KI: "nicht echt"')
    width, height = config.display.canvas_px
    assert width / height == pytest.approx(3840 / 1080, rel=0.01)
    assert width * height <= 1280 * 720
    assert config.display.rotation == 180


def test_a_canvas_is_never_larger_than_the_screen_and_its_sides_are_even() -> None:
    assert canvas_for((1920, 1080), (1280, 720)) == (1280, 720)
    assert canvas_for((800, 481), (1280, 720)) == (800, 480)


def test_no_label_is_written_where_that_is_asked_for_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not written(tmp_path / "device.toml", "--label", "none").label.enabled
    assert "the AI label is off" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--device-id", "The Foyer"], "--device-id 'The Foyer': expected 1 to 60 small letters"),
        (["--box", "toaster"], "--box 'toaster' is none of: laptop, desktop-rtx"),
        (["--screen", "round"], "--screen 'round' is none of: landscape, portrait"),
        (["--rotation", "45"], "--rotation '45' is none of: 0, 90, 180, 270"),
        (["--size", "big"], "--size 'big': expected WIDTHxHEIGHT"),
        (["--size", "0x1080"], "--size '0x1080': expected WIDTHxHEIGHT"),
        (["--camera", "webcam"], "--camera 'webcam': source = 'webcam': expected synthetic, device:0"),
        (["--screen", "wide", "--camera", "synthetic"], "--camera 'synthetic' is none of: none"),
        (["--broker", "http://venue"], "--broker 'http://venue': url = 'http://venue'"),
        (["--broker", "mqtt://me:secret@venue"], "--broker 'mqtt://***@venue': url = 'mqtt://***@venue'"),
        (["--broker", "mqtt://venue:99999"], "--broker 'mqtt://venue:99999': mqtt.url"),
        (["--screenshots", "sold"], "--screenshots 'sold' is none of: allowed, blurred, forbidden"),
        (["--label", "x" * 61], "text = "),
        (["--scene", "nowhere"], "--scene 'nowhere' is none of: mirror, drift"),
        (["--camera", "file:gone.mp4"], "gone.mp4': no such file"),
    ],
)
def test_nonsense_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert main(["init", str(tmp_path / "device.toml"), "--yes", "--box", "laptop", *flags]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert words in line
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "device.toml"
    path.write_text("mine\n")
    assert main(["init", str(path), "--yes", *FOYER]) == 2
    assert "is there already and stays as it is" in capsys.readouterr().err
    assert path.read_text() == "mine\n"
    assert written(path, "--force").device_id == "foyer"


def test_a_folder_that_is_not_there_is_told_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "gone" / "device.toml"), "--yes", *FOYER]) == 2
    assert "is no folder that this user may write to" in capsys.readouterr().err


def test_without_a_terminal_it_asks_nothing_and_says_how(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_runtime", "init", str(tmp_path / "device.toml")]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--yes takes the default" in done.stderr


@pytest.mark.parametrize(
    ("board", "box"),
    [
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0", "jetson-orin-nano"),
        ("NVIDIA Jetson AGX Orin Developer Kit\0", "jetson-agx-orin"),
        ("NVIDIA Jetson AGX Thor Developer Kit\0", "jetson-thor"),
        ("NVIDIA Jetson Orin NX 16GB\0", "jetson-orin-nano"),
        ("Raspberry Pi 5\0", "laptop"),
    ],
)
def test_a_jetson_is_known_by_its_board(tmp_path: Path, board: str, box: str) -> None:
    (tmp_path / "model").write_text(board)
    assert detect_box(tmp_path / "model", tmp_path / "none") == box


def test_an_nvidia_driver_means_a_desktop(tmp_path: Path) -> None:
    assert detect_box(tmp_path / "none", tmp_path) == "desktop-rtx"


def test_cameras_are_named_by_what_stays_right_when_plugs_change(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert plugged_in(tmp_path) == (str(tmp_path / "video0"),)
    (tmp_path / "v4l" / "by-id").mkdir(parents=True)
    for index in (0, 1):
        (tmp_path / "v4l" / "by-id" / f"usb-Eye-video-index{index}").touch()
    assert plugged_in(tmp_path) == (str(tmp_path / "v4l/by-id/usb-Eye-video-index0"),)
