"""The loop that everybody writes first: capture, infer, draw, flip and sleep in one thread. The bench compares with it.

Camera, network, canvas and display are the product's own, so that only the architecture differs: no part beside it,
no deadline, no real-time priority, nothing that holds the network's picture still. Run as a program; JSON on stdout.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from edge_runtime.clock import SystemClock, now_s, pause_s
from edge_runtime.config import DeviceConfig, bundle_folders, load
from edge_runtime.display.display import Display, open_display
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import Task, Work, open_task
from edge_runtime.inputs.opening import open_source
from edge_runtime.inputs.source import Source
from edge_runtime.slots import Array

WARM_UP_S = 1.0


class RelativeSleep:
    """`pygame.time.Clock.tick`: sleeps what is left of a whole number of milliseconds since the last call.

    Source: pygame 2.6 src_c/time.c, clock_tick_base: the delay is (int)((1.0 / framerate) * 1000): 62.5 Hz for 60.
    """

    def __init__(self) -> None:
        self._last_s = now_s()

    def tick(self, rate_hz: float) -> None:
        """Sleep."""
        period_s = int(1000.0 / rate_hz) / 1000.0
        pause_s(max(0.0, period_s - (now_s() - self._last_s)))
        self._last_s = now_s()


def loop(
    source: Source, task: Task, size_px: tuple[int, int], display: Display, *, seconds: float
) -> dict[str, object]:
    """Run for so long after a warm-up; intervals between presents, and how many pictures the network made."""
    width, height = size_px
    out = np.empty((height, width, 3), np.uint8)
    clock = RelativeSleep()
    presented_s: list[float] = []
    begin_s = now_s() + WARM_UP_S
    while now_s() < begin_s + seconds:
        frame = source.read()
        if frame is None:
            continue
        task.run(Work([frame.bgr_hwc], task.defaults), out)
        _blit(out, display.canvas)
        display.present()
        if now_s() >= begin_s:
            presented_s.append(now_s())
        display.pump()
        clock.tick(60.0)
    return {"intervals_ms": [round(1e3 * ms, 3) for ms in np.diff(presented_s)], "runs": len(presented_s)}


def _blit(picture: Array, canvas: Array) -> None:
    bgrx = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)
    cv2.resize(bgrx, (canvas.shape[1], canvas.shape[0]), dst=canvas, interpolation=cv2.INTER_LINEAR)


def run(config: DeviceConfig, *, headless: bool, seconds: float) -> dict[str, object]:
    """Open the config's first camera and first model, and loop."""
    model = config.models[0].model_copy(update={"stabilise": 0.0})
    display_config = config.display.model_copy(update={"kind": "headless" if headless else "surface"})
    bundle = open_bundle(model.bundle, bundle_folders())
    task = open_task(model, bundle, model.size_px)
    source = open_source(config.cameras[0], seed=config.seed)
    with task.session, open_display(display_config, SystemClock()) as display:
        measured = loop(source, task, model.size_px, display, seconds=seconds)
    source.close()
    return measured


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--headless", action="store_true")
    given = parser.parse_args()
    print(json.dumps(run(load(given.config), headless=given.headless, seconds=given.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
