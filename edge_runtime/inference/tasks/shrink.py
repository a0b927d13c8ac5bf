"""Shrink: motion and differences are found on pictures of a bounded size, however large what they are found for is."""

import cv2

from edge_runtime.slots import Array

SMALL_PX = 272
"""Half size is a quarter of the cost and half of the noise; a larger picture is halved until its shorter side has no
more pixels than this, as 544 rows have when they are halved once."""


def halvings(size: tuple[int, ...]) -> int:
    """How many times a picture of that size is halved: at least once."""
    times = 1
    while min(size) >> times > SMALL_PX:
        times += 1
    return times


def shrunk(picture: Array, times: int) -> Array:
    """Halved again and again: two halvings cost less than one quartering, and come to the same."""
    for _ in range(times):
        height, width = picture.shape[:2]
        picture = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return picture
