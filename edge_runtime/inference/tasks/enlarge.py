"""Enlarge: a small painting as a large one whose edges are crisp, without a network.

Every pixel is taken from a little further away from the nearest edge, so that what lies on either side closes up to it:
edges get steep and, unlike sharpened ones, no halo. Where there is no edge nothing moves.
Source: Arad, Gotsman, "Enhancement by image-dependent warping", 1999.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.signals import Value
from edge_runtime.slots import Array

_REACH_PX = 1.3
"""How far a pixel is taken from at most, in pixels of the small picture: half of how wide its edges are."""
_FAINT = 26.0
"""Slope of the edges' strength from which on pixels move half of that: well above noise and the weave of strokes."""
_SOFT_PX = 0.8


class Enlarge:
    """A picture in, the same picture larger out. Used from one thread; keeps a scratch picture."""

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = False, 3, 0.0
        self._large = np.empty((0, 0, 3), np.uint8)
        self._grid = (np.empty(0, np.float32), np.empty(0, np.float32))

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        if not work.frames:
            raise SessionError("enlarge runs on a picture; give the model an input")
        given = np.ascontiguousarray(work.frames[0][:, :, :3])
        height, width = out.shape[:2]
        if self._large.shape != out.shape:
            self._large = np.empty_like(out)
            self._grid = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        cv2.resize(given, (width, height), dst=self._large, interpolation=cv2.INTER_CUBIC)
        right, down = (
            cv2.resize(shift, (width, height), interpolation=cv2.INTER_LINEAR) for shift in _away_from_edges(given)
        )
        xs = self._grid[0] - right * np.float32(width / given.shape[1])
        ys = self._grid[1] - down * np.float32(height / given.shape[0])
        cv2.remap(self._large, xs, ys, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)
        return {}

    def reset(self) -> None:
        """Nothing to forget."""


def _away_from_edges(bgr: FrameBgr) -> tuple[Array, Array]:
    """Where every pixel's nearest edge lies, right and down, as far as pixels are moved."""
    grey = cv2.GaussianBlur(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), _SOFT_PX)
    edges = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25))
    edges = cv2.GaussianBlur(edges, (0, 0), _SOFT_PX)
    right, down = (cv2.Sobel(edges, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    share = np.float32(_REACH_PX) / (cv2.magnitude(right, down) + np.float32(_FAINT))
    return right * share, down * share
