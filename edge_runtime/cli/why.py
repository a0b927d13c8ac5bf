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
    print(tell(arguments.parameter, why))
    return 0


def tell(parameter: str, why: dict[str, object]) -> str:
    """One line: the value and where it comes from."""
    return f"{parameter} = {_show(why['value'])} ({_because(why)})"


def _show(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_show(number) for number in value)}]"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000.0 else f"{value:.0f}"
    return repr(value) if isinstance(value, str) else str(value)


def _because(why: dict[str, object]) -> str:
    signal = f"signal {why.get('signal')} = {_show(why.get('raw'))}, {_show(why.get('age_s'))} s old"
    match why["by"]:
        case "held":
            left_s = why.get("left_s")
            return (
                "held by a command until released"
                if left_s is None
                else f"held by a command for {_show(left_s)} s more"
            )
        case "fixed":
            return "fixed in the config"
        case "fallback":
            return (
                f"fallback: {signal}, stale"
                if why.get("raw") is not None
                else f"fallback: signal {why.get('signal')} never came"
            )
        case _:
            mapped = [f"mapped to {_show(why['mapped'])}"] if "mapped" in why else []
            filters = why.get("filters")
            return ", ".join([signal, *mapped, *(filters if isinstance(filters, list) else [])])
