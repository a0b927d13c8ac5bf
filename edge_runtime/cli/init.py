"""`edge-runtime init`: a device config for this box, by a few questions or by flags."""

import argparse
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from edge_runtime.cli.check import examine, tell
from edge_runtime.cli.templates import BOXES, SCREENS, Answers, fill, template
from edge_runtime.config import CameraConfig, DeviceConfig, LabelConfig, MqttConfig, bundle_folders, load
from edge_runtime.config.base import SizePx, redact
from edge_runtime.config.faults import first_line
from edge_runtime.control.broker import address
from edge_runtime.errors import EdgeError

NONE = "none"
_SCREENSHOTS = ("allowed", "blurred", "forbidden")
_ROTATIONS = ("0", "90", "180", "270")
_JETSONS = {"Thor": "jetson-thor", "AGX Orin": "jetson-agx-orin"}
_SIDE_PX = range(64, 16385)

Fault = Callable[[str], str | None]
"""What is wrong with an answer; None: nothing."""


def _no_fault(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to know. Its key is that of its flag."""

    key: str
    words: str
    default: str
    choices: Sequence[str] = ()
    open: bool = False
    """Something else than the choices may be answered."""
    fault: Fault = _no_fault

    @property
    def numbered(self) -> bool:
        """A number picks a choice, where choices are not numbers themselves."""
        return not any(choice.isdecimal() for choice in self.choices)

    @property
    def prompt(self) -> str:
        """What is asked, with what a number picks and what the Enter key means."""
        listed = [f"{number} {choice}" if self.numbered else choice for number, choice in enumerate(self.choices, 1)]
        offered = f": {'  '.join(listed)}" if listed else ""
        return f"{self.words}{offered} [{self.default}]: "

    def judge(self, answer: str) -> str:
        """The answer that is meant.

        Raises:
            EdgeError: it cannot be used; names the flag, the value and what was expected.
        """
        flag = f"--{self.key.replace('_', '-')} {redact(answer)!r}"
        if self.choices and not self.open and answer not in self.choices:
            raise EdgeError(f"{flag} is none of: {', '.join(self.choices)}")
        if fault := self.fault(answer):
            raise EdgeError(f"{flag}: {fault}")
        return answer


class Interview:
    """Takes every answer from its flag; else asks, or takes the default where nobody is to be asked."""

    def __init__(self, given: dict[str, str | None], *, asks: bool) -> None:
        self._given = given
        self._asks = asks

    def take(self, question: Question) -> str:
        """One answer that can be used."""
        given = self._given[question.key]
        if given is not None:
            return question.judge(given)
        if not self._asks:
            return question.default
        while True:
            answer = _ask(question.prompt) or question.default
            if question.numbered and answer.isdecimal() and 1 <= int(answer) <= len(question.choices):
                return question.choices[int(answer) - 1]
            try:
                return question.judge(answer)
            except EdgeError as fault:
                print(f"  {fault}")


def run(arguments: argparse.Namespace) -> int:
    """Ask, write one file that `check` accepts, and say what comes next."""
    path: Path = arguments.file
    folder = path.absolute().parent
    if path.exists() and not arguments.force:
        raise EdgeError(f"{path}: is there already and stays as it is; name another file, or --force to replace it")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise EdgeError(f"{path}: cannot be written: {folder} is no folder that this user may write to")
    if not arguments.yes and not sys.stdin.isatty():
        raise EdgeError("nobody is here to be asked: --yes takes the default for what no flag names")
    answers = _hold(Interview(vars(arguments), asks=not arguments.yes))
    config = _write(path, fill(answers), bundle_folders(models.resolve() for models in arguments.models))
    if config is None:
        return 2
    name = shlex.quote(str(path))
    print(f"{path}: {config.device_id}, {answers.screen} on {answers.box}, begins with {config.first_scene}; next:")
    print(f"  edge-runtime doctor {name}   # is this machine fit for it?")
    print(f"  edge-runtime run {name}      # the picture")
    return 0


def _hold(interview: Interview) -> Answers:
    """All questions, in the order in which one answer gives the next its default."""
    take = interview.take
    device_id = take(Question("device_id", "Name of the box", _host_name(), fault=_device_id_fault))
    box = take(Question("box", "Kind of box", detect_box(), BOXES))
    screen = take(Question("screen", "Kind of screen", "landscape", tuple(SCREENS)))
    nearest = load(template(box, screen))
    display = nearest.display
    turned, size = str(display.rotation), "x".join(map(str, display.canvas_px))
    rotation = take(Question("rotation", "Picture turned clockwise, degrees", turned, _ROTATIONS))
    size = take(Question("size", "Size or shape of the screen, as people see it", size, fault=_size_fault))
    cameras = (*plugged_in(), "synthetic") if nearest.cameras else (NONE,)
    by_config = _fault_by(CameraConfig, "source") if nearest.cameras else _no_fault
    camera = take(Question("camera", "Camera", cameras[0], cameras, open=bool(nearest.cameras), fault=by_config))
    broker = take(Question("broker", f"Broker, mqtt://HOST or mqtts://HOST, or {NONE}", NONE, fault=_broker_fault))
    screenshots = take(Question("screenshots", "Screenshots", display.screenshots, _SCREENSHOTS))
    by_config = _fault_by(LabelConfig, "text")
    label = take(Question("label", f"Words of the AI label, or {NONE}", nearest.label.text, fault=by_config))
    scene = take(Question("scene", "First scene", nearest.first_scene, [scene.name for scene in nearest.scenes]))
    return Answers(
        device_id=device_id,
        box=box,
        screen=screen,
        scene=scene,
        rotation=int(rotation) if rotation != turned else None,
        size_px=_size(size),
        camera=camera if nearest.cameras else None,
        broker=None if broker == NONE else broker,
        screenshots=screenshots if screenshots != display.screenshots else None,
        label="" if label == NONE else label if label != nearest.label.text else None,
    )


def _ask(words: str) -> str:
    try:
        return input(words).strip()
    except EOFError as error:
        print()
        raise EdgeError("the answers ended early; nothing was written") from error


def _write(path: Path, text: str, folders: list[Path]) -> DeviceConfig | None:
    """The config, once it has taken its place; None, and nothing has changed, where `check` would refuse it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")  # beside it, so that what it names is found
    try:
        draft.write_text(text, encoding="utf-8")
        config = load(draft)
        if not tell(examine(config, folders), path):
            return None
        draft.replace(path)
    except OSError as error:
        raise EdgeError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
    return config


def detect_box(board: Path = Path("/proc/device-tree/model"), driver: Path = Path("/proc/driver/nvidia")) -> str:
    """The likeliest: a Jetson says its name, elsewhere NVIDIA's driver means a desktop. Source: devicetree, `model`."""
    name = board.read_text(errors="ignore") if board.is_file() else ""
    if "Jetson" in name:
        return next((box for word, box in _JETSONS.items() if word in name), "jetson-orin-nano")
    return "desktop-rtx" if driver.exists() else "laptop"


def plugged_in(devices: Path = Path("/dev")) -> tuple[str, ...]:
    """Cameras, where possible by names that stay right when plugs change; index0 is what gives pictures."""
    found = sorted(devices.glob("v4l/by-id/*index0")) or sorted(devices.glob("video*"))
    return tuple(str(path) for path in found)


def _host_name() -> str:
    return re.sub(r"[^a-z0-9]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")[:60] or "box"


def _fault_by(section: type[BaseModel], key: str) -> Fault:
    """What a section of the config says of one of its keys."""

    def fault(answer: str) -> str | None:
        try:
            section.model_validate({key: answer})
        except ValidationError as error:
            return first_line(error, section).removeprefix(".")
        return None

    return fault


def _device_id_fault(answer: str) -> str | None:
    return None if re.fullmatch(r"[a-z0-9-]{1,60}", answer) else "expected 1 to 60 small letters, digits and -"


def _broker_fault(answer: str) -> str | None:
    if answer == NONE:
        return None
    if fault := _fault_by(MqttConfig, "url")(answer):
        return fault
    try:
        address(MqttConfig(url=answer))
    except EdgeError as error:
        return str(error)
    return None


def _size(answer: str) -> SizePx | None:
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", answer)
    return (int(sides[1]), int(sides[2])) if sides else None


def _size_fault(answer: str) -> str | None:
    size_px = _size(answer)
    if size_px and all(side in _SIDE_PX for side in size_px):
        return None
    return f"expected WIDTHxHEIGHT, each {_SIDE_PX[0]} to {_SIDE_PX[-1]} pixels, e.g. 1920x1080"
