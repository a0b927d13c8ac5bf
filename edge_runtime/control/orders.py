"""Carrying out commands that were judged: which part does it, what is remembered of it, what its sender is told.

Scene, blackout and brightness are remembered on disk and reach a restarted show through its plan. Held parameters are
remembered here and sent again to a part that started anew; a file keeps them for our own successor. What `desired`
asks is asked of the show until it obeys.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge_runtime.clock import now_s, wall_s
from edge_runtime.commands import (
    BlackoutCommand,
    BrightnessCommand,
    Command,
    Desired,
    IdentifyCommand,
    Order,
    PromptCommand,
    RestartPartCommand,
    SceneCommand,
    ScreenshotCommand,
    SetCommand,
)
from edge_runtime.control.announcements import Announcements
from edge_runtime.control.background import Background, Done
from edge_runtime.control.holds import Hold, Holds
from edge_runtime.control.pictures import KEPT_SCREENSHOTS, PictureWriter, copy_picture
from edge_runtime.control.promises import PromiseFile, Promises
from edge_runtime.control.requests import Answer, Requests, Result
from edge_runtime.control.state import StateFile
from edge_runtime.errors import Refused
from edge_runtime.logs import event
from edge_runtime.part import Part

SCHEDULED_SCENES = 32
LAST_WORDS_S = 0.3
"""Between the ack of a restart of the hub itself and its end."""
Tell = Callable[[Mapping[str, object]], None]
"""Gives a command's ack to its sender."""


