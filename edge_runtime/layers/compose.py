"""What several layers need to put pixels on the canvas: blending, and where a box lies."""

import cv2
import numpy as np

from edge_runtime.scene import Canvas


def blend(canvas: Canvas, picture: Canvas, opacity: float) -> None:
    """Lay `picture` over `canvas`, both (H, W, 4) uint8 of one size. At opacity 0 nothing is touched."""
    if opacity >= 1.0:
        np.copyto(canvas, picture)
    elif opacity > 0.0:
        cv2.addWeighted(picture, opacity, canvas, 1.0 - opacity, 0.0, dst=canvas)


def scratch(kept: Canvas | None, like: Canvas) -> Canvas:
    """A buffer of the shape of `like` to draw in: `kept` when it fits, else a new one. Holds old pixels."""
    return kept if kept is not None and kept.shape == like.shape else np.empty(like.shape, np.uint8)


def region(canvas: Canvas, box: tuple[float, float, float, float]) -> Canvas:
    """The part of the canvas inside `box` (left, top, right, bottom, 0-1): a view, at least one pixel large."""
    height_px, width_px = canvas.shape[:2]
    left, right = _span(box[0], box[2], width_px)
    top, bottom = _span(box[1], box[3], height_px)
    return canvas[top:bottom, left:right]


def _span(start: float, end: float, size_px: int) -> tuple[int, int]:
    first = min(round(start * size_px), size_px - 1)
    return first, min(max(round(end * size_px), first + 1), size_px)


def smooth(x: float) -> float:
    """Smoothstep of 0-1: a fade that starts and ends without a corner."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)
