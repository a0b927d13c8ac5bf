"""What the box says about itself over MQTT: availability, status, states, events, acks. Without a link it is silent."""

from collections.abc import Mapping
from typing import Any

from edge_runtime.control.inbox import Received
from edge_runtime.control.mqtt import MqttLink
from edge_runtime.control.topics import Topics, publishable
from edge_runtime.logs import Budget

STATUS_EVERY_S = 10.0
UNTOLD_S = 5.0
"""A hub that nobody told whether the show presents says offline after this long; the last will waits as long."""


class Announcements:
    """Decides what is published when. Used from the hub's thread."""

    def __init__(self, topics: Topics, link: MqttLink | None, *, session: int, now_s: float) -> None:
        self._topics, self._link = topics, link
        self._session = session
        self._started_s = now_s
        self._presenting: bool | None = None
        self._status: Mapping[str, Any] = {}
        self._published: object = None
        self._due_s = now_s
        self._states: dict[str, Mapping[str, object]] = {}
        self._budget = Budget()

    def presenting(self, on: bool) -> None:  # noqa: FBT001 - the fact itself
        """Say that pictures are presented, or that they are not."""
        self._presenting = on
        self._publish(self._topics.availability, availability(on, self._session), retain=True)

    def status(self, status: Mapping[str, Any], now_s: float, now_unix_s: float) -> None:
        """Take the newest statistics; a part or the rung that changed is published at once."""
        self._status = status
        rung = _table(status, "governor").get("rung")
        if rung is not None:
            self.state("rung", {"rung": rung})
        if self._transitions() != self._published:
            self._publish_status(now_s, now_unix_s)

    def tend(self, now_s: float, now_unix_s: float) -> None:
        """Publish what is due."""
        if self._status and now_s >= self._due_s:
            self._publish_status(now_s, now_unix_s)
        if self._presenting is None and now_s - self._started_s > UNTOLD_S:
            self.presenting(False)

    def state(self, thing: str, message: Mapping[str, object]) -> None:
        """Say what one thing is at, when it changed."""
        if self._states.get(thing) != message:
            self._states[thing] = message
            self._publish(self._topics.state(thing), message, retain=True)

    def event(self, event: Mapping[str, Any], now_s: float, now_unix_s: float) -> None:
        """Publish a transition; a few a minute of each kind, the rest is counted in the next one."""
        about = str(event.get("name", event.get("part", "")))
        held = self._budget.admit(about, str(event.get("event", "")), now_s)
        if held is None:
            return
        counted = {"held_back": held} if held else {}
        self._publish(self._topics.event, {"at": round(now_unix_s, 3), **event, **counted})

    def ack(self, ack: Mapping[str, object], command: Received) -> None:
        """Answer a command, also where its sender asked for it."""
        self._publish(self._topics.ack, ack)
        if self._link and command.response_topic and publishable(command.response_topic):
            self._link.publish(command.response_topic, ack, correlation=command.correlation)

    def _transitions(self) -> object:
        parts = {
            name: _table(_table(self._status, "parts"), name).get("state") for name in _table(self._status, "parts")
        }
        return parts, _table(self._status, "governor").get("rung")

    def _publish_status(self, now_s: float, now_unix_s: float) -> None:
        self._published = self._transitions()
        self._due_s = now_s + STATUS_EVERY_S
        self._publish(self._topics.status, {"at": round(now_unix_s, 3), **self._status}, retain=True)

    def _publish(self, topic: str, message: Mapping[str, object], *, retain: bool = False) -> None:
        if self._link is not None:
            self._link.publish(topic, message, retain=retain)


def availability(on: bool, session: int) -> dict[str, object]:  # noqa: FBT001 - the fact itself
    """The message of the availability topic; also the last will."""
    return {"state": "online" if on else "offline", "session": session}


def _table(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}
