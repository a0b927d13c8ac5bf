"""The outside world of a box in tests: a venue's MQTT client, the parts that the hub talks to, and bad commands."""

import itertools
import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.channel import Message
from edge_runtime.clock import now_s, wall_s
from edge_runtime.config import DeviceConfig, MqttConfig
from edge_runtime.control.broker import address, open_client
from tests.fixtures.parts import RunningPart
from tests.fixtures.waiting import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
DEVICE = "foyer-left"
_numbers = itertools.count()


def box_config(url: str | None = None, **more: Any) -> DeviceConfig:
    """A small box: two scenes, three signals, one model."""
    tree: dict[str, Any] = {
        "device_id": DEVICE,
        "display": {"kind": "headless", "canvas_px": [64, 36]},
        "signals": [
            {"name": "weather.rain", "mqtt": "venue/weather", "pointer": "/rain_mm_h", "range": [0, 10]},
            {"name": "votes.wave", "mqtt": "venue/votes/+", "pointer": "/options/1/share"},
            {"name": "venue.words", "mqtt": "venue/words", "type": "text"},
        ],
        "models": [{"name": "stylize", "bundle": "stylize", "output": "picture.stylized"}],
        "scenes": [
            {"name": "mirror", "layers": [{"kind": "fill"}, {"kind": "text"}]},
            {"name": "night", "layers": [{"kind": "fill"}]},
        ],
        **more,
    }
    if url is not None:
        tree["mqtt"] = {"url": url, "groups": ["foyer"], "keepalive_s": 5, **more.get("mqtt", {})}
    return DeviceConfig.model_validate(tree)


