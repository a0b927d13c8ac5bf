"""The supervisor: starts every part and keeps it alive.

It owns what must outlive any part: shared memory, restart budgets, the log, the local control socket, systemd's
watchdog. It loads no native library beyond the config parser's, opens no network connection, and never draws.
"""

import contextlib
import math
import selectors
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime import logs
from edge_runtime.channel import Channel, Message
from edge_runtime.children import ASK_GRACE_S, KILL_GRACE_S, START_PROMISE_S, Child
from edge_runtime.clock import Every, now_s
from edge_runtime.config import DeviceConfig
from edge_runtime.control.state import load_state
from edge_runtime.control_socket import ControlSocket
from edge_runtime.errors import ChannelError
from edge_runtime.memory import private_mb
from edge_runtime.notify import Notifier
from edge_runtime.pulse import BEAT_S
from edge_runtime.regions import Regions, written_by
from edge_runtime.report import EndedShows, compose, due_hz
from edge_runtime.router import Router
from edge_runtime.watchdog import LeakRule

STOP_GRACE_S = 3.0
STATUS_EVERY_S = 2.0
MEMORY_EVERY_S = 10.0
PREVIEW_EVERY_S = 2.0
STALL_S = 0.5
"""When the supervisor itself was away for longer, the whole machine was: nobody is judged by that."""
TOLD_TO_HUB = {
    *("rung_changed", "scene_changed", "camera_lost", "camera_back", "provider_downgraded", "model_failed"),
    *("state_not_written", "display_headless", "realtime_refused"),
}
"""Events of parts that a venue hears of too; the supervisor's own transitions it hears all."""
_LOOP_S = 0.1
"""How often beats are looked at: what a hang is noticed late by, at most."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line adds to the config."""

    runtime_folder: Path
    state_folder: Path
    model_folders: list[Path] = field(default_factory=list)
    seconds: float | None = None
    trace: Path | None = None
    leak_rule: LeakRule = field(default_factory=LeakRule)


