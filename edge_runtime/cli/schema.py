"""`edge-runtime schema`: the JSON Schema of device configs."""

import argparse
import json

from edge_runtime.config import DeviceConfig


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - the shape of a command
    """Print it; point an editor's TOML plug-in at the file."""
    print(json.dumps(DeviceConfig.model_json_schema(by_alias=True), indent=2))
    return 0
