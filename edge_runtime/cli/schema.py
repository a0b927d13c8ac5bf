"""`edge-runtime schema`: the JSON Schema of device configs, or the contract over MQTT."""

import argparse
import json

from edge_runtime.config import DeviceConfig
from edge_runtime.control.reference import reference


def run(arguments: argparse.Namespace) -> int:
    """Print it. The schema is for an editor's TOML plug-in; the contract is docs/mqtt.md."""
    if arguments.what == "mqtt":
        print(reference(), end="")
    else:
        print(json.dumps(DeviceConfig.model_json_schema(by_alias=True), indent=2))
    return 0