class Supervisor:
    """Spawns the parts, routes their messages, restarts what ends or hangs. One thread, one loop."""

    def __init__(self, config: DeviceConfig, options: Options, log: logs.LogWriter) -> None:
        self._config, self._options, self._log = config, options, log
        self._started_s = now_s()
        names = ["show", *(f"camera:{c.name}" for c in config.cameras), *(f"worker:{w}" for w in config.workers), "hub"]
        self.children = {name: Child(name, options.leak_rule) for name in names}
        self._regions = Regions(config, names)
        self._selector = selectors.DefaultSelector()
        self._control = ControlSocket(options.runtime_folder / "control", self._selector, config.device_id)
        self._router = Router(config, self.children, self._control, self.statistics)
        self._notifier = Notifier()
        self._dying: list[subprocess.Popen[bytes]] = []
        self._memory_mb: dict[str, float] = {}
        self._frames_seen, self._frames_seen_s = 0, -math.inf
        self._ended_shows = EndedShows()
        self._first_picture_s: float | None = None
        self._first_model_frame_s: float | None = None
        self._presenting = self._preview_told = False
        self._every = Every()
        self._every.due("memory", STATUS_EVERY_S, self._started_s)  # first when they are as large as they will be
        self._looked_s, self._patient_until_s = self._started_s, 0.0
        self._stopping = False
        self.exit_code = 0

    def run(self) -> dict[str, Any]:
        """Keep the parts alive until told to stop; the final statistics."""
        self._log.device_id = self._config.device_id
        logs.route_events("supervisor", self._log.write)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_stopping", True))
        self._tell_restored()
        try:
            while not self._stopping:
                self._serve(_LOOP_S)
                self._look(now_s())
            self._notifier.send("STOPPING=1")
            self._weigh()
            parts = self.statistics()["parts"]
            self._stop_parts()
            return {**self.statistics(), "parts": parts}  # their last figures, with the states they had at work
        finally:
            for child in self.children.values():
                child.kill(now_s())
                child.clear()
            self._control.close()
            self._selector.close()
            self._regions.close()

    def _tell_restored(self) -> None:
        """Say once why the screen does not show what the config alone would."""
        path = self._options.state_folder / "state.json"
        state, first = load_state(path), self._config.first_scene
        scene, brightness = state.get("scene", first), state.get("brightness", 100.0)
        if scene != first or state["blackout"] or brightness < 100.0:
            logs.event("state_restored", scene=scene, blackout=state["blackout"], brightness=brightness, path=str(path))

    def statistics(self) -> dict[str, Any]:
        """The statistics object of this moment."""
        start = {"first_picture_s": self._first_picture_s, "first_model_frame_s": self._first_model_frame_s}
        return compose(self._config, self.children, self._memory_mb, start, self._ended_shows)

    # -- the loop ------------------------------------------------------------------------------------------------

    def _serve(self, timeout_s: float) -> None:
        """Wait for messages and ends, and act on them."""
        for key, _ in self._selector.select(timeout_s):
            name = key.data
            if name == "listener":
                self._control.accept()
            elif name.startswith("client:"):
                self._router.serve_client(name)
            elif name.startswith("end:"):
                self._reap(self.children[name.removeprefix("end:")])
            else:
                self._read_part(self.children[name])

    def _look(self, at_s: float) -> None:
        """Level-triggered: compare what should run with what runs."""
        if at_s - self._looked_s > STALL_S:
            self._patient_until_s = at_s + BEAT_S
        self._looked_s = at_s
        pulse = self._regions.pulse
        for child in self.children.values():
            if child.process is None and at_s >= child.start_at_s:
                self._start(child)
            elif child.process is not None and at_s > max(pulse.promised_s(child.name), self._patient_until_s):
                self._replace_hung(child, at_s)
            elif child.killed_at_s is None and child.asked_at_s is not None and at_s - child.asked_at_s > ASK_GRACE_S:
                child.kill(at_s)
        self._dying = [process for process in self._dying if process.poll() is None]
        self._watch_show(at_s)
        if self._every.due("memory", MEMORY_EVERY_S, at_s):
            self._weigh()
            self._end_leaking(at_s)
        if self._every.due("status", STATUS_EVERY_S, at_s):
            self._router.send("hub", {"type": "status", "status": self.statistics()})

    def _weigh(self) -> None:
        self._memory_mb = {name: private_mb(child.pid) for name, child in self.children.items() if child.pid}

    def _end_leaking(self, at_s: float) -> None:
        """Restart who eats the machine's memory, before the kernel takes whom it likes. Never the show."""
        for name, mb in self._memory_mb.items():
            child = self.children[name]
            limit_mb = child.weight.leaks(mb, at_s) if name != "show" and child.state == "up" else None
            if limit_mb is not None and child.asked_at_s is None:
                self._transition("part_leaks", "error", name=name, memory_mb=round(mb), limit_mb=round(limit_mb))
                child.ask(at_s)

    def _watch_show(self, at_s: float) -> None:
        """Feed systemd while pictures are presented, tell the hub when that changes, end a timed run."""
        frames = self._regions.pulse.count("show")
        if frames not in {0, self._frames_seen}:  # 0: a show that is starting
            self._frames_seen, self._frames_seen_s = frames, at_s
        presenting = at_s - self._frames_seen_s < 1.0
        if presenting != self._presenting:
            self._presenting = presenting
            self._router.send("hub", {"type": "presenting", "on": presenting})
        ready = self._first_picture_s is not None  # systemd hears of that first
        if presenting and ready and self._every.due("watchdog", max(0.25, self._notifier.watchdog_s / 4), at_s):
            self._notifier.send("WATCHDOG=1")
        if self.children["show"].budget.failed:
            logs.event("show_failed", "error", restarts=self.children["show"].budget.restarts)
            self.exit_code, self._stopping = 1, True  # systemd's turn
        seconds, first_s = self._options.seconds, self._first_picture_s
        if seconds is not None and first_s is not None and at_s - self._started_s - first_s >= seconds:
            self._stopping = True

    # -- parts ---------------------------------------------------------------------------------------------------

    def _start(self, child: Child) -> None:
        self._regions.pulse.beat(child.name, now_s() + START_PROMISE_S, 0)
        try:
            theirs = child.start()
        except OSError as error:
            self._end(child, f"cannot be started: {error}")
            return
        owned = written_by(self._config, child.name)
        for source in owned:
            self._regions.choose_ring(source, child.ring)
        plan = {
            "state": load_state(self._options.state_folder / "state.json"),
            "runtime_folder": str(self._options.runtime_folder),
            "state_folder": str(self._options.state_folder),
            "model_folders": [str(folder) for folder in self._options.model_folders],
            "started_s": self._started_s,
            "parts": list(self.children),
            "regions": list(self._regions.descriptors),
            "rings": dict.fromkeys(owned, child.ring),
        }
        assert child.channel is not None
        child.channel.send(plan, list(self._regions.descriptors.values()))
        theirs.close()
        self._selector.register(child.channel, selectors.EVENT_READ, child.name)
        self._selector.register(child.pidfd, selectors.EVENT_READ, f"end:{child.name}")

    def _replace_hung(self, child: Child, at_s: float) -> None:
        if child.killed_at_s is None:
            child.state = "stale"
            late_s = round(at_s - self._regions.pulse.promised_s(child.name), 2)
            self._transition("part_hangs", "warning", name=child.name, pid=child.pid, late_s=late_s)
            child.kill(at_s)
        elif at_s - child.killed_at_s > KILL_GRACE_S:
            logs.event("part_unkillable", "error", name=child.name, pid=child.pid)
            self._end(child, "sits in the kernel")

    def _reap(self, child: Child) -> None:
        code = child.reap()
        if code is not None:
            self._end(child, f"signal {-code}" if code < 0 else f"exit {code}")

    def _end(self, child: Child, reason: str) -> None:
        """Forget a process that ended (or will not) and decide when the next one starts."""
        at_s = now_s()
        self._read_part(child)  # its last words
        if child.channel is not None:
            self._unwatch(child.channel)
            self._unwatch(child.pidfd)
        process = child.clear()
        if process is not None and process.poll() is None:
            self._dying.append(process)
        if self._stopping:
            child.state = "stopped"
            return
        if child.name == "show":
            child.stats["frames"] = self._ended_shows.ended(child.stats.get("frames", {}), self._frames_seen_s)
        wait_s = child.budget.ended(at_s)
        child.start_at_s = at_s + wait_s
        child.state = "failed" if child.budget.failed else "backoff"
        level: logs.Level = "error" if child.budget.failed else "warning"
        restarts = child.budget.restarts
        self._transition("part_ended", level, name=child.name, reason=reason, restarts=restarts, wait_s=wait_s)
        if wait_s == 0.0:
            self._start(child)

    def _stop_parts(self) -> None:
        """Ask, serve their last words, insist. The hub goes last: it writes down what the others say."""
        hub = self.children["hub"]
        for wave in ([child for child in self.children.values() if child is not hub], [hub]):
            for child in wave:
                child.signal(signal.SIGTERM)
                child.signal(signal.SIGCONT)
            deadline_s = now_s() + STOP_GRACE_S
            while now_s() < deadline_s and any(child.process for child in wave):
                self._serve(0.02)
            for child in wave:
                if child.process is not None:
                    logs.event("part_did_not_stop", "error", name=child.name, waited_s=STOP_GRACE_S)
                    child.kill(now_s())

    # -- messages ------------------------------------------------------------------------------------------------

    def _read_part(self, child: Child) -> None:
        try:
            for message in self._router.collect(child):
                self._hear(child, message)
        except ChannelError as error:
            logs.event("part_talks_nonsense", "error", name=child.name, reason=str(error))
            child.kill(now_s())
        if child.channel is not None and child.channel.closed:
            self._unwatch(child.channel)

    def _unwatch(self, registered: Channel | int) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(registered)

    def _hear(self, child: Child, message: Message) -> None:
        match message.get("type"):
            case "log":
                self._log.write(message["line"])
                if message["line"].get("event") in TOLD_TO_HUB:
                    self._router.send("hub", {"type": "event", "event": message["line"]})
            case "report":
                child.stats = message["stats"]
                self._first_model_frame_s = self._first_model_frame_s or child.stats.get("first_model_frame_s")
            case "ready":
                self._part_ready(child)
            case "restart-part":
                self._restart_part(message)
            case "quit":
                self._stopping = True

    def _part_ready(self, child: Child) -> None:
        at_s = now_s()
        child.state = "up"
        child.budget.up(at_s)
        child.weight.up(at_s)
        if child.name == "show":
            self._ended_shows.presents(at_s, due_hz(self._config, child.stats))
        if child.name == "show" and self._first_picture_s is None:
            self._first_picture_s = round(at_s - self._started_s, 3)
            self._notifier.send("READY=1", "STATUS=presenting")
        if child.name in {"show", "hub"}:
            self._brief_hub()
        if child.budget.restarts:
            self._transition("part_back", "info", name=child.name, pid=child.pid)
        self._router.send("hub", {"type": "started", "part": child.name})

    def _brief_hub(self) -> None:
        """What the hub must know of the show, when either has just started."""
        self._router.send("hub", {"type": "presenting", "on": self._presenting})
        if self._options.trace is not None:
            self._router.send("hub", {"type": "trace", "path": str(self._options.trace)})
        display: Any = self.children["show"].stats.get("display", {})
        if display.get("kind") == "headless":
            path = self._options.runtime_folder / "preview.png"
            if not self._preview_told:
                self._preview_told = True
                logs.event("preview", path=str(path))
            self._router.send("hub", {"type": "preview", "path": str(path), "every_s": PREVIEW_EVERY_S})

    def _transition(self, what: str, level: logs.Level, /, **fields: object) -> None:
        logs.event(what, level, **fields)
        self._router.send("hub", {"type": "event", "event": {"event": what, "level": level, **fields}})

    def _restart_part(self, message: Message) -> None:
        child = self.children.get(str(message.get("part")))
        result: dict[str, object] = {"ok": child is not None}
        if child is None:
            result["reason"] = f"no part {message.get('part')!r}; known: {', '.join(self.children)}"
        elif child.process is None:
            child.start_at_s = 0.0  # whoever asks has mended it
        else:
            child.ask(now_s())
        self._router.send(str(message["from"]), {"type": "reply", "request": message.get("request"), "result": result})
