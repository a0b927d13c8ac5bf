"""A model's task in a bare loop in this process: what it costs when nothing is round it."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from edge_runtime.clock import cpu_s, now_s
from edge_runtime.config import DeviceConfig, bundle_folders
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import FrameBgr, Work, open_task
from edge_runtime.inputs.synthetic import SyntheticPicture

FRAMES = 30
"""Different pictures that the loop goes round."""
_WARM_UP_RUNS = 3


@dataclass(frozen=True, slots=True)
class BareRuns:
    """What a bare loop came to."""

    runs: int
    seconds: float
    cpu_seconds: float

    @property
    def rate_hz(self) -> float:
        """Runs a second."""
        return self.runs / self.seconds

    @property
    def cost_ms(self) -> float:
        """Processor time of one run, mean."""
        return 1e3 * self.cpu_seconds / self.runs


class BareLoop:
    """The config's first model on frames of its first camera's synthetic picture. Use as a context manager."""

    def __init__(self, config: DeviceConfig) -> None:
        model, camera = config.models[0], config.cameras[0]
        picture = SyntheticPicture(size_px=camera.size_px, seed=config.seed)
        self._frames: list[FrameBgr] = [picture.frame(i / camera.rate_hz).copy() for i in range(FRAMES)]
        self._task = open_task(model, open_bundle(model.bundle, bundle_folders()), model.size_px)
        self._values = {**self._task.defaults, **model.set}
        self._out = np.empty((model.size_px[1], model.size_px[0], 3), np.uint8)

    def __enter__(self) -> Self:
        for frame in self._frames[:_WARM_UP_RUNS]:
            self._task.run(Work([frame], self._values), self._out)
        return self

    def __exit__(self, *_: object) -> None:
        self._task.session.close()

    def run(self, seconds: float) -> BareRuns:
        """Run the task for so long, at least once."""
        begin_s, begin_cpu_s = now_s(), cpu_s()
        runs = 0
        while runs == 0 or now_s() - begin_s < seconds:
            self._task.run(Work([self._frames[runs % FRAMES]], self._values), self._out)
            runs += 1
        return BareRuns(runs, now_s() - begin_s, cpu_s() - begin_cpu_s)
