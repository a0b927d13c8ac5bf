"""The statistics object: one shape for `run --stats`, MQTT status and the control socket. Pure."""

import math
from collections.abc import Mapping
from typing import Any

from edge_runtime import __version__
from edge_runtime.children import Child
from edge_runtime.config import DeviceConfig

SCHEMA = 1
USUAL_RATE_HZ = 60.0
"""Of a screen that does not tell."""


_COUNTS = ("due", "presented", "missed", "late_by_us", "late_by_world")


class EndedShows:
    """What shows that ended had counted, and the periods without a picture until the next one. Pure."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._dark_since_s: float | None = None

    def ended(self, frames: Mapping[str, Any], last_picture_s: float) -> dict[str, Any]:
        """Take over the counts of a show; its frames without them, so that nothing is counted twice."""
        for name in _COUNTS:
            self._counts[name] += frames.get(name, 0)
        if math.isfinite(last_picture_s) and self._dark_since_s is None:
            self._dark_since_s = last_picture_s
        return {**frames, **dict.fromkeys(_COUNTS, 0)}

    def presents(self, at_s: float, rate_hz: float) -> None:
        """Note the first picture of the next show: what was due until then was missed, and not by slow drawing."""
        if self._dark_since_s is not None:
            periods = max(0, round((at_s - self._dark_since_s) * rate_hz) - 1)
            for name in ("due", "missed", "late_by_world"):
                self._counts[name] += periods
        self._dark_since_s = None

    def added_to(self, frames: Mapping[str, Any]) -> dict[str, Any]:
        """The frames of the whole run: counts of all shows, intervals of the last."""
        if not any(self._counts.values()):
            return dict(frames)
        return {**frames, **{name: frames.get(name, 0) + count for name, count in self._counts.items()}}


def due_hz(config: DeviceConfig, show: Mapping[str, Any]) -> float:
    """How many frames a second a show owes, from its config and, where the screen decides, from what it reported."""
    if config.rate_hz != "display":
        return config.rate_hz
    return float(show.get("display", {}).get("refresh_hz") or USUAL_RATE_HZ)


def compose(
    config: DeviceConfig,
    children: Mapping[str, Child],
    memory_mb: Mapping[str, float],
    start: Mapping[str, float | None],
    ended: EndedShows,
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
        "version": __version__,
        "device_id": config.device_id,
        "seconds": show.get("seconds", 0.0),
        "display": show.get("display", {}),
        "scene": show.get("scene", {}),
        "frames": ended.added_to(show.get("frames", {})),
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
