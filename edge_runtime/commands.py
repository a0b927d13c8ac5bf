"""Commands: what a venue may ask of a box, and the judge who says no.

Pure: bytes and the time go in, a typed command or a reason comes out. A refusal is always told to the sender, so
every reason names what was seen and what was expected. Who carries a command out is the hub's business.
"""

import json
import math
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field, ValidationError, field_validator

from edge_runtime.config import DeviceConfig
from edge_runtime.config.base import Strict
from edge_runtime.errors import Refused
from edge_runtime.layout import TEXT_BYTES

MAX_COMMAND_BYTES = 8 * 1024
MAX_EXPIRES_S = 3600.0
CLOCK_TOLERANCE_S = 2.0
"""How far two clocks kept by NTP may be apart, and then some."""
MAX_AHEAD_S = 60.0
"""A command from further in the future comes from a wrong clock, and its expiry means nothing."""
MAX_SCHEDULE_S = 24 * 3600.0
REMEMBERED_IDS = 1000
MAX_HOLD_S = 24 * 3600.0
MAX_TEXT_LETTERS = 400
Range = tuple[float, float]
_Kind = TypeVar("_Kind", bound="_Checked")


class CommandRefused(Refused):
    """A refusal with the id to answer to, where one could be read."""

    def __init__(self, reason: str, command_id: str | None = None) -> None:
        super().__init__(reason)
        self.command_id = command_id


class _Checked(Strict):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Command(_Checked):
    """One command's arguments. `NAME` is its word in topics and on the command line."""

    NAME: ClassVar[str]


class SceneCommand(Command):
    """Show a scene; `at` is a Unix time, so that several boxes change together."""

    NAME = "scene"
    scene: str
    fade_s: float | None = Field(None, ge=0, le=60)
    at: float | None = None


class SetCommand(Command):
    """Hold a parameter at a value, for ever or `for_s`; null releases it."""

    NAME = "set"
    parameter: str
    value: float | str | None
    for_s: float | None = Field(None, gt=0, le=MAX_HOLD_S)


class PromptCommand(Command):
    """Words for the scene that listens to the signal prompt.text."""

    NAME = "prompt"
    text: str = Field(max_length=200)

    @field_validator("text")
    @classmethod
    def _showable(cls, text: str) -> str:
        _require_showable(text)
        if (size_bytes := len(text.encode())) > TEXT_BYTES:
            raise ValueError(f"takes {size_bytes} bytes, {TEXT_BYTES} at most")
        return text


class BlackoutCommand(Command):
    """Darken the screen, or show the picture again."""

    NAME = "blackout"
    on: bool


class BrightnessCommand(Command):
    """Dim the picture."""

    NAME = "brightness"
    percent: float = Field(ge=0, le=100)


class ScreenshotCommand(Command):
    """Keep the presented picture as a file on the box."""

    NAME = "screenshot"


class IdentifyCommand(Command):
    """Show which box this is."""

    NAME = "identify"
    seconds: float = Field(10.0, gt=0, le=60)


class RestartPartCommand(Command):
    """End one part; the supervisor starts it again."""

    NAME = "restart-part"
    part: str


COMMANDS: dict[str, type[Command]] = {
    kind.NAME: kind
    for kind in (
        SceneCommand,
        SetCommand,
        PromptCommand,
        BlackoutCommand,
        BrightnessCommand,
        ScreenshotCommand,
        IdentifyCommand,
        RestartPartCommand,
    )
}


class Envelope(_Checked):
    """What every command comes in."""

    id: str = Field(pattern=r"^[\x21-\x7e]{1,64}$", description="1 to 64 printable characters, never used twice")
    issued_at: float = Field(ge=0, description="Unix seconds, UTC")
    expires_s: float = Field(gt=0, le=MAX_EXPIRES_S, description="after that it is not obeyed any more")
    args: dict[str, Any] = Field(description="of the command, see below")


class Desired(_Checked):
    """What must hold whatever happens; newer than what is held when its revision is larger."""

    revision: int = Field(ge=0, le=2**53, description="larger each time")
    scene: str | None = Field(None, description="what is left out stays as it is")
    blackout: bool | None = None
    brightness: float | None = Field(None, ge=0, le=100, description="percent")


