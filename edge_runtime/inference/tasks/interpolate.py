"""Interpolate: in-between pictures, so that a model of 12 pictures a second is seen at the held rate.

Where everything goes is found once for each pair of pictures, both ways, on small ones (at full size that gains 0.2 dB
and costs four times as much); every run then moves both along and blends
them by what can be believed. It shows one interval behind its input, because what comes next has to be there first.
Source of the mixed motion: Jiang and others, "Super SloMo", 2018.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.inference.tasks.shrink import halvings, shrunk
from edge_runtime.signals import Value
from edge_runtime.slots import Array

SLOWEST_S = 0.5
"""Pictures that come further apart are shown as they are."""
CUT_SHARE, CUT_LEVELS = 0.7, 22.0
"""Share of pixels that do not come back, and mean difference that motion leaves: above, two pictures have nothing in
common. Films, a twelfth of a second apart: at most 0.3 and 7; from one film to another: at least 0.89 and 35."""
_BELIEF_PX = 2.0
"""A pixel that does not come back to where it was, there and back, by so much is hardly believed."""
_SETTLE = 0.3


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two pictures in a row, (H, W, 4), and how one becomes the other. Motion is (h, w, 2), in its own pixels."""

    before: Array
    after: Array
    there: Array
    back: Array
    doubt_there: Array
    doubt_back: Array


class Interpolate:
    """A picture that comes now and then in; at every run the one of this moment out."""

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = True, 3, 0.0
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.reset()

    def reset(self) -> None:
        self._newest: Array | None = None
        self._pair: _Pair | None = None
        self._captured_s = self._arrived_s = -1.0
        self._interval_s = self.behind_s = 0.0

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        if not work.frames:
            raise SessionError("interpolate runs on a picture; give the model an input")
        size_px = (out.shape[1], out.shape[0])
        if self._newest is not None and self._newest.shape[:2] != out.shape[:2]:
            self.reset()
        if self._newest is None or work.captured_s[0] != self._captured_s:
            newest = self._take(cv2.resize(work.frames[0][:, :, :3], size_px, interpolation=cv2.INTER_LINEAR), work)
        else:
            newest = self._newest
        if self._pair is None:
            cv2.cvtColor(newest, cv2.COLOR_BGRA2BGR, dst=out)
            self.behind_s = 0.0
        else:
            share = min(1.0, (work.at_s - self._arrived_s) / self._interval_s)
            between(self._pair, share, out)
            self.behind_s = (1 - share) * self._interval_s
        return {}

    def _take(self, picture: Array, work: Work) -> Array:
        """A new picture: from now on it is gone towards."""
        gap_s = work.at_s - self._arrived_s
        known = self._newest is not None and gap_s < SLOWEST_S
        if known:
            self._interval_s += (_SETTLE if self._interval_s else 1.0) * (gap_s - self._interval_s)
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA)  # `remap` moves four channels faster than three
        self._pair = self._find(self._newest, picture) if known and self._newest is not None else None
        self._newest, self._captured_s, self._arrived_s = picture, work.captured_s[0], work.at_s
        return picture

    def _find(self, before: Array, after: Array) -> _Pair | None:
        """The motion between two pictures; None where there is a cut."""
        small = _small_grey(before), _small_grey(after)
        there = self._flow.calc(small[0], small[1], None)  # type: ignore[call-overload] # None: its own memory
        back = self._flow.calc(small[1], small[0], None)  # type: ignore[call-overload]
        doubt = np.linalg.norm(there + _moved(back, there), axis=2)
        unlike = cv2.absdiff(small[0], _moved(small[1], there))
        if float((doubt > _BELIEF_PX).mean()) > CUT_SHARE or float(unlike.mean()) > CUT_LEVELS:
            return None
        return _Pair(before, after, there, back, doubt, np.linalg.norm(back + _moved(there, back), axis=2))


def between(pair: _Pair, share: float, out: FrameBgr) -> None:
    """Fill `out` with the picture `share` (0-1) of the way from the one before to the one after."""
    if share >= 1:
        cv2.cvtColor(pair.after, cv2.COLOR_BGRA2BGR, dst=out)
        return
    left = 1 - share
    to_before = pair.back * (share * share) - pair.there * (left * share)
    to_after = pair.there * (left * left) - pair.back * (left * share)
    trust_before = left * np.exp(_moved(pair.doubt_there, to_before) / -_BELIEF_PX) + 1e-3
    trust_after = share * np.exp(_moved(pair.doubt_back, to_after) / -_BELIEF_PX) + 1e-3
    size_px = (out.shape[1], out.shape[0])
    weight = cv2.resize((trust_before / (trust_before + trust_after)).astype(np.float32), size_px)
    first, second = _moved(pair.before, to_before), _moved(pair.after, to_after)
    cv2.cvtColor(cv2.blendLinear(first, second, weight, 1 - weight), cv2.COLOR_BGRA2BGR, dst=out)


def _small_grey(picture: Array) -> Array:
    return cv2.cvtColor(shrunk(picture, halvings(picture.shape[:2])), cv2.COLOR_BGR2GRAY)


def _moved(picture: Array, motion: Array) -> Array:
    """Each pixel taken from where its motion points to. A small motion (h, w, 2) moves a large picture as far."""
    height, width = picture.shape[:2]
    wider = np.float32(width / motion.shape[1])
    right, down = (cv2.resize(part, (width, height)) for part in cv2.split(motion * wider))
    np.add(right, np.arange(width, dtype=np.float32), out=right)
    np.add(down, np.arange(height, dtype=np.float32)[:, None], out=down)
    return cv2.remap(picture, right, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
