"""The statistics object: one shape for `run --stats`, MQTT status and the control socket. Pure."""

from collections.abc import Mapping
from typing import Any

from edge_runtime.children import Child
from edge_runtime.config import DeviceConfig

SCHEMA = 1


def compose(
    config: DeviceConfig,
    children: Mapping[str, Child],
    memory_mb: Mapping[str, float],
    start: Mapping[str, float | None],
) -> dict[str, Any]:
    """Put together what the parts reported last. A part that is down keeps its last word."""
    show = children["show"].stats
    models: dict[str, Any] = {}
    for child in children.values():
        reported = child.stats.get("models")
        if isinstance(reported, dict):
            models |= reported
    return {
        "schema": SCHEMA,
        "device_id": config.device_id,
        "seconds": show.get("seconds", 0.0),
        "display": show.get("display", {}),
        "scene": show.get("scene", {}),
        "frames": show.get("frames", {}),
        "latency_ms": show.get("latency_ms", {}),
        "models": models,
        "cameras": {name.partition(":")[2]: c.stats for name, c in children.items() if name.startswith("camera:")},
        "parts": {
            name: {"state": child.state, "restarts": child.budget.restarts, "pid": child.pid}
            for name, child in children.items()
        },
        "governor": show.get("governor", {}),
        "signals": children["hub"].stats.get("signals", {}),
        "mqtt": children["hub"].stats.get("mqtt", {}),
        "start": dict(start),
        "memory_mb": {
            "show": round(memory_mb.get("show", 0.0), 1),
            "parts": {name: round(mb, 1) for name, mb in memory_mb.items() if name != "show"},
        },
    }