class Orders:
    """The hub's executive. Used from the hub's thread; nothing here waits."""

    def __init__(self, part: Part, state: StateFile, announcements: Announcements, background: Background) -> None:
        self._part, self._state, self._announcements = part, state, announcements
        self._workers = {model.name: f"worker:{model.worker}" for model in part.config.models}
        self._requests = Requests(part.send)
        self._pictures = PictureWriter(background)
        self._presented = part.reader("presented")
        self._exposing: list[Answer] = []
        self._promises = PromiseFile(part.runtime_folder / "orders.json", part.started_s)
        promises = self._promises.read()
        self._holds = Holds(promises.holds)
        self._scheduled = promises.scheduled
        self._owed = {command.NAME: command for command in promises.owed}
        self._paying: set[str] = set()
        self._restart_hub_at_s: float | None = None
        self._preview: tuple[Path, float] | None = None
        self._preview_due_s = 0.0
        self._send_holds()  # to parts that started while we were away
        self.announce()

    # -- commands ------------------------------------------------------------------------------------------------

    def obey(self, order: Order, tell: Tell, *, arrived_s: float) -> None:
        """Carry out one command; `tell` is called exactly once, now or when the part has answered."""

        def done(result: Result) -> None:
            fields = {key: result[key] for key in ("reason", "result") if result.get(key) is not None}
            tell({"id": order.id, "ok": bool(result.get("ok")), **fields})

        try:
            self._carry_out(order.command, done, arrived_s)
        except Refused as error:
            done({"ok": False, "reason": str(error)})

    def _carry_out(self, command: Command, done: Answer, arrived_s: float) -> None:
        match command:
            case PromptCommand():
                self._part.put("prompt.text", command.text)
                done({"ok": True})
            case SetCommand() if command.parameter.startswith("models."):
                self._hold(command)
                done({"ok": True})
            case SceneCommand(at=float() as at) if at > wall_s():
                self._schedule(command)
                done({"ok": True, "result": {"scheduled": at}})
            case ScreenshotCommand():
                self._screenshot(done)
            case RestartPartCommand(part="hub"):
                self._restart_hub_at_s = now_s() + LAST_WORDS_S
                done({"ok": True})
            case RestartPartCommand():
                self._requests.ask("supervisor", "restart-part", done, now_s(), part=command.part)
            case _:
                self._apply(command, done, arrived_s)

    def _apply(self, command: Command, done: Answer, arrived_s: float) -> None:
        """Have the show carry it out, and remember what it did."""

        def answered(result: Result) -> None:
            if result.get("ok"):
                self._remember(command)
            done(result)

        args = {name: value for name, value in command.model_dump().items() if value is not None or name == "value"}
        args.pop("at", None)
        kind = command.NAME
        self._requests.ask("show", "apply", answered, now_s(), command=kind, args=args, arrived_s=arrived_s)

    def _remember(self, command: Command) -> None:
        self._owed.pop(command.NAME, None)
        state = self._state.state
        match command:
            case SceneCommand():
                state["scene"] = command.scene
            case BlackoutCommand():
                state["blackout"] = command.on
            case BrightnessCommand():
                state["brightness"] = command.percent
            case SetCommand():
                self._holds.put(command.parameter, command.value, command.for_s, now_s())
            case IdentifyCommand():
                return
        self._write_down()
        self.announce()

    def _hold(self, command: SetCommand) -> None:
        until_s = self._holds.put(command.parameter, command.value, command.for_s, now_s())
        self._send_hold(command.parameter, command.value, until_s)
        self._write_down()
        self.announce()

    def _send_hold(self, parameter: str, value: float | str | None, until_s: float | None) -> None:
        if not parameter.startswith("models."):
            self._part.send("show", "hold", parameter=parameter, value=value, until_s=until_s)
            return
        _, model, name = parameter.split(".", 2)
        self._part.send(self._workers[model], "hold", model=model, parameter=name, value=value, until_s=until_s)

    def _schedule(self, command: SceneCommand) -> None:
        if len(self._scheduled) >= SCHEDULED_SCENES:
            raise Refused(f"busy: {SCHEDULED_SCENES} scenes are scheduled")
        self._scheduled.append(command)
        self._write_down()

    def _write_down(self) -> None:
        """Keep what is promised for our successor, before the sender is told that it is."""
        self._promises.write(Promises(self._holds.current(now_s()), self._scheduled, list(self._owed.values())))

    # -- what must hold ------------------------------------------------------------------------------------------

    def desire(self, desired: Desired) -> bool:
        """Remember what must hold and have it obeyed; False when it is not newer than what was obeyed before."""
        state = self._state.state
        if desired.revision <= state["revision"]:
            return False
        state["revision"] = desired.revision
        commands: list[Command] = []
        if desired.scene is not None:
            commands.append(SceneCommand(scene=desired.scene))
        if desired.blackout is not None:
            commands.append(BlackoutCommand(on=desired.blackout))
        if desired.brightness is not None:
            commands.append(BrightnessCommand(percent=desired.brightness))
        for command in commands:
            self._remember(command)
            self._owed[command.NAME] = command
        self._write_down()
        self.announce()
        return True

    def _pay(self) -> None:
        """Ask the show for what is desired and not yet obeyed."""
        for name, command in list(self._owed.items()):
            if name not in self._paying:
                self._paying.add(name)
                self._apply(command, partial(self._paid, command), now_s())

    def _paid(self, command: Command, result: Result) -> None:
        self._paying.discard(command.NAME)
        if not result.get("ok") and not result.get("silent") and self._owed.get(command.NAME) == command:
            del self._owed[command.NAME]
            self._write_down()
            event("desired_not_obeyed", "error", command=command.NAME, reason=str(result.get("reason")))

    def announce(self) -> None:
        """Publish what holds, where it changed."""
        state, config = self._state.state, self._part.config
        say = self._announcements.state
        say("scene", {"scene": state.get("scene", config.first_scene)})
        say("blackout", {"on": state["blackout"]})
        say("brightness", {"percent": state.get("brightness", config.display.brightness)})
        say("desired", {"revision": state["revision"]})
        say("holds", {parameter: hold.value for parameter, hold in self._holds.current(now_s()).items()})

    def started(self, part: str) -> None:
        """Tell a part that started anew what it is to hold."""
        if part == "show":  # its plan came from the file, which is a second behind
            state = self._state.state
            self._remind("scene", scene=state.get("scene", self._part.config.first_scene), fade_s=0.0)
            self._remind("blackout", on=state["blackout"])
            self._remind("brightness", percent=state.get("brightness", self._part.config.display.brightness))
        self._send_holds(part)

    def _send_holds(self, part: str | None = None) -> None:
        """Tell one part, or each, what it is to hold."""
        for parameter, hold in self._holds.current(now_s()).items():
            model = parameter.split(".")[1] if parameter.startswith("models.") else ""
            if part in {None, self._workers.get(model, "show")}:
                self._send_hold(parameter, hold.value, hold.until_s if hold != Hold(hold.value) else None)

    def _remind(self, command: str, **args: object) -> None:
        self._part.send("show", "remind", command=command, args=args)

    # -- pictures ------------------------------------------------------------------------------------------------

    def preview(self, path: Path, every_s: float) -> None:
        """Keep a picture of the show up to date in a file."""
        if self._part.config.display.screenshots != "forbidden":
            self._preview = (path, max(0.2, every_s))

    def _screenshot(self, done: Answer) -> None:
        if self._part.config.display.screenshots == "forbidden":
            raise Refused("screenshots are forbidden on this box: display.screenshots in its config")
        if self._pictures.busy:
            raise Refused("busy: other screenshots are being written")
        stamp = datetime.fromtimestamp(wall_s(), UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
        path = self._part.runtime_folder / "screenshots" / f"{stamp}.png"

        def written(reason: str | None) -> None:
            done({"ok": True, "result": {"path": str(path)}} if reason is None else {"ok": False, "reason": reason})

        self._picture(path, written, keep=KEPT_SCREENSHOTS)

    def _picture(self, path: Path, done: Done, *, keep: int | None = None) -> None:
        def exposed(result: Result) -> None:
            if not result.get("ok"):
                done(str(result.get("reason")))
            elif (bgr := copy_picture(self._presented, int(result.get("sequence", 0)))) is None:
                done("the picture changed while it was read; try again")
            else:
                blurred = self._part.config.display.screenshots == "blurred"
                self._pictures.write(bgr, path, done, keep=keep, blurred=blurred)

        self._exposing.append(exposed)
        if len(self._exposing) == 1:  # whoever asks meanwhile gets the same frame: the show holds one question
            self._requests.ask("show", "expose", self._exposed, now_s())

    def _exposed(self, result: Result) -> None:
        waiting, self._exposing = self._exposing, []
        for answer in waiting:
            answer(result)

    # -- the passing of time -------------------------------------------------------------------------------------

    def hear_reply(self, request: object, result: object) -> None:
        """Take a part's answer."""
        self._requests.hear(request, result)

    def next_at_unix_s(self) -> float | None:
        """When the next scheduled scene is due."""
        return min((command.at for command in self._scheduled if command.at is not None), default=None)

    def tend(self, at_s: float, at_unix_s: float) -> None:
        """Do what is due."""
        self._requests.tend(at_s)
        self._pay()
        for command in [scene for scene in self._scheduled if scene.at is not None and scene.at <= at_unix_s]:
            self._scheduled.remove(command)
            self._write_down()
            self._apply(command, partial(self._scene_was_due, command), at_s)
        if self._restart_hub_at_s is not None and at_s >= self._restart_hub_at_s:
            self._restart_hub_at_s = None
            self._part.send("supervisor", "restart-part", part="hub")
        if self._preview is not None and at_s >= self._preview_due_s and not self._pictures.busy:
            path, every_s = self._preview
            self._preview_due_s = at_s + every_s
            self._picture(path, lambda _: None)

    def _scene_was_due(self, command: SceneCommand, result: Result) -> None:
        if not result.get("ok"):
            event("scheduled_scene_failed", "warning", scene=command.scene, reason=str(result.get("reason")))
