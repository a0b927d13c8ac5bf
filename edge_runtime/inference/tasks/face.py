"""Face: whether somebody looks at the screen, and the camera's picture with every face made unknowable.

A face that was seen stays covered for a moment after the network lost it: better one blur too many.
"""

from collections.abc import Iterator, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.inference.tasks.tracks import Box, Tracks, overlap
from edge_runtime.signals import Value
from edge_runtime.slots import Array

AT_LEAST, STILL_AT_LEAST = 0.5, 0.25
"""Score of a face that comes, and of one that is followed already."""
_CALM, _LAG = 0.5, 0.12
"""How far a cover goes towards where the face is now, in one picture, and how far behind it may be, in faces: whoever
stands has a cover that does not tremble, and whoever walks is covered all the same, since covers are larger."""
KEEP_S = 1.0
_SIDE_PX = 128
_SAME = 0.3
"""Boxes that share more are one face."""
_GROW = 1.7
"""The network's box ends at brows and chin; hair and ears tell too."""
_MOSAIC = 7
"""Patches across a covered face."""


def anchors() -> npt.NDArray[np.float32]:
    """(896, 2): the middles x, y, 0-1, that boxes are told from. Source: MediaPipe's short-range detector."""
    found = []
    for cells, each in ((16, 2), (8, 6)):
        middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        ys, xs = np.meshgrid(middles, middles, indexing="ij")
        found.append(np.repeat(np.stack([xs, ys], axis=-1).reshape(-1, 2), each, axis=0))
    return np.concatenate(found)


class Face:
    """A picture in, the same picture with covered faces out."""

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = False, 3, 0.0
        self._input = manifest.inputs[0].name
        self._anchors = anchors()
        self._tracks: Tracks[Box] = Tracks(KEEP_S)

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        if not work.frames:
            raise SessionError("face runs on a picture; give the model an input")
        frame = work.frames[0][:, :, :3]
        faces = merged([box for part in parts(frame.shape[1], frame.shape[0]) for box in self._faces(frame, part)])
        known = [
            box
            for score, box in faces
            if score > AT_LEAST or any(overlap(box, track.box) > _SAME for track in self._tracks.all)
        ]
        shown = self._tracks.update([(box, box) for box in known], work.at_s)
        for track in shown:
            track.thing = _calmed(track.before, track.box)
        height, width = out.shape[:2]
        smaller = frame.shape[1] > width
        cv2.resize(frame, (width, height), dst=out, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        for track in shown:
            cover(out, track.thing)
        return {"count": float(len(shown)), "present": float(bool(shown))}

    def _faces(self, frame: Array, part: tuple[int, int, int, int]) -> Iterator[tuple[float, Box]]:
        """Faces in one square part of the frame, in fractions of the frame."""
        x, y, side, _ = part
        square = frame[max(0, y) : y + side, max(0, x) : x + side]
        if square.shape[:2] != (side, side):  # the whole frame, with black beside it
            right, below = side - square.shape[1] - max(0, -x), side - square.shape[0] - max(0, -y)
            square = cv2.copyMakeBorder(square, max(0, -y), below, max(0, -x), right, cv2.BORDER_CONSTANT)
        small = cv2.resize(square, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
        x_nchw = np.ascontiguousarray(small[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32) / np.float32(127.5) - 1
        found = self.session.run({self._input: np.ascontiguousarray(x_nchw)})
        scores = 1 / (1 + np.exp(-np.clip(found["scores"][0, :, 0], -50, 50)))
        for index in np.flatnonzero(scores > STILL_AT_LEAST):
            middle = found["boxes"][0, index, :2] / _SIDE_PX + self._anchors[index]
            half = found["boxes"][0, index, 2:4] / _SIDE_PX / 2
            left, top = (middle - half) * side + (x, y)
            right, bottom = (middle + half) * side + (x, y)
            width, height = frame.shape[1], frame.shape[0]
            yield float(scores[index]), (left / width, top / height, right / width, bottom / height)

    def reset(self) -> None:
        """Nothing: what was covered stays covered until it is old."""


def _calmed(before: Box | None, box: Box) -> Box:
    """Where the cover goes: some of the way from where it was, never far behind."""
    if before is None:
        return box
    width, height = _LAG * (box[2] - box[0]), _LAG * (box[3] - box[1])
    left, top, right, bottom = (
        min(now + lag, max(now - lag, was + _CALM * (now - was)))
        for was, now, lag in zip(before, box, (width, height, width, height), strict=True)
    )
    return left, top, right, bottom


def parts(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Squares to look at: x, y, side, side. The whole for near faces, overlapping squares for farther ones."""
    long, short = max(width, height), min(width, height)
    found = [((width - long) // 2, (height - long) // 2, long, long)]
    count = max(1, round((long / short - 1) / 0.55)) + 1 if long > 1.15 * short else 0
    for i in range(count):
        offset = round(i * (long - short) / (count - 1))
        found.append((offset, 0, short, short) if width >= height else (0, offset, short, short))
    return found


def merged(found: list[tuple[float, Box]]) -> list[tuple[float, Box]]:
    """One box a face: the surest of those that overlap."""
    kept: list[tuple[float, Box]] = []
    for score, box in sorted(found, reverse=True):
        if all(overlap(box, other) < _SAME for _, other in kept):
            kept.append((score, box))
    return kept


def cover(picture: FrameBgr, box: Box) -> None:
    """Lay a soft ellipse of a few coarse colours over a box, 0-1, grown to the whole head. In place."""
    height, width = picture.shape[:2]
    middle = np.array(((box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height))
    half = np.maximum(
        3.0, np.array((box[2] - box[0], box[3] - box[1])) * (width / 2, height / 2) * (_GROW, _GROW * 1.15)
    )
    left, top = np.maximum(0, np.floor(middle - half)).astype(int)
    right, bottom = np.minimum((width, height), np.ceil(middle + half)).astype(int)
    if right - left < 2 or bottom - top < 2:
        return
    region = picture[top:bottom, left:right]
    coarse = cv2.resize(region, (_MOSAIC, _MOSAIC), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(cv2.blur(coarse, (3, 3)), (right - left, bottom - top), interpolation=cv2.INTER_CUBIC)
    xs = (np.arange(left, right, dtype=np.float32) + 0.5 - middle[0]) / half[0]
    ys = (np.arange(top, bottom, dtype=np.float32) + 0.5 - middle[1]) / half[1]
    share = np.clip((1 - (xs[None, :] ** 2 + ys[:, None] ** 2)) * 4, 0, 1).astype(np.float32)
    region[:] = cv2.blendLinear(smooth, region, share, 1 - share)