@dataclass(frozen=True, slots=True)
class Order:
    """A command that is to be obeyed."""

    id: str
    command: Command


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every name that commands of this device may use."""

    scenes: frozenset[str]
    parameters: Mapping[str, Range | None]
    """`scene/layer.parameter` and `models.NAME.parameter` to their range; None: a text."""
    parts: frozenset[str]

    @classmethod
    def build(cls, config: DeviceConfig, model_parameters: Mapping[str, Mapping[str, Range | None]]) -> "Vocabulary":
        """The names of a config. `model_parameters`: what each model's bundle can be told, by model name."""
        parameters: dict[str, Range | None] = {
            f"{scene.name}/{layer.name}.{name}": limits
            for scene in config.scenes
            for layer in scene.layers
            for name, limits in layer.PARAMETERS.items()
        }
        for model, ranges in model_parameters.items():
            parameters |= {f"models.{model}.{name}": limits for name, limits in ranges.items()}
        cameras = [f"camera:{camera.name}" for camera in config.cameras]
        workers = [f"worker:{worker}" for worker in config.workers]
        return cls(
            frozenset(scene.name for scene in config.scenes),
            parameters,
            frozenset(["show", "hub", *cameras, *workers]),
        )

    def require_scene(self, name: str) -> None:
        """Raises `Refused` for a scene that this device does not have."""
        if name not in self.scenes:
            raise Refused(f"no scene {_short(name)}; known: {', '.join(sorted(self.scenes))}")

    def require_part(self, name: str) -> None:
        """Raises `Refused` for a part that this device does not have."""
        if name not in self.parts:
            raise Refused(f"no part {_short(name)}; known: {', '.join(sorted(self.parts))}")

    def require_value(self, parameter: str, value: float | str | None) -> None:
        """Raises `Refused` for an unknown parameter, a value of the wrong kind or one out of range. None fits any."""
        if parameter not in self.parameters:
            near = sorted(name for name in self.parameters if name.rpartition(".")[0] == parameter.rpartition(".")[0])
            hint = f"known there: {', '.join(near)}" if near else "use scene/layer.parameter or models.NAME.parameter"
            raise Refused(f"no parameter {_short(parameter)}; {hint}")
        limits = self.parameters[parameter]
        if value is None:
            return
        if limits is None:
            if not isinstance(value, str):
                hint = f"""put it in quotes, on the command line value='"{value:g}"'"""
                raise Refused(f"{parameter} = {_short(value)}: expected a text; {hint}")
            if len(value) > MAX_TEXT_LETTERS:
                raise Refused(f"{parameter}: a text of {len(value)} characters, {MAX_TEXT_LETTERS} at most")
            try:
                _require_showable(value)
            except ValueError as error:
                raise Refused(f"{parameter} = {_short(value)}: {error}") from error
        elif isinstance(value, str):
            raise Refused(f"{parameter} = {_short(value)}: expected a number from {limits[0]:g} to {limits[1]:g}")
        elif not limits[0] <= value <= limits[1]:
            raise Refused(f"{parameter} = {value:g}: expected {limits[0]:g} to {limits[1]:g}")


