"""The hub: everything that goes in and out of the box in words. MQTT, local commands, signals, screenshots.

Every command, from wherever it comes, is judged here and given to the part that carries it out; every sender gets
exactly one answer. One thread and one loop; only the broker's network thread and the one that writes files run
beside it, and both talk to it by filing something and ringing the bell.
"""

import os
import re
import selectors
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from edge_runtime.channel import Message
from edge_runtime.clock import Every, now_s, wall_s
from edge_runtime.commands import COMMANDS, CommandRefused, Judge, Vocabulary
from edge_runtime.config import DeviceConfig
from edge_runtime.control.announcements import Announcements, availability
from edge_runtime.control.background import Background, Done
from edge_runtime.control.gpu import GpuProbe
from edge_runtime.control.inbox import Received
from edge_runtime.control.mqtt import MqttLink
from edge_runtime.control.orders import Orders, Tell
from edge_runtime.control.signals import SignalRoutes
from edge_runtime.control.state import StateFile
from edge_runtime.control.topics import Topics, filter_fault
from edge_runtime.control.vitals import memory_free_mb, temperature_c
from edge_runtime.errors import BundleError, ConfigError, InputError, Refused
from edge_runtime.inference.manifest import Range, open_bundle
from edge_runtime.inputs.replay import Replay, load_replay
from edge_runtime.inputs.sun import clock_signals
from edge_runtime.logs import Level, event
from edge_runtime.part import Part
from edge_runtime.tracefile import TraceFile

LOOP_S = 0.05
TAKEN_AT_ONCE = 32
WRITE_WITHIN_S = 10.0
"""A worn SD card takes seconds to say that a file is safe."""


def run(part: Part) -> None:
    """Main of the part `hub`."""
    with ExitStack() as stack:
        hub = Hub(part, stack)
        part.ready()
        hub.run()


