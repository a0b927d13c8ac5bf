"""Backdrop: a landscape that never was, walking on for ever through noise and the conditions it is told."""

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.inference.tasks.brush import Brush
from edge_runtime.signals import Value
from edge_runtime.slots import Array

EASE_S = 1.0
"""Time constant with which conditions are followed, whatever bindings do before."""
_TURNS_RAD_S = (0.11, 0.067)
"""How fast the two planes of noise turn at full drift; their ratio never comes round, so no picture comes twice."""
_SHARPNESS = 0.55


class Backdrop:
    """Noise (1, 3, h, w) and conditions (1, n) in, a picture (1, 3, H, W) RGB 0-1 out.

    The noise turns in two planes of its own space and so stays noise: the picture changes all the time and never jumps.
    Parameters named `palette.*` are told around zero and times `palette.strength`, the way the network learned them.
    """

    def __init__(self, session: Session, manifest: Manifest, size_px: tuple[int, int], *, seed: int) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = True, 3, 0.0
        noise, conditions = manifest.inputs
        self._noise, self._conditions, self._output = noise.name, conditions.name, manifest.outputs[0].name
        self._names = [spec.name for spec in manifest.tunables if spec.name != "drift"]
        rng = np.random.default_rng(seed)
        self._corners = rng.standard_normal((4, *(int(side) for side in noise.shape))).astype(np.float32)
        self._angles = np.zeros(2)
        self._told: npt.NDArray[np.float32] | None = None
        self._at_s: float | None = None
        self._brush = Brush(size_px)

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        step_s = 0.0 if self._at_s is None else min(1.0, max(0.0, work.at_s - self._at_s))
        self._at_s = work.at_s
        wanted = np.array([work.number(name) for name in self._names], np.float32)
        if self._told is None:
            self._told = wanted
        self._told = self._told + (wanted - self._told) * np.float32(1 - np.exp(-step_s / EASE_S))
        self._angles += np.array(_TURNS_RAD_S) * work.number("drift") * step_s
        inputs = {self._noise: self._walk(), self._conditions: self._vector()[None]}
        (picture,) = self.session.run(inputs)[self._output]  # (3, H, W) RGB
        self._paint(picture, out)
        return {}

    def _walk(self) -> Array:
        (a, b), z = self._angles, self._corners
        turned = np.cos(a) * z[0] + np.sin(a) * z[1] + np.cos(b) * z[2] + np.sin(b) * z[3]
        return np.asarray(turned * np.sqrt(0.5), np.float32)

    def _vector(self) -> npt.NDArray[np.float32]:
        assert self._told is not None
        vector = self._told.copy()
        strength = dict(zip(self._names, vector, strict=True)).get("palette.strength", 0.0)
        for place, name in enumerate(self._names):
            if name.startswith("palette.") and name != "palette.strength":
                vector[place] = (2 * vector[place] - 1) * strength
        return vector

    def _paint(self, picture: Array, out: FrameBgr) -> None:
        """Bring out what edges there are, and paint it at the size that is wanted."""
        size_px = (out.shape[1], out.shape[0])
        if self._brush.size_px != size_px:
            self._brush.fit(size_px)
        bgr = cv2.merge([picture[2], picture[1], picture[0]])
        soft = cv2.GaussianBlur(bgr, (0, 0), 1.2)
        crisp = cv2.addWeighted(bgr, 1 + _SHARPNESS, soft, -_SHARPNESS, 0)
        self._brush.paint(cv2.convertScaleAbs(np.maximum(crisp, 0), alpha=255), out)

    def reset(self) -> None:
        self._told = None
