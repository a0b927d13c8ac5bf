"""Row `start`: from the moment of exec to the first picture, and to the first picture of a model."""

from pathlib import Path

from edge_runtime.cli.bench import stages
from edge_runtime.cli.bench.device import Device
from edge_runtime.cli.bench.table import Outcome, spread

PICTURE_S, MODEL_S = 1.0, 3.0


def measure_start(path: Path, *, rounds: int) -> Outcome:
    """Start it so many times; every moment is when its log line was read here."""
    outcome = Outcome("start")
    events = {"first_picture": PICTURE_S, "first_model_frame": MODEL_S}
    seen_s: dict[str, list[float]] = {event: [] for event in events}
    for _ in range(rounds):
        with Device(stages.plain(path)) as device:
            for event, waits_s in seen_s.items():
                waits_s.append(round(device.wait_event(event) - device.started_s, 3))
            device.finish()
    for event, bar_s in events.items():
        waited = spread(seen_s[event])
        median_s, worst_s = waited["p50"] or 0.0, waited["max"] or 0.0
        measured = f"{median_s:.2f} s, worst {worst_s:.2f} s of {rounds}"
        outcome.judge(event.replace("_", " "), bar=f"<= {bar_s:g} s", measured=measured, holds=worst_s <= bar_s)
        outcome.figures[f"{event}_s"] = seen_s[event]
    return outcome
