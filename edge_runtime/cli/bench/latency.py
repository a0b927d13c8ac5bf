"""Rows `camera` and `command`: how late the glass is, by our own statistics and seen from outside.

From outside nothing is believed: a painted camera notes when it wrote a number, the screen's memory is looked at a
thousand times a second, and the difference is what a visitor waits.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.cli.bench import painting, stages
from edge_runtime.cli.bench.bare import BareLoop
from edge_runtime.cli.bench.device import Device
from edge_runtime.cli.bench.glass import Watch, find_xvfb, open_glass
from edge_runtime.cli.bench.table import Outcome, at_most, ms, spread
from edge_runtime.clock import now_s, pause_s
from edge_runtime.config import DeviceConfig
from edge_runtime.slots import Array

FRAME_MS = 1e3 / 60.0
CAMERA_MS = 1e3 / stages.CAMERA_HZ
COMMAND_MS = 50.0
SETTLE_S = 3.0
SEEN_WITHIN_S = 3.0
_PATCHES = np.s_[80:-80:40, 80:-80:40, :3]
_CHANGE_LEVELS = 6.0

Sightings = list[tuple[float, int | None]]


@contextmanager
def numbers_on_glass(cost_ms: float) -> Iterator[tuple[Device, Array, Path]]:
    """A device that shows its camera's numbers on a private screen; its pixels and the camera's log."""
    with tempfile.TemporaryDirectory(prefix="edge-runtime-bench-") as name, open_glass() as pixels:
        folder = Path(name)
        bundles, log = stages.as_costly(folder, cost_ms), folder / "camera.log"
        text = stages.on_glass("null", log, stale_after_s=stale_after_s(cost_ms))
        with Device(text, headless=False, models=[bundles]) as device:
            device.wait_up()
            pause_s(SETTLE_S)
            yield device, pixels, log


def stale_after_s(cost_ms: float) -> float:
    """When the picture of a model of that cost counts as stale: the product's own rule, made a known number."""
    return round(max(0.25, 3.0 * (cost_ms + CAMERA_MS) / 1e3), 3)


def latencies_ms(seen: Sightings, written_s: dict[int, float]) -> list[float]:
    """From the camera's writing of each number to its first sight on the glass."""
    return [1e3 * (at_s - written_s[number]) for at_s, number in seen if number is not None and number in written_s]


def watch_camera(pixels: Array, log: Path, *, seconds: float) -> tuple[Sightings, list[float], float]:
    """Look at the numbers for so long: sightings, latencies in ms, and the longest time between two looks in s."""
    with Watch(pixels, painting.read) as watch:
        pause_s(seconds)
    seen = [sighting for sighting in watch.seen[1:] if sighting[1] is not None]  # the first stood there before
    fresh = [seen[i] for i in range(len(seen)) if i == 0 or seen[i][1] != seen[i - 1][1]]
    return fresh, latencies_ms(fresh, painting.read_log(log)), watch.blind_s


def measure_camera(config: DeviceConfig, *, seconds: float) -> Outcome:
    """From the camera to the glass."""
    outcome = Outcome("camera")
    if find_xvfb() is None:
        outcome.skipped = "Xvfb is not installed"
        return outcome
    with BareLoop(config) as loop:
        cost_ms = loop.run(2.0).cost_ms
    with numbers_on_glass(cost_ms) as (device, pixels, log):
        _, outside_ms, blind_s = watch_camera(pixels, log, seconds=seconds)
        statistics = device.finish()
    inside, outside = statistics["latency_ms"]["camera_to_present"], spread(outside_ms)
    task_ms = statistics["models"]["model"]["task_ms"]["p95"]
    bar_ms = task_ms + CAMERA_MS + FRAME_MS
    outcome.figures |= {"cost_ms": cost_ms, "task_ms": statistics["models"]["model"]["task_ms"], "bar_ms": bar_ms}
    outcome.figures |= {"inside_ms": inside, "outside_ms": outside, "longest_blind_ms": 1e3 * blind_s}
    bar = f"<= {bar_ms:.1f} ms (task {task_ms:.1f})"
    outcome.judge("inside, p95", bar=bar, measured=ms(inside["p95"]), holds=at_most(inside["p95"], bar_ms))
    outcome.judge("outside, p95", bar=bar, measured=ms(outside["p95"]), holds=at_most(outside["p95"], bar_ms))
    _agree(outcome, "camera", inside, outside)
    return outcome


