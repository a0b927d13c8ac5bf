"""Poses: what MoveNet's maps say about people. Pure arithmetic on arrays; places are fractions of the picture.

The network gives maps at a quarter of its size: how likely the middle of a person is here, how large and where that
person's box would be, where the joints would be, and how likely each kind of joint is here whosever it may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
"""In the order of the network."""
BONES = (
    (0, 1), (0, 2), (1, 3), (2, 4), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13),
    (13, 15), (12, 14), (14, 16),
)  # fmt: skip
"""Pairs of joints that are drawn as lines."""
MOST_PEOPLE = 6
SEEN = 0.127
"""A joint of less is not believed. Source: the threshold in the published graph."""
_WIDTH = 0.3
"""Of the bell in which a joint is looked for, of the map's shorter side. Source: likewise."""
_PEAK_PX = 5


@dataclass(frozen=True, slots=True)
class Pose:
    """One person."""

    score: float
    """0-1: the middle's likelihood times the mean of the joints that are seen."""
    box: tuple[float, float, float, float]
    """Left, top, right, bottom, 0-1 of the picture."""
    joints: Floats
    """(17, 3): x, y, score of every joint, 0-1."""


def decode(maps: Mapping[str, Floats], *, at_least: float) -> list[Pose]:
    """People in the maps, the surest first.

    Args:
        maps: centers (1, 1, h, w), box_sizes and box_offsets (1, 2, h, w), joints and joint_offsets (1, 34, h, w),
            heatmaps (1, 17, h, w); sizes and offsets as y, x in cells of the map.
        at_least: score of a person that counts.

    Source: the decoding nodes of MoveNet MultiPose Lightning's published graph.
    """
    centers = maps["centers"][0, 0]
    height, width = centers.shape
    peaks = centers * (centers >= cv2.dilate(centers, np.ones((_PEAK_PX, _PEAK_PX), np.uint8)) - 1e-6)
    likeliest = np.argsort(peaks, axis=None)[::-1][:MOST_PEOPLE]
    found = []
    for index in likeliest:
        y, x = divmod(int(index), width)
        if peaks[y, x] < at_least:
            break
        pose = _pose(maps, y, x, float(peaks[y, x]), (height, width))
        if pose.score >= at_least:
            found.append(pose)
    return sorted(found, key=lambda pose: -pose.score)


def _pose(maps: Mapping[str, Floats], y: int, x: int, likelihood: float, size: tuple[int, int]) -> Pose:
    height, width = size
    box_height, box_width = np.maximum(maps["box_sizes"][0, :, y, x], 0.0)
    middle_y, middle_x = np.array((y, x)) + maps["box_offsets"][0, :, y, x]
    top, bottom = np.clip((middle_y - box_height / 2, middle_y + box_height / 2), 0, height)
    left, right = np.clip((middle_x - box_width / 2, middle_x + box_width / 2), 0, width)
    rough = maps["joints"][0, :, y, x].reshape(-1, 2) + np.array((y, x))
    joints = np.zeros((len(JOINTS), 3), np.float32)
    rows, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    reach = _WIDTH * min(height, width)
    # the bell is a product of two, so that it costs two vectors and not a picture
    down = np.exp(-np.square(rows[None, :] - rough[:, :1]) / reach) * ((rows >= top) & (rows < bottom))
    across = np.exp(-np.square(columns[None, :] - rough[:, 1:]) / reach) * ((columns >= left) & (columns < right))
    likely = maps["heatmaps"][0] * down[:, :, None] * across[:, None, :]
    flat = likely.reshape(len(JOINTS), -1)
    places = flat.argmax(axis=1)
    ys, xs = np.divmod(places, width)
    kinds = np.arange(len(JOINTS))
    offsets = maps["joint_offsets"][0].reshape(len(JOINTS), 2, height, width)[kinds, :, ys, xs]
    joints[:, 0] = (xs + offsets[:, 1]) / width
    joints[:, 1] = (ys + offsets[:, 0]) / height
    joints[:, 2] = flat[kinds, places]
    seen = joints[:, 2] > SEEN
    mean = float(joints[seen, 2].sum()) / max(1, int(seen.sum()))
    box = float(left / width), float(top / height), float(right / width), float(bottom / height)
    return Pose(likelihood * mean, box, joints)
