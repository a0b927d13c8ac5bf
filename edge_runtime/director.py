"""The director: obeys commands on the show's side. Scene, parameters, brightness, blackout, identify, expose.

Commands were judged by the hub before they come here; what the show alone can know is refused here.
"""

import math
from typing import Any

from edge_runtime import logs
from edge_runtime.channel import Message
from edge_runtime.clock import Timeline
from edge_runtime.display.display import Display
from edge_runtime.errors import ChannelError, Refused
from edge_runtime.lettering import Face, Sprite, Wording
from edge_runtime.part import Part
from edge_runtime.scene import Canvas, Stage
from edge_runtime.signals import Snapshot

DEFAULT_FADE_S = 1.0
BRIGHTNESS_EASE_S = 0.25


class Director:
    """Holds what commands may change: the stage, brightness, blackout, the identify plate."""

    def __init__(self, part: Part, display: Display, stage: Stage) -> None:
        self._part, self._display, self.stage = part, display, stage
        self.dark = bool(part.state.get("blackout", False))
        self._brightness = self._shown_brightness = float(part.state.get("brightness", part.config.display.brightness))
        display.set_brightness(self._brightness)
        self._plate: Sprite | None = None
        self._plate_for = (0, 0)
        self._identify_until_s = -math.inf
        self._obeyed: list[float] = []
        self._on_air: tuple[str, ...] = ()
        self._expose: Message | None = None
        self._slot = part.writer("presented")
        self.signals: Snapshot = part.board.snapshot(0.0)

    @property
    def scene_index(self) -> int:
        """Place of the current scene in the config, for the trace."""
        return next(i for i, scene in enumerate(self._part.config.scenes) if scene.name == self.stage.current.name)

    def as_json(self) -> dict[str, object]:
        """What holds now, for the report."""
        return {"name": self.stage.current.name, "blackout": self.dark, "brightness": self._brightness}

    def take_obeyed(self) -> list[float]:
        """When the commands arrived whose effect the last frame showed first."""
        obeyed, self._obeyed = self._obeyed, []
        return obeyed

    def obey(self, messages: list[Message], now_s: float) -> None:
        """Act on what came in since the last frame; everything is answered."""
        if self._expose is not None:  # asked for before the last present
            self._answer_expose(now_s)
        for message in messages:
            match message.get("type"):
                case "apply":
                    self._apply(message, now_s)
                case "remind":  # of what held before the show was started anew: nobody asked for it now
                    self._answer(message, self._do, message, now_s)
                case "hold":
                    self._answer(message, self._hold, message, now_s)
                case "why":
                    self._answer(message, self._why, message, now_s)
                case "expose":
                    self._expose = message

    def _answer(self, message: Message, act: Any, *arguments: Any) -> bool:
        try:
            result: dict[str, Any] = {"ok": True, "result": act(*arguments)}
        except Refused as refusal:
            result = {"ok": False, "reason": str(refusal)}
        if "request" in message:
            self._part.send(message["from"], "reply", request=message["request"], result=result)
        return bool(result["ok"])

    def _apply(self, message: Message, now_s: float) -> None:
        if self._answer(message, self._do, message, now_s):
            self._obeyed.append(float(message.get("arrived_s", now_s)))

    def _do(self, message: Message, now_s: float) -> None:
        arguments = message["args"]
        match message["command"]:
            case "scene":
                fade_s = arguments.get("fade_s")
                was = self.stage.current.name
                self.stage.switch(arguments["scene"], DEFAULT_FADE_S if fade_s is None else float(fade_s))
                if self.stage.current.name != was:
                    logs.event("scene_changed", scene=arguments["scene"])
            case "set":
                until_s = None if arguments.get("for_s") is None else now_s + float(arguments["for_s"])
                parameters, name = self.stage.parameters(arguments["parameter"])
                parameters.hold(name, arguments["value"], until_s)
            case "blackout":
                self.dark = bool(arguments["on"])
            case "brightness":
                self._brightness = float(arguments["percent"])
            case "identify":
                self._identify_until_s = now_s + float(arguments["seconds"])
            case other:
                raise Refused(f"the show knows no command {other!r}")

    def _hold(self, message: Message, _now_s: float) -> None:
        parameters, name = self.stage.parameters(message["parameter"])
        parameters.hold(name, message["value"], message["until_s"])

    def _why(self, message: Message, _now_s: float) -> dict[str, object]:
        parameters, name = self.stage.parameters(str(message.get("parameter", "")))
        return parameters.why(name, self.signals)

    def _answer_expose(self, now_s: float) -> None:
        """Copy what the audience sees into the slot that screenshots are made from."""
        message, self._expose = self._expose, None
        assert message is not None
        width, height = self._display.screen_px
        result: dict[str, object]
        try:
            self._display.copy_presented(self._slot.next((height, width, 4)))
            result = {"ok": True, "sequence": self._slot.publish(now_s, now_s)}
        except ChannelError as error:
            result = {"ok": False, "reason": str(error)}
        self._part.send(message["from"], "reply", request=message["request"], result=result)

    def render(self, canvas: Canvas, timeline: Timeline, signals: Snapshot, hidden: frozenset[str]) -> None:
        """Draw the frame as commanded."""
        self.signals = signals
        if self._on_air != self.stage.on_air:
            self._on_air = self.stage.on_air
            self._part.put("show.scenes", ",".join(self._on_air))  # models that no scene uses rest
        self._ease_brightness(timeline.step_s)
        if self.dark:
            canvas.fill(0)
        else:
            self.stage.render(canvas, timeline, signals, hidden)
        if timeline.now_s < self._identify_until_s:
            self._identify(canvas)

    def _ease_brightness(self, step_s: float) -> None:
        left = self._brightness - self._shown_brightness
        if left == 0.0:
            return
        near = abs(left) < 0.5
        self._shown_brightness = (
            self._brightness if near else self._shown_brightness + left * min(1.0, step_s / BRIGHTNESS_EASE_S * 3)
        )
        self._display.set_brightness(self._shown_brightness)

    def _identify(self, canvas: Canvas) -> None:
        """A bright frame and the device's name: which of the hundred boxes is this?"""
        height, width = canvas.shape[:2]
        edge = height // 40
        for side in (canvas[:edge], canvas[-edge:], canvas[:, :edge], canvas[:, -edge:]):
            side[...] = 255
        if self._plate is None or self._plate_for != (height, width):
            wording = Wording(self._part.config.device_id, height // 7, round(width * 0.9), weight=700, shade=0.85)
            self._plate, self._plate_for = Face().set_now(wording), (height, width)
        self._plate.lay(canvas, (width - self._plate.width_px) // 2, (height - self._plate.height_px) // 2)
