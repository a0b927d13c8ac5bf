"""Passthrough: the picture as it came, at the model's size, by way of the session.

With `NullSession` it stands for a network of known cost. Pixels stay readable: a number painted into the camera
picture can be read from the screen.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.signals import Value


class Passthrough:
    """The first input's picture, resized. The network takes and gives (h, w, 3) uint8."""

    def __init__(self, session: Session, manifest: Manifest, *, continuous: bool) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = continuous, 3, 0.0
        self._input, self._output = manifest.inputs[0].name, manifest.outputs[0].name

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        height, width = out.shape[:2]
        if work.frames:
            picture = cv2.resize(work.frames[0], (width, height), dst=out, interpolation=cv2.INTER_AREA)
        else:
            picture = np.zeros_like(out)
        out[:] = self.session.run({self._input: picture})[self._output]
        return {}

    def reset(self) -> None:
        pass
