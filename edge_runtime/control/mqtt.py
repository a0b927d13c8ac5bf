"""The link to the venue's broker: MQTT 5, quality of service 1, on paho's own network thread.

The network thread only files what comes in and rings a bell; everything else happens on the hub's thread. What goes
out is limited by paho's queue, and retained topics are kept as their newest value and published again on every connect.

Source: quality of service 2 wedges after an outage with paho 2.2 and mosquitto 2.0.11 (measured).
"""

import random
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_runtime.clock import now_s, wall_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.backoff import Backoff
from edge_runtime.control.broker import address, encode, open_client
from edge_runtime.control.certificates import explain
from edge_runtime.control.inbox import WAITING_COMMANDS, Inbox, Note, Received
from edge_runtime.control.topics import Topics

WILL_DELAY_S = 5
"""A hub that is back within this time was never away."""
SESSION_S = 60
"""How long the broker keeps messages for us. Longer than the will's delay, or the will would not wait."""
MAX_PACKET_BYTES = 66 * 1024
"""What the broker may send us: a payload of 64 KiB and its topic."""
FLUSH_S = 1.0


class MqttLink:
    """The connection of one device. Used from the hub's thread; never blocks it.

    Args:
        config: the broker, its certificates and its files.
        topics: this device's; its commands, its `desired` and its last will are there.
        will: what the broker says of us, retained, `WILL_DELAY_S` after we are gone.
        signals: the filters that feed signals.
        wake: called from the network thread when something came in.

    Raises:
        ConfigError: a certificate or password file cannot be used, or the URL has no host.
    """

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        *,
        will: Mapping[str, object],
        signals: Iterable[str],
        wake: Callable[[], object],
    ) -> None:
        self.inbox = Inbox(wake)
        self.connected = False
        self.reconnects = 0
        self.lost_messages = 0
        self._retained: dict[str, bytes] = {}
        self._unsent: set[str] = set()
        self._backoff = Backoff(random.Random())
        self._gone = threading.Event()
        self._config, self._topics = config, topics
        self._answered = self._session_present = False
        self._told: str | None = None
        # Retain-as-published: a command sent with the retain flag is refused also when it reaches us alive.
        commands = SubscribeOptions(qos=1, retainAsPublished=True)
        self._filters = [(name, commands) for name in topics.command_filters]
        self._filters += [(name, SubscribeOptions(qos=1)) for name in (topics.desired, *signals)]
        # The same name after every restart takes over the predecessor's session, and so its last will.
        self._client = open_client(config, f"edge-{topics.device_id}")
        properties = _properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = WILL_DELAY_S
        self._client.will_set(topics.availability, encode(will), qos=1, retain=True, properties=properties)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        host, port = address(config)
        self._client.connect_async(host, port, config.keepalive_s, clean_start=False, properties=_session())

    def open(self) -> None:
        """Start the network thread; it connects, and connects again, until `close`."""
        self._client.loop_start()

    def tend(self) -> None:
        """Publish what found the queue full, and start the network thread again should it have died. Once a second.

        A subscriber that is silently gone is the worst kind of dead.
        """
        if self._client.loop_start() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.inbox.file_note(Note("mqtt_thread_restarted", "error"))
        self._publish_unsent()

    def publish(
        self, topic: str, message: Mapping[str, object], *, retain: bool = False, correlation: bytes | None = None
    ) -> None:
        """Publish, or queue while there is no broker. A retained topic keeps its newest message for every connect."""
        payload = encode(message)
        if retain:
            self._retained[topic] = payload
            self._unsent.add(topic)
            self._publish_unsent()
            return
        properties = None
        if correlation is not None:
            properties = _properties(PacketTypes.PUBLISH)
            properties.CorrelationData = correlation
        if self._client.publish(topic, payload, qos=1, properties=properties).rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            self.lost_messages += 1

    def publish_retained(self) -> None:
        """Publish every retained topic again: a broker that was restarted may have forgotten them."""
        self._unsent = set(self._retained)
        self._publish_unsent()

    def _publish_unsent(self) -> None:
        """Publish retained topics in their newest state; one that finds the queue full is tried again by `tend`."""
        if not self.connected:
            return
        for topic in sorted(self._unsent):
            sent = self._client.publish(topic, self._retained[topic], qos=1, retain=True)
            if sent.rc != MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
                self._unsent.discard(topic)

    def close(self) -> None:
        """Send what waits and part. The will still stands: the device is offline unless a new hub is here in time."""
        self._gone.clear()
        will_stands = ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message")
        if self._client.disconnect(will_stands) == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._gone.wait(FLUSH_S)

    # -- on the network thread -----------------------------------------------------------------------------------

    def _on_connect(
        self, client: Client, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self.inbox.file_note(Note("mqtt_refused", "warning", {"reason": str(reason)}))
            return
        self._told = None
        self._backoff.connected(now_s())
        client.subscribe(self._filters)
        self.connected, self._session_present = True, flags.session_present

    def _on_connect_fail(self, client: Client, _: Any) -> None:
        self._tell_why(sys.exception())  # paho calls us where it caught it
        self._wait_before_next()

    def _on_disconnect(
        self, client: Client, _: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self.connected:
            self.connected = False
            self.reconnects += 1
            self.inbox.file_note(Note("mqtt_lost", "warning", {"reason": str(reason)}))
        elif not self._answered:  # TLS 1.3: a broker that dislikes our certificate says so after the handshake
            self._tell_why(None)
        self._answered = False
        self._wait_before_next()
        self._gone.set()

    def _tell_why(self, error: BaseException | None) -> None:
        """Note why there is no broker, once a reason."""
        reason = explain(self._config, error, wall_s())
        if reason != self._told:
            self._told = reason
            self.inbox.file_note(Note("mqtt_unreachable", "warning", {"reason": reason}))

    def _wait_before_next(self) -> None:
        """Hand paho our own delay: its doubling runs in step with every other box of the venue."""
        delay_s = self._backoff.lost(now_s())
        self._client.reconnect_delay_set(delay_s, delay_s)  # type: ignore[arg-type]  # annotated int, takes seconds

    def _on_subscribe(
        self, client: Client, _: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        for (name, _options), reason in zip(self._filters, reasons, strict=False):
            if reason.is_failure:
                self.inbox.file_note(Note("mqtt_filter_refused", "error", {"filter": name, "reason": str(reason)}))
        # Not before: a command sent as soon as this is known would reach nobody.
        self.inbox.file_note(Note("mqtt_connected", "info", {"session_present": self._session_present}))

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        properties = message.properties
        received = Received(
            message.topic,
            bytes(message.payload),
            bool(message.retain),
            now_s(),
            getattr(properties, "ResponseTopic", None),
            getattr(properties, "CorrelationData", None),
        )
        if self._topics.command_name(received.topic):
            self.inbox.file_command(received)
        else:
            self.inbox.file_signal(received, keep=received.topic == self._topics.desired)


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]


def _session() -> Properties:
    properties = _properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = SESSION_S
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    properties.ReceiveMaximum = WAITING_COMMANDS
    return properties