class Wake:
    """A descriptor that other threads ring and the loop selects on. Closed with its stack."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """For selectors."""
        return self._descriptor

    def ring(self) -> None:
        """Wake the loop. From any thread."""
        os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Note that the loop is awake."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)


class Hub:
    """Wires the link, the judge, the routes and the orders, and runs the loop."""

    def __init__(self, part: Part, stack: ExitStack) -> None:
        self._part = part
        config = part.config
        self._gpu = stack.enter_context(GpuProbe())
        self._wake = Wake()
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._selector.register(part.channel, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._file = StateFile(part.state_folder / "state.json")
        vocabulary = Vocabulary.build(config, model_parameters(part))
        self._take_over_state(vocabulary)
        self._judge = Judge(vocabulary, trust_clock=config.mqtt is None or config.mqtt.trust_clock)
        self._topics = Topics(config.device_id, config.mqtt.groups if config.mqtt else ())
        self._routes = SignalRoutes(config.signals)
        self._link = self._open_link(config)
        session = self._file.state["session"]
        self._announcements = Announcements(self._topics, self._link, session=session, now_s=now_s())
        self._background = Background(self._wake.ring)
        self._writing: set[str] = set()
        self._orders = Orders(part, self._file, self._announcements, self._background)
        self._replay = open_replay(config)
        self._replay_start_s = self._replayed_s = now_s()
        self._trace: TraceFile | None = None
        self._trace_path: Path | None = None
        self._every = Every()
        self._counts = {"obeyed": 0, "refused": 0, "dropped": 0}

    def _take_over_state(self, vocabulary: Vocabulary) -> None:
        """Count the session, and forget a scene that the config no longer has."""
        state = self._file.state
        state["session"] += 1
        if "scene" in state and state["scene"] not in vocabulary.scenes:
            event("scene_forgotten", "warning", scene=state["scene"], reason="it is not in the config any more")
            del state["scene"]

    def _open_link(self, config: DeviceConfig) -> MqttLink | None:
        if config.mqtt is None:
            return None
        for name in self._routes.filters:
            fault = filter_fault(name)
            if fault is None and (own := self._topics.overlap(name, COMMANDS)):
                fault = f"it catches our own topic {own}"
            if fault:
                event("signal_filter_refused", "error", filter=name, reason=fault)
                self._routes.drop(name)
        will = availability(False, self._file.state["session"])
        try:
            link = MqttLink(config.mqtt, self._topics, will=will, signals=self._routes.filters, wake=self._wake.ring)
        except ConfigError as error:  # the box goes on without a broker; local commands still work
            event("mqtt_unusable", "error", reason=str(error))
            return None
        link.open()
        return link

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Wait, hear, look, act, tell."""
        part = self._part
        try:
            while not part.stop.requested:
                self._selector.select(self._timeout_s())
                self._wake.clear()
                for message in part.drain():
                    self._hear(message)
                self._take_from_broker()
                self._tend(now_s(), wall_s())
                part.beat()
        finally:
            part.beat(within_s=WRITE_WITHIN_S)
            self._background.close()
            self._background.tend()
            self._file.tend(now_s(), at_once=True)
            if self._trace is not None:
                try:
                    self._trace.tend()
                except (OSError, ValueError) as error:
                    self._trace_written(str(error))
            if self._link is not None:
                self._link.close()

    def _timeout_s(self) -> float:
        next_scene_s = self._orders.next_at_unix_s()
        return LOOP_S if next_scene_s is None else min(LOOP_S, max(0.0, next_scene_s - wall_s()))

    def _tend(self, at_s: float, at_unix_s: float) -> None:
        self._play(at_s)
        if self._every.due("clock", 1.0, at_s):
            for name, value in clock_signals(at_unix_s, self._part.config.sun).items():
                self._part.put(name, value)
            self._orders.announce()
            if self._link is not None:
                self._link.tend()
                self._report_dropped(self._link)
        if self._every.due("vitals", 2.0, at_s):
            self._put_vitals()
            self._part.report(self._statistics(at_s))
        self._orders.tend(at_s, at_unix_s)
        self._announcements.tend(at_s, at_unix_s)
        self._background.tend()
        if self._file.due(at_s):
            self._write_state(at_s)
        if self._trace is not None and self._every.due("trace", 0.5, at_s):
            self._in_background("trace", self._trace.tend, self._trace_written)

    def _write_state(self, at_s: float) -> None:
        if "state" not in self._writing:
            copy = self._file.begin(at_s)
            self._in_background("state", lambda: self._file.write(copy), lambda reason: self._file.end(copy, reason))

    def _in_background(self, what: str, work: Callable[[], object], done: Done) -> None:
        """Write a file without waiting for the disk; never the same one twice at once."""
        if what in self._writing:
            return
        self._writing.add(what)

        def written(reason: str | None) -> None:
            self._writing.discard(what)
            done(reason)

        self._background.submit(work, written)

    def _trace_written(self, reason: str | None) -> None:
        if reason is not None:
            event("trace_not_written", "error", path=str(self._trace_path), reason=reason)

    # -- messages of other parts and of local clients --------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        match message.get("type"):
            case "command":
                self._hear_local(message)
            case "reply":
                self._orders.hear_reply(message.get("request"), message.get("result"))
            case "status":
                self._announcements.status(message["status"], now_s(), wall_s())
            case "event":
                self._announcements.event(message["event"], now_s(), wall_s())
            case "presenting":
                self._announcements.presenting(bool(message["on"]))
            case "started":
                self._orders.started(str(message["part"]))
            case "trace":
                self._trace_path = Path(message["path"])
                self._trace = self._trace or TraceFile(self._trace_path, self._part.region("trace"))
            case "preview":
                self._orders.preview(Path(message["path"]), float(message["every_s"]))

    def _hear_local(self, message: Message) -> None:
        sender, request = str(message["from"]), message.get("request")

        def tell(ack: Mapping[str, object]) -> None:
            self._part.send(sender, "reply", request=request, result=ack)

        payload = str(message.get("payload", "")).encode(errors="replace")
        self._judge_and_obey(Received(str(message.get("name", "")), payload, retained=False, arrived_s=now_s()), tell)

    # -- messages of the broker ------------------------------------------------------------------------------------

    def _take_from_broker(self) -> None:
        if self._link is None:
            return
        notes, commands, messages = self._link.inbox.take(TAKEN_AT_ONCE)
        for note in notes:
            event(note.name, note.level, **note.fields)
            if note.name == "mqtt_connected":
                self._link.publish_retained()
        for command in commands:
            self._judge_and_obey(command, partial(self._announcements.ack, command=command))
        for command in self._link.inbox.take_refused():
            self._refuse_busy(command)
        for message in messages:
            if message.topic == self._topics.desired:
                self._hear_desired(message)
            else:
                self._routes.feed(message.topic, message.payload, self._part.put)
        if max(len(notes), len(commands), len(messages)) == TAKEN_AT_ONCE:
            self._wake.ring()  # there is more

    def _judge_and_obey(self, received: Received, tell: Tell) -> None:
        name = received.topic.rpartition("/")[2]
        waited_s = now_s() - received.arrived_s
        try:
            order = self._judge.parse(
                name, received.payload, retained=received.retained, now_unix_s=wall_s(), waited_s=waited_s
            )
        except CommandRefused as error:
            self._counts["refused"] += 1
            event("command_refused", "warning", command=name[:40], id=error.command_id, reason=str(error))
            tell({"id": error.command_id, "ok": False, "reason": str(error)})
            return
        self._counts["obeyed"] += 1
        self._orders.obey(order, tell, arrived_s=received.arrived_s)

    def _refuse_busy(self, command: Received) -> None:
        """Answer a command that found the queue full, as far as its beginning tells whose it is."""
        found = re.search(rb'"id"\s*:\s*"([\x21\x23-\x5b\x5d-\x7e]{1,64})"', command.payload)
        self._counts["refused"] += 1
        ack = {
            "id": found.group(1).decode() if found else None,
            "ok": False,
            "reason": "busy: too many commands at once",
        }
        self._announcements.ack(ack, command)

    def _hear_desired(self, received: Received) -> None:
        if not received.payload:  # somebody cleared it
            return
        try:
            desired = self._judge.parse_desired(received.payload)
        except Refused as error:
            self._say("desired_refused", "warning", reason=str(error))
            return
        if self._orders.desire(desired):
            self._say("desired_obeyed", "info", revision=desired.revision)

    def _say(self, name: str, level: Level, **fields: object) -> None:
        """Log an event and publish it."""
        event(name, level, **fields)
        self._announcements.event({"part": "hub", "event": name, "level": level, **fields}, now_s(), wall_s())

    def _report_dropped(self, link: MqttLink) -> None:
        dropped = link.inbox.dropped + link.lost_messages
        if dropped > self._counts["dropped"]:
            self._say("mqtt_messages_dropped", "warning", count=dropped - self._counts["dropped"])
            self._counts["dropped"] = dropped

    # -- signals ---------------------------------------------------------------------------------------------------

    def _play(self, at_s: float) -> None:
        """Feed what the recording says came in since the last look."""
        if self._replay is None:
            return
        since_s, until_s = self._replayed_s - self._replay_start_s, at_s - self._replay_start_s
        for message in self._replay.due(since_s, until_s):
            self._routes.feed_tree(message.topic, message.payload, self._part.put)
        self._replayed_s = at_s

    def _put_vitals(self) -> None:
        card = self._gpu.read(now_s())
        vitals = {
            "device.temperature_c": max(
                (t for t in (temperature_c(), card.temperature_c) if t is not None), default=None
            ),
            "device.memory_free_mb": memory_free_mb(),
            "device.vram_free_mb": card.memory_free_mb,
        }
        for name, value in vitals.items():
            if value is not None:
                self._part.put(name, value)

    def _statistics(self, at_s: float) -> dict[str, Any]:
        snapshot = self._part.board.snapshot(at_s)
        stale_after_s = {signal.name: signal.stale_after_s for signal in self._part.config.signals}
        signals = {}
        for name in self._part.config.signal_names:
            value, age_s = snapshot.value(name), snapshot.age_s(name)
            stale = value is None or age_s > stale_after_s.get(name, age_s)
            signals[name] = {"value": value, "age_s": None if value is None else round(age_s, 2), "stale": stale}
        link = self._link
        mqtt = {} if link is None else {"connected": link.connected, "reconnects": link.reconnects}
        return {"signals": signals, "mqtt": mqtt, "commands": dict(self._counts)}


def model_parameters(part: Part) -> dict[str, Mapping[str, Range | None]]:
    """What each model's bundle can be told. A bundle that cannot be opened has nothing; its worker says why."""
    parameters: dict[str, Mapping[str, Range | None]] = {}
    for model in part.config.models:
        try:
            bundle = open_bundle(model.bundle, part.model_folders, part.config.trust)
            parameters[model.name] = bundle.manifest.parameters
        except BundleError:
            parameters[model.name] = {}
    return parameters


def open_replay(config: DeviceConfig) -> Replay | None:
    """The recording that plays, where there is one that can be read."""
    if config.replay is None:
        return None
    try:
        return load_replay(Path(config.replay.file), loop=config.replay.loop, speed=config.replay.speed)
    except InputError as error:
        event("replay_unusable", "error", reason=str(error))
        return None
