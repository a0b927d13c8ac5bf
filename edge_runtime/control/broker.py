"""A client for a broker, as every part and tool opens it: MQTT 5, with limits, secrets and TLS as configured."""

import json
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_runtime.config import MqttConfig
from edge_runtime.control.certificates import Tls
from edge_runtime.errors import ConfigError

QUEUED_MESSAGES = 500
IN_FLIGHT_MESSAGES = 50
CONNECT_TIMEOUT_S = 5.0


def encode(message: object) -> bytes:
    """A message as it goes out: compact JSON, UTF-8."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), default=str).encode(errors="replace")


def address(config: MqttConfig) -> tuple[str, int]:
    """Host and port of the broker.

    Raises:
        ConfigError: the URL has no host or an impossible port.
    """
    try:
        parts = urlsplit(config.url)
        host, port = parts.hostname, parts.port
        if host:
            host.encode("idna")  # what name resolution would choke on, on the network thread
    except (ValueError, UnicodeError) as error:
        raise ConfigError(f"mqtt.url = {config.url!r}: {error}") from error
    if not host or port == 0:
        raise ConfigError(f"mqtt.url = {config.url!r}: expected mqtt://host:port")
    return host, port or (8883 if parts.scheme == "mqtts" else 1883)


def open_client(config: MqttConfig, client_id: str) -> Client:
    """A paho client for that broker, not connected yet: version, limits, secrets, TLS.

    Raises:
        ConfigError: a certificate or password file cannot be used.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_queued_messages_set(QUEUED_MESSAGES)  # paho forbids it after connect
    client.max_inflight_messages_set(IN_FLIGHT_MESSAGES)
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.on_socket_open = _send_at_once
    client.on_publish = _acknowledge_at_once
    user, password = read_secrets(config)
    if user is not None or password is not None:
        client.username_pw_set(user, password)
    if urlsplit(config.url).scheme == "mqtts":
        tls = Tls(config)
        client.tls_set_context(tls.context)
        client.on_pre_connect = lambda _client, _: _take_renewed(tls)
    return client


def _take_renewed(tls: Tls) -> None:
    with suppress(OSError):  # half of them are written: until the next attempt the old ones stand
        tls.refresh()


def read_secrets(config: MqttConfig) -> tuple[str | None, str | None]:
    """User and password: from EDGE_RUNTIME_MQTT_USER and _PASSWORD, else `user:password` in the password file.

    Raises:
        ConfigError: the password file cannot be read.
    """
    user, password = os.environ.get("EDGE_RUNTIME_MQTT_USER"), os.environ.get("EDGE_RUNTIME_MQTT_PASSWORD")
    if password is None and config.password_file:
        try:
            line = Path(config.password_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"mqtt.password_file = {config.password_file!r}: cannot be read: {error}") from error
        if user is None:
            user, _, password = line.partition(":")
        else:
            password = line
    return user, password


def _send_at_once(_client: Client, _: Any, opened: object) -> None:
    """Turn Nagle's algorithm off: an ack behind a state would wait for the broker's delayed TCP ack, 40 ms."""
    if isinstance(opened, socket.socket):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _acknowledge_at_once(client: Client, _: Any, _mid: int, _reason: ReasonCode, _properties: Properties) -> None:
    """Send the TCP ack of a PUBACK now: a broker with Nagle's algorithm on holds the next command back for it.

    Source: mosquitto 2.0.11 as installed (set_tcp_nodelay false): a command after a publish arrives 40 ms late without.
    """
    link = client.socket()
    if isinstance(link, socket.socket):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
