"""`edge-runtime why`: where a parameter's value comes from."""

import argparse
import json

from edge_runtime.cli.local import ask
from edge_runtime.errors import EdgeError


def run(arguments: argparse.Namespace) -> int:
    """Print the value and what drives it."""
    answer = ask(arguments.device, "why", parameter=arguments.parameter)
    if not answer.get("ok"):
        raise EdgeError(str(answer.get("reason")))
    why = answer["result"]
    if arguments.json:
        print(json.dumps(why, indent=2))
        return 0
    print(f"{arguments.parameter} = {why['value']} ({_because(why)})")
    return 0


def _because(why: dict[str, object]) -> str:
    signal = f"signal {why.get('signal')} = {why.get('raw')}, {why.get('age_s')} s old"
    match why["by"]:
        case "held":
            left_s = why.get("left_s")
            return "held by a command until released" if left_s is None else f"held by a command for {left_s} s more"
        case "fixed":
            return "fixed in the config"
        case "fallback":
            return (
                f"fallback: {signal}, stale"
                if why.get("raw") is not None
                else f"fallback: signal {why.get('signal')} never came"
            )
        case _:
            return f"{signal}, mapped to {why['mapped']:.4g}" if isinstance(why.get("mapped"), float) else signal
