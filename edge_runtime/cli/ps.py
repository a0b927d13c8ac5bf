"""`edge-runtime ps`: the parts of a device on this box."""

import argparse
import json

from edge_runtime.cli.local import ask


def run(arguments: argparse.Namespace) -> int:
    """Print name, state, pid and restarts of every part."""
    parts = ask(arguments.device, "ps")
    if arguments.json:
        print(json.dumps(parts, indent=2))
        return 0
    print(f"{'PART':<20} {'STATE':<10} {'PID':>8} {'RESTARTS':>9}")
    for name, part in parts.items():
        print(f"{name:<20} {part['state']:<10} {part['pid'] or '-':>8} {part['restarts']:>9}")
    return 0