def _agree(outcome: Outcome, what: str, inside: dict[str, Any], outside: dict[str, Any]) -> None:
    """The two must agree within a frame and a look, at the median."""
    pairs = [f"{ms(inside[name])} / {ms(outside[name])}" for name in ("p50", "p95", "p99")]
    outcome.tell(f"{what}: inside / outside p50, p95, p99", ", ".join(pairs))
    if inside["p50"] is not None and outside["p50"] is not None:
        apart_ms = outside["p50"] - inside["p50"]
        holds = abs(apart_ms) <= FRAME_MS + 1.0
        outcome.judge(f"{what}: outside less inside, p50", bar="<= 17.67 ms", measured=ms(apart_ms), holds=holds)


# -- commands ----------------------------------------------------------------------------------------------------


def brightness(pixels: Array) -> float:
    """Mean of patches all over the screen, rounded so that noise is no change."""
    return round(float(pixels[_PATCHES].mean()) / _CHANGE_LEVELS) * _CHANGE_LEVELS


def time_commands(device: Device, pixels: Array, parameter: str, *, times: int) -> list[float]:
    """Set a parameter to 1 and 0 in turn; from just before each sending to the first changed pixel, in ms.

    A command whose effect is never seen counts as `SEEN_WITHIN_S`.
    """
    dice = random.Random(7)  # so that commands fall on every phase of a frame
    waited_ms = []
    for i in range(times):
        pause_s(dice.uniform(0.25, 0.4))
        waited_ms.append(_time_one(device, pixels, parameter, value=1.0 - i % 2))
    return waited_ms


def _time_one(device: Device, pixels: Array, parameter: str, *, value: float) -> float:
    with Watch(pixels, _changed_from(pixels)) as watch:
        sent_s = now_s()
        device.command("set", parameter=parameter, value=value)
        while not any(changed for _, changed in watch.since(sent_s)) and now_s() < sent_s + SEEN_WITHIN_S:
            pause_s(0.002)
    first_s = next((at_s for at_s, changed in watch.seen if changed), sent_s + SEEN_WITHIN_S)
    return 1e3 * (first_s - sent_s)


def _changed_from(pixels: Array) -> Callable[[Array], bool]:
    before = pixels[_PATCHES].astype(np.int16)

    def changed(now: Array) -> bool:
        return float(np.abs(now[_PATCHES] - before).mean()) > _CHANGE_LEVELS

    return changed


def measure_command(*, times: int) -> Outcome:
    """From a command to the glass: a scene's parameter, then a model's."""
    outcome = Outcome("command")
    if find_xvfb() is None:
        outcome.skipped = "Xvfb is not installed"
        return outcome
    with numbers_on_glass(5.0) as (device, pixels, _):
        device.command("scene", scene="flash", fade_s=0)
        pause_s(0.5)
        outside = spread(time_commands(device, pixels, "flash/white.opacity", times=times))
        inside = device.finish()["latency_ms"]["command_to_present"]
    outcome.figures["show"] = {"inside_ms": inside, "outside_ms": outside}
    for name, seen in (("inside", inside), ("outside", outside)):
        holds = at_most(seen["p95"], COMMAND_MS)
        outcome.judge(f"scene parameter, {name}, p95", bar="<= 50 ms", measured=ms(seen["p95"]), holds=holds)
    _agree(outcome, "scene parameter", inside, outside)
    _measure_model_parameter(outcome, times=times)
    return outcome


def _measure_model_parameter(outcome: Outcome, *, times: int) -> None:
    """A style of `stylize`, on a camera that shows plain grey: what changes on the glass was commanded."""
    with tempfile.TemporaryDirectory(prefix="edge-runtime-bench-") as folder, open_glass() as pixels:
        text = stages.on_glass("stylize", Path(folder) / "camera.log", still=True, stale_after_s=2.0)
        with Device(text, headless=False) as device:
            device.wait_up()
            pause_s(SETTLE_S)
            outside = spread(time_commands(device, pixels, f"models.model.style.{stages.STYLE}", times=times))
            task_ms = device.finish()["models"]["model"]["task_ms"]
    bar_ms = COMMAND_MS + 2.0 * task_ms["p95"]
    bar = f"<= {bar_ms:.1f} ms (task {task_ms['p95']:.1f})"
    outcome.figures["model"] = {"outside_ms": outside, "task_ms": task_ms, "bar_ms": bar_ms}
    measured = ms(outside["p95"])
    outcome.judge("model parameter, outside, p95", bar=bar, measured=measured, holds=at_most(outside["p95"], bar_ms))
