"""`edge-runtime send`: one command, with id and expiry filled in, and its answers."""

import argparse
import json
import os
from typing import Any

from edge_runtime.cli.local import control_path
from edge_runtime.control.client import send_local, send_mqtt
from edge_runtime.errors import EdgeError

DEFAULT_URL = "mqtt://127.0.0.1:1883"


def run(arguments: argparse.Namespace) -> int:
    """Send and print the acknowledgements, one JSON line each; exit code 1 when one says no or none comes."""
    given = parse_arguments(arguments.arguments)
    if arguments.target == "local":
        acks = [send_local(control_path(arguments.device), arguments.name, given, expires_s=arguments.expires_s, wait_s=arguments.wait_s)]
    else:
        url = arguments.url or os.environ.get("EDGE_RUNTIME_MQTT_URL", DEFAULT_URL)
        acks = send_mqtt(url, arguments.target, arguments.name, given, expires_s=arguments.expires_s, wait_s=arguments.wait_s)
    for ack in acks:
        print(json.dumps(ack, ensure_ascii=False))
    if not acks:
        raise EdgeError(f"no answer from {arguments.target!r} within {arguments.wait_s:g} s; is it online?")
    return 0 if all(ack.get("ok") for ack in acks) else 1


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