class Judge:
    """Says what is to be obeyed. Pure: it is told the time. Used from one thread."""

    def __init__(self, vocabulary: Vocabulary, *, trust_clock: bool = True) -> None:
        self.vocabulary = vocabulary
        self._trust_clock = trust_clock
        self._seen: OrderedDict[str, None] = OrderedDict()

    def parse(self, name: str, payload: bytes, *, retained: bool, now_unix_s: float, waited_s: float = 0.0) -> Order:
        """Judge one command.

        Args:
            name: the last level of its topic.
            payload: its envelope, as it came.
            retained: the broker had kept it, or was told to.
            now_unix_s: wall time; only looked at where the clock is trusted.
            waited_s: how long it lay here since it arrived.

        Raises:
            CommandRefused: with the reason, and the id where one could be read. Nothing is remembered of it.
        """
        tree = _read_envelope(payload)
        candidate = tree.get("id")
        command_id = candidate if isinstance(candidate, str) and 0 < len(candidate) <= 64 else None
        try:
            envelope = _validate(Envelope, tree, "")
            if retained:
                raise Refused("retained commands are never obeyed; publish it without the retain flag")
            if envelope.id in self._seen:
                raise Refused("duplicate: a command with this id was obeyed before")
            self._require_timely(envelope, now_unix_s, waited_s)
            command = self._command(name, envelope.args, now_unix_s)
        except Refused as error:
            raise CommandRefused(str(error), command_id) from error
        self._seen[envelope.id] = None
        if len(self._seen) > REMEMBERED_IDS:
            self._seen.popitem(last=False)
        return Order(envelope.id, command)

    def parse_desired(self, payload: bytes) -> Desired:
        """Read what must hold.

        Raises:
            Refused: it is malformed or names a scene that this device does not have.
        """
        desired = _validate(Desired, _read_envelope(payload), "")
        if desired.scene is not None:
            self.vocabulary.require_scene(desired.scene)
        return desired

    def _require_timely(self, envelope: Envelope, now_unix_s: float, waited_s: float) -> None:
        if waited_s > envelope.expires_s:
            raise Refused(f"expired: it waited {waited_s:.1f} s here, expires_s = {envelope.expires_s:g}")
        if not self._trust_clock:
            return
        age_s = now_unix_s - envelope.issued_at
        if age_s > envelope.expires_s + CLOCK_TOLERANCE_S:
            raise Refused(f"expired: issued {age_s:.1f} s ago by this box's clock, expires_s = {envelope.expires_s:g}")
        if -age_s > MAX_AHEAD_S:
            raise Refused(f"issued {-age_s:.0f} s in the future by this box's clock; set the sender's clock")

    def _command(self, name: str, args: dict[str, Any], now_unix_s: float) -> Command:
        kind = COMMANDS.get(name)
        if kind is None:
            raise Refused(f"no command {_short(name)}; known: {', '.join(COMMANDS)}")
        command = _validate(kind, args, "args.")
        match command:
            case SceneCommand():
                self.vocabulary.require_scene(command.scene)
                self._require_schedule(command.at, now_unix_s)
            case SetCommand():
                self.vocabulary.require_value(command.parameter, command.value)
            case RestartPartCommand():
                self.vocabulary.require_part(command.part)
        return command

    def _require_schedule(self, at_unix_s: float | None, now_unix_s: float) -> None:
        if at_unix_s is None:
            return
        if not self._trust_clock:
            raise Refused("args.at: the clock of this box is not trusted (mqtt.trust_clock = false); leave it out")
        if not -CLOCK_TOLERANCE_S <= at_unix_s - now_unix_s <= MAX_SCHEDULE_S:
            ahead_s = at_unix_s - now_unix_s
            raise Refused(f"args.at is {ahead_s:.0f} s from now; expected 0 to {MAX_SCHEDULE_S:g}")


def read_json(payload: bytes, limit_bytes: int) -> Any:
    """What a payload says, for senders that are not trusted.

    Raises:
        Refused: too large, not UTF-8, not JSON, nested too deeply, a key twice, a number that is not finite, half a
            character.
    """
    if len(payload) > limit_bytes:
        raise Refused(f"{len(payload)} bytes, {limit_bytes} at most")
    try:
        text = payload.decode("utf-8")
        tree = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole, object_pairs_hook=_no_key_twice
        )
        if "\\u" in text:  # only an escape can bring in a lone surrogate, which nothing downstream can encode
            json.dumps(tree, ensure_ascii=False).encode()
    except RecursionError:
        raise Refused("not JSON that anybody means: nested too deeply") from None
    except ValueError as error:
        raise Refused(f"not JSON: {_short(str(error), 120)}") from error
    return tree


def _read_envelope(payload: bytes) -> dict[str, Any]:
    try:
        tree = read_json(payload, MAX_COMMAND_BYTES)
    except Refused as error:
        raise CommandRefused(str(error)) from error
    if not isinstance(tree, dict):
        raise CommandRefused(f"expected a JSON object, got {_short(tree)}")
    return tree


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"{digits[:20]}... is too large")
    return int(digits)


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("a key is there twice")
    return tree


def _require_showable(text: str) -> None:
    if any(unicodedata.category(sign) == "Cc" and sign != "\n" for sign in text):
        raise ValueError("control characters cannot be shown")


def _validate(kind: type[_Kind], tree: dict[str, Any], prefix: str) -> _Kind:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
    key = prefix + str(first["loc"][0])[:60]
    known = ", ".join(kind.model_fields) or "none"
    match first["type"]:
        case "missing":
            raise Refused(f"{key}: is missing")
        case "extra_forbidden":
            raise Refused(f"{key}: no such key; known: {known}")
        case "finite_number" | "int_parsing_size":
            raise Refused(f"{key}: too large a number")
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    raise Refused(f"{key} = {_short(first['input'])}: {expected}")


def _short(value: object, length: int = 60) -> str:
    text = value if isinstance(value, str) and length > 60 else repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."
