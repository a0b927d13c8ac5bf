"""`edge-runtime send`: one command, with id and expiry filled in, and its answers."""

import argparse
import dataclasses
import json
import os
from typing import Any

from edge_runtime.cli.local import control_path
from edge_runtime.config import MqttConfig
from edge_runtime.control.client import send
from edge_runtime.errors import EdgeError

DEFAULT_URL = "mqtt://127.0.0.1:1883"


def run(arguments: argparse.Namespace) -> int:
    """Send and print the acknowledgements, one JSON line each; exit code 1 when one says no."""
    local = arguments.target == "local"
    acks = send(
        arguments.target,
        arguments.name,
        parse_arguments(arguments.arguments),
        control_socket=control_path(arguments.device) if local else None,
        broker=None if local else _broker(arguments),
        timeout_s=arguments.wait_s,
    )
    for ack in acks:
        print(json.dumps(dataclasses.asdict(ack), ensure_ascii=False))
    return 0 if all(ack.ok for ack in acks) else 1


def _broker(arguments: argparse.Namespace) -> MqttConfig:
    url = arguments.url or os.environ.get("EDGE_RUNTIME_MQTT_URL", DEFAULT_URL)
    try:
        return MqttConfig(url=url, ca_file=arguments.ca_file)
    except ValueError as error:
        raise EdgeError(f"--url {url!r}: expected mqtt://HOST:PORT or mqtts://HOST:PORT") from error


def parse_arguments(pairs: list[str]) -> dict[str, Any]:
    """key=value pairs; a value that is JSON is taken as such, anything else as text.

    Raises:
        EdgeError: a pair without "=".
    """
    given: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise EdgeError(f"{pair!r}: expected key=value, e.g. scene=mirror")
        try:
            given[key] = json.loads(value)
        except ValueError:
            given[key] = value
    return given
