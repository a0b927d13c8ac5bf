"""Stylize: a camera picture in any mix of the network's styles, held still where the scene is still."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.inference.tasks.stabilise import Stabiliser
from edge_runtime.signals import Value

FULL_MIX = 0.1
"""Weights that sum to less are filled up with the default style: fading the last style out glides, it does not jump."""
FRESH_PER_CHANGE = 8.0
"""How fast the past is dropped while styles change: an eighth of the mix exchanged in one run drops all of it."""


class Stylize:
    """A network of many styles: in an image (1, 3, h, w) RGB 0-1 and a weight for each style, out an image alike."""

    def __init__(self, session: Session, manifest: Manifest, *, stabilise: float) -> None:
        self.session = session
        self.parameters = manifest.parameters
        self.defaults = manifest.defaults
        self.continuous, self.channels, self.behind_s = False, 3, 0.0
        self._styles = [f"style.{style}" for style in manifest.styles]
        self._image, self._weights = (spec.name for spec in manifest.inputs)
        self._output = manifest.outputs[0].name
        self._planes = np.empty((1, 3, 0, 0), np.float32)
        self._stabiliser = Stabiliser(stabilise)
        self._mix: npt.NDArray[np.float32] | None = None

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        if not work.frames:
            raise SessionError("stylize runs on a picture; give the model an input")
        height, width = out.shape[:2]
        given = work.frames[0][:, :, :3]
        shrinks = given.shape[0] > height
        frame = cv2.resize(given, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if self._planes.shape[2:] != (height, width):
            self._planes = np.empty((1, 3, height, width), np.float32)
        self._stabiliser.settle_input(frame, self._planes[0])
        mix = mix_styles([work.number(name) for name in self._styles])
        changed = 1.0 if self._mix is None else float(np.abs(mix - self._mix).sum()) / 2
        inputs = {self._image: self._planes, self._weights: mix}
        (picture,) = self.session.run(inputs)[self._output]  # (3, h, w) RGB
        self._mix = mix
        self._stabiliser.settle_output(picture, out, fresh=min(1.0, FRESH_PER_CHANGE * changed))
        return {}

    def reset(self) -> None:
        self._stabiliser.reset()
        self._mix = None


def mix_styles(weights: Sequence[float]) -> npt.NDArray[np.float32]:
    """Weights as the network wants them: sum 1. The first style fills up what is missing to `FULL_MIX`.

    So all zero is the first style, one style alone is that style at full strength whatever its weight, and two of
    equal weight are half and half.
    """
    mix = np.clip(np.asarray(weights, np.float32), 0.0, 1.0)
    mix[0] += max(0.0, FULL_MIX - float(mix.sum()))
    mix /= mix.sum()
    return mix
