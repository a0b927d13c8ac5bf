"""Sending a command and waiting for what became of it: over the broker, or over the local socket."""

import json
import queue
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.clock import now_s, wall_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.broker import address, open_client
from edge_runtime.control.certificates import explain
from edge_runtime.control.local import LocalConnection
from edge_runtime.control.topics import ack_filter, command_topic
from edge_runtime.errors import ChannelError, EdgeError

EXPIRES_S = 10.0


@dataclass(frozen=True, slots=True)
class Ack:
    """What became of a command on one device."""

    device_id: str
    id: str
    ok: bool
    reason: str | None = None
    result: Any = None

    @classmethod
    def read(cls, device_id: str, tree: Mapping[str, Any]) -> "Ack":
        """Take an ack apart that was received from a device."""
        return cls(device_id, str(tree.get("id")), tree.get("ok") is True, tree.get("reason"), tree.get("result"))


def envelope(args: Mapping[str, object], *, expires_s: float = EXPIRES_S) -> dict[str, object]:
    """A command's envelope, issued now, with an id of its own."""
    return {"id": str(uuid.uuid4()), "issued_at": round(wall_s(), 3), "expires_s": expires_s, "args": dict(args)}


def send(
    target: str,
    command: str,
    args: Mapping[str, object],
    *,
    broker: MqttConfig | None = None,
    control_socket: Path | None = None,
    timeout_s: float = 5.0,
) -> list[Ack]:
    """Send one command and wait for its acks: one from a device, all that come in time from `all` or `group/NAME`.

    Exactly one of `broker` and `control_socket`.

    Raises:
        ChannelError: nobody could be reached, or nobody answered in time.
    """
    message = envelope(args)
    if control_socket is not None:
        payload = json.dumps(message)
        with LocalConnection(control_socket, timeout_s=timeout_s) as connection:
            tree = connection.request("command", name=command, payload=payload)
            device_id = connection.device_id or target
        return [Ack.read(device_id, tree if isinstance(tree, dict) else {})]
    if broker is None:
        raise EdgeError("send needs a broker or a control socket")
    return _BrokerCall(target, command, message, broker).run(timeout_s)


class _BrokerCall:
    """One command over the broker: connect, listen for acks, publish, collect."""

    def __init__(self, target: str, command: str, message: Mapping[str, object], broker: MqttConfig) -> None:
        self._target, self._message, self._broker = target, message, broker
        self._topic = command_topic(target, command)
        self._acks: queue.Queue[Ack | str] = queue.Queue(maxsize=1000)
        self._client = open_client(broker, f"edge-send-{uuid.uuid4().hex[:12]}")
        self._answered = False
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def run(self, timeout_s: float) -> list[Ack]:
        host, port = address(self._broker)
        try:
            self._client.connect(host, port)
        except OSError as error:
            raise ChannelError(f"{self._broker.url}: no broker: {explain(self._broker, error, wall_s())}") from error
        self._client.loop_start()
        try:
            acks = self._collect(timeout_s)
        finally:
            self._client.disconnect()
            self._client.loop_stop()
        if not acks:
            raise ChannelError(
                f"no ack from {self._target} within {timeout_s:g} s; is the box on, and {self._broker.url} its broker?"
            )
        return acks

    def _collect(self, timeout_s: float) -> list[Ack]:
        acks: list[Ack] = []
        deadline_s = now_s() + timeout_s
        several = ack_filter(self._target) == ack_filter("all")
        while (left_s := deadline_s - now_s()) > 0 and (several or not acks):
            try:
                ack = self._acks.get(timeout=left_s)
            except queue.Empty:
                break
            if isinstance(ack, str):
                raise ChannelError(f"{self._broker.url}: refused: {ack}")
            acks.append(ack)
        return acks

    def _on_connect(
        self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self._acks.put_nowait(str(reason))
            client.disconnect()
        else:
            client.subscribe(ack_filter(self._target), qos=1)

    def _on_disconnect(
        self, client: Client, _: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if not self._answered:  # TLS 1.3: a broker that dislikes our certificate says so after the handshake
            self._acks.put_nowait(explain(self._broker, None, wall_s()))

    def _on_subscribe(
        self, client: Client, _: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        expiry = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        expiry.MessageExpiryInterval = int(EXPIRES_S)  # the broker forgets it too
        client.publish(self._topic, json.dumps(self._message), qos=1, properties=expiry)

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        try:
            tree = json.loads(message.payload)
        except ValueError:
            return
        if isinstance(tree, dict) and tree.get("id") == self._message["id"] and not self._acks.full():
            self._acks.put_nowait(Ack.read(message.topic.split("/")[1], tree))