def envelope(args: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A good envelope with an id of its own, issued now."""
    return {"id": f"id-{next(_numbers)}", "issued_at": wall_s(), "expires_s": 30, "args": args, **changes}


@dataclass(frozen=True, slots=True)
class Heard:
    topic: str
    payload: Any
    """What its JSON says; the bytes where it says nothing."""
    retained: bool
    at_s: float
    correlation: bytes | None


class Venue:
    """A client of the broker that hears everything that it may and says what it is told to."""

    def __init__(self, broker: int | MqttConfig, client_id: str | None = None) -> None:
        self.heard: list[Heard] = []
        self.denied = 0
        """How many of our messages the broker did not want."""
        self._ready = threading.Event()
        config = broker if isinstance(broker, MqttConfig) else MqttConfig(url=f"mqtt://127.0.0.1:{broker}")
        self._client = open_client(config, client_id or f"venue-{next(_numbers)}")
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(*address(config))
        self._client.loop_start()
        assert self._ready.wait(5), "the venue is connected"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Any) -> None:
        assert not reason.is_failure, reason
        client.subscribe("#", qos=1)

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        try:
            payload = json.loads(message.payload)
        except (ValueError, RecursionError):
            payload = bytes(message.payload)
        correlation = getattr(message.properties, "CorrelationData", None)
        self.heard.append(Heard(message.topic, payload, bool(message.retain), now_s(), correlation))

    def _on_publish(self, client: Client, _: Any, mid: int, reason: ReasonCode, properties: Any) -> None:
        self.denied += reason.is_failure

    def publish(self, topic: str, payload: object, *, retain: bool = False, **properties: Any) -> None:
        """Publish bytes as they are, anything else as JSON; returns when the broker has it."""
        v5 = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        for name, value in properties.items():
            setattr(v5, name, value)
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self._client.publish(topic, raw, qos=1, retain=retain, properties=v5).wait_for_publish(5)

    def command(self, name: str, args: dict[str, Any], *, target: str = DEVICE, **changes: Any) -> str:
        """Send a command; its id."""
        tree = envelope(args, **changes)
        self.publish(f"edge/{target}/cmd/{name}", tree)
        return str(tree["id"])

    def all(self, topic: str) -> list[Any]:
        """Everything heard on a topic, live or retained."""
        return [heard.payload for heard in self.heard if heard.topic == topic]

    def last(self, topic: str) -> Any:
        """The newest payload of a topic; None before any."""
        return next(iter(reversed(self.all(topic))), None)

    def find_ack(self, command_id: str | None) -> dict[str, Any] | None:
        """The ack of a command, once it is there."""
        return next((ack for ack in self.all(f"edge/{DEVICE}/ack") if ack["id"] == command_id), None)

    def ack(self, command_id: str | None, within_s: float = 5.0) -> dict[str, Any]:
        """Wait for the ack of a command."""
        ack = eventually(lambda: self.find_ack(command_id), within_s, f"an ack for {command_id}")
        assert ack is not None
        return ack


class Others:
    """The show and the supervisor, as far as the hub sees them: answers its questions while the test waits."""

    def __init__(self, hub: RunningPart, *, canvas_px: tuple[int, int] = (64, 36)) -> None:
        self.hub = hub
        self.canvas_px = canvas_px
        self.silent = False
        self.result: dict[str, Any] = {"ok": True}
        self._answered: set[int] = set()

    def asked(self, kind: str) -> list[Message]:
        """Questions of a kind; answers those that are new."""
        questions = self.hub.messages(kind)
        for question in questions:
            if "request" in question and id(question) not in self._answered and not self.silent:
                self._answered.add(id(question))
                self.hub.send("reply", request=question["request"], result=self._answer(question))
        return questions

    def ack(self, venue: Venue, command_id: str) -> dict[str, Any]:
        """Wait for the ack of a command, and answer what the hub asks meanwhile."""

        def look() -> dict[str, Any] | None:
            for kind in ("apply", "expose", "restart-part"):
                self.asked(kind)
            return venue.find_ack(command_id)

        ack = eventually(look, 5.0, f"an ack for {command_id}")
        assert ack is not None
        return ack

    def applied(self, command: str) -> list[dict[str, Any]]:
        """The arguments of every `apply` of a command."""
        return [question["args"] for question in self.asked("apply") if question["command"] == command]

    def _answer(self, question: Message) -> dict[str, Any]:
        if question["type"] != "expose":
            return self.result
        width, height = self.canvas_px
        writer = self.hub.memory.writer("presented")
        frame = writer.next((height, width, 4))
        frame[...] = (10, 20, 30, 0)
        return {"ok": True, "sequence": writer.publish(now_s(), now_s())}


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A command that must be refused."""

    name: str
    payload: bytes
    retained: bool
    reason: str
    """A part of the reason that must be told."""
    command_id: str | None


def bad_commands(rng: random.Random, count: int, *, obeyed_id: str) -> Iterator[BadCommand]:
    """A mixed bag of `count` commands, none of which may be obeyed; `obeyed_id` was obeyed before."""
    good: dict[str, dict[str, Any]] = {
        "scene": {"scene": "night"},
        "set": {"parameter": "mirror/fill.speed", "value": 2.0},
        "prompt": {"text": "hello"},
        "blackout": {"on": True},
        "brightness": {"percent": 30},
        "screenshot": {},
        "identify": {"seconds": 5},
        "restart-part": {"part": "show"},
    }
    for i in range(count):
        name = rng.choice(list(good))
        tree = envelope(dict(good[name]), id=f"bad-{i}")
        kind = ("malformed", "oversized", "expired", "retained", "duplicate")[i % 5]
        if kind == "malformed":
            yield _malformed(rng, i, tree)
        elif kind == "oversized":
            tree["args"]["padding"] = "x" * rng.randint(8 * 1024, 60 * 1024)
            yield BadCommand(name, json.dumps(tree).encode(), False, "bytes, 8192 at most", None)
        elif kind == "expired":
            tree["issued_at"] -= rng.uniform(100, 1e6)
            yield BadCommand(name, json.dumps(tree).encode(), False, "expired", tree["id"])
        elif kind == "retained":
            yield BadCommand(name, json.dumps(tree).encode(), True, "retained", tree["id"])
        else:
            tree["id"] = obeyed_id
            yield BadCommand(name, json.dumps(tree).encode(), False, "duplicate", obeyed_id)


def _malformed(rng: random.Random, i: int, tree: dict[str, Any]) -> BadCommand:
    """One of many ways in which a sender gets it wrong."""
    whole = json.dumps(tree).encode()
    number = tree["id"]
    raw: list[tuple[bytes, str]] = [
        (whole[: rng.randint(1, len(whole) - 1)], "not JSON"),
        (b"[" * rng.randint(2000, 8000), "nested too deeply"),
        (b'{"a":' * 1300, "nested too deeply"),
        (b"", "not JSON"),
        (b"[1, 2]", "expected a JSON object"),
        (b'"scene"', "expected a JSON object"),
        (bytes(rng.randint(128, 255) for _ in range(40)), "not JSON"),
        (b'{"id": NaN}', "NaN"),
        (b'{"id": "x", "issued_at": 1e999}', "too large"),
        (b'{"id": "x", "id": "y"}', "a key is there twice"),
        (b'{"id": "\\ud800"}', "not JSON"),
        (b'{"issued_at": ' + b"9" * 3000 + b"}", "too large"),
    ]
    changed: list[tuple[str, dict[str, Any], str]] = [
        ("brightness", {"args": {"percent": rng.choice([-1, 101, 1e9])}}, "args.percent"),
        ("brightness", {"args": {"percent": "50"}}, "args.percent = '50'"),
        ("brightness", {"args": {}}, "args.percent: is missing"),
        ("blackout", {"args": {"on": 1}}, "args.on = 1"),
        ("scene", {"args": {"scene": "nihgt"}}, "known: mirror, night"),
        ("scene", {"args": {"scene": "night", "fade": 1}}, "args.fade: no such key"),
        ("scene", {"args": {"scene": "night", "at": wall_s() - 3600}}, "args.at"),
        ("set", {"args": {"parameter": "mirror/fill.sped", "value": 1}}, "mirror/fill.speed"),
        ("set", {"args": {"parameter": "mirror/fill.speed", "value": 99}}, "expected 0 to 4"),
        ("set", {"args": {"parameter": "mirror/fill.speed", "value": True}}, "args.value"),
        ("set", {"args": {"parameter": "models.stylize.style.nobody", "value": 1}}, "no parameter"),
        ("prompt", {"args": {"text": "x" * 201}}, "args.text"),
        ("prompt", {"args": {"text": "bell \x07"}}, "control characters"),
        ("identify", {"args": {"seconds": 61}}, "args.seconds"),
        ("restart-part", {"args": {"part": "worker:nobody"}}, "no part"),
        ("reboot", {"args": {}}, "no command 'reboot'"),
        ("screenshot", {"args": []}, "args = []"),
        ("screenshot", {"args": {}, "expires_s": 3601}, "expires_s"),
        ("screenshot", {"args": {}, "expires_s": 0}, "expires_s"),
        ("screenshot", {"args": {}, "issued_at": wall_s() + 3600}, "in the future"),
        ("screenshot", {"args": {}, "retain": False}, "retain: no such key"),
    ]
    if i % 2:
        payload, reason = rng.choice(raw)
        return BadCommand("scene", payload, False, reason, None)
    name, change, reason = rng.choice(changed)
    return BadCommand(name, json.dumps({**tree, **change}).encode(), False, reason, number)
