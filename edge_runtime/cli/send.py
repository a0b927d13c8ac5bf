"""`edge-runtime send`: one command, with id and expiry filled in, and its answers."""

import argparse
import dataclasses
import json
import os
from typing import Any

from edge_runtime.cli.local import control_path
from edge_runtime.commands import COMMANDS
from edge_runtime.config import MqttConfig
from edge_runtime.config.base import redact
from edge_runtime.control.client import send
from edge_runtime.errors import EdgeError

DEFAULT_URL = "mqtt://127.0.0.1:1883"


def run(arguments: argparse.Namespace) -> int:
    """Send and print the acknowledgements, one JSON line each; exit code 1 when one says no."""
    local = arguments.target == "local"
    acks = send(
        arguments.target,
        arguments.name,
        parse_arguments(arguments.name, arguments.arguments),
        control_socket=control_path(arguments.device) if local else None,
        broker=None if local else _broker(arguments),
        timeout_s=arguments.wait_s,
    )
    for ack in acks:
        told = {key: value for key, value in dataclasses.asdict(ack).items() if value is not None}
        print(json.dumps(told, ensure_ascii=False))
    return 0 if all(ack.ok for ack in acks) else 1


def _broker(arguments: argparse.Namespace) -> MqttConfig:
    url = arguments.url or os.environ.get("EDGE_RUNTIME_MQTT_URL", DEFAULT_URL)
    files = {
        key: getattr(arguments, key) or os.environ.get(f"EDGE_RUNTIME_MQTT_{key.upper()}")
        for key in ("ca_file", "cert_file", "key_file")
    }
    try:
        return MqttConfig(url=url, **files)
    except ValueError as error:
        raise EdgeError(f"--url {redact(url)!r}: expected mqtt://HOST:PORT or mqtts://HOST:PORT") from error


def usage(name: str) -> tuple[list[str], list[str]]:
    """The arguments that a command needs, and those that it may have; nothing for a command we do not know."""
    fields = COMMANDS[name].model_fields if name in COMMANDS else {}
    needed = [f"{key}=" for key, field in fields.items() if field.is_required()]
    return needed, [f"[{key}=]" for key, field in fields.items() if not field.is_required()]


def parse_arguments(name: str, pairs: list[str]) -> dict[str, Any]:
    """key=value pairs of a command; a value that is JSON is taken as such, anything else as text.

    Raises:
        EdgeError: a pair without "=", or one that the command needs is missing.
    """
    given = _read_pairs(name, pairs)
    needed, optional = usage(name)
    if any(key.rstrip("=") not in given for key in needed):
        raise EdgeError(f"{name} needs {' '.join([' and '.join(needed), *optional])}")
    return given


def _read_pairs(name: str, pairs: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    fields = COMMANDS[name].model_fields if name in COMMANDS else {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise EdgeError(f"{name} {pair}: expected {_form(name, pair)}")
        try:
            given[key] = json.loads(value)
        except ValueError:
            given[key] = value
        if key in fields and fields[key].annotation is str and not isinstance(given[key], str):
            given[key] = value  # prompt text=42
    return given


def _form(name: str, pair: str) -> str:
    needed, optional = usage(name)
    if len(needed) == 1:
        return f"{needed[0]}, e.g. {needed[0]}{pair}"
    return " ".join([*needed, *optional]) or "no arguments" if name in COMMANDS else "key=value, e.g. scene=mirror"
