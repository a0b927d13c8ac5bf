"""Passthrough: the picture as it came, at the model's size, by way of the session.

With `NullSession` it stands for a network of known cost. Pixels stay readable: a number painted into the camera
picture can be read from the screen.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr


class Passthrough:
    """The first input's picture, resized. The network takes and gives (h, w, 3) uint8."""

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session = session
        self.parameters: Mapping[str, tuple[float, float]] = {}
        self.defaults: Mapping[str, float] = {}
        self._input, self._output = manifest.inputs[0].name, manifest.outputs[0].name

    def run(self, frames: Sequence[FrameBgr], values: Mapping[str, float], out: FrameBgr) -> None:
        height, width = out.shape[:2]
        if frames:
            picture = cv2.resize(frames[0], (width, height), dst=out, interpolation=cv2.INTER_AREA)
        else:
            picture = np.zeros_like(out)
        out[:] = self.session.run({self._input: picture})[self._output]

    def reset(self) -> None:
        pass
