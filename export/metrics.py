"""How alike two pictures are, and how much a moving one flickers. Pictures are RGB; floats are 0-1."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from export.features import vgg16

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
_WINDOW_PX, _SIGMA_PX = 11, 1.5
_LIKENESS = ("relu1_2", "relu2_2", "relu3_3")


def as_floats(picture: Array) -> Floats:
    """(H, W, 3) float32 0-1 of uint8 or of floats."""
    scale = 255 if picture.dtype == np.uint8 else 1
    return np.asarray(picture, np.float32) / np.float32(scale)


def psnr(seen: Array, wanted: Array) -> float:
    """Decibels; infinite where nothing differs."""
    error = float(np.square(as_floats(seen) - as_floats(wanted)).mean())
    return float("inf") if error == 0 else -10.0 * float(np.log10(error))


def ssim(seen: Array, wanted: Array) -> float:
    """Structural similarity, mean over pixels and channels. Source: Wang et al. 2004, Gaussian window of 11 pixels."""
    a, b = as_floats(seen), as_floats(wanted)

    def blur(x: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(x, (_WINDOW_PX, _WINDOW_PX), _SIGMA_PX), np.float32)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, both = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(likeness.mean())


@torch.no_grad()
def lpips_like(seen: Array, wanted: Array) -> float:
    """Distance in VGG16 features of unit length, mean over places and layers: 0 is equal.

    Source: Zhang et al. 2018 (LPIPS), without its learned weights.
    """
    pair = torch.from_numpy(np.stack([as_floats(seen), as_floats(wanted)])).permute(0, 3, 1, 2)
    found = vgg16()(pair, _LIKENESS)
    total = 0.0
    for feature in found.values():
        unit = feature / feature.square().sum(1, keepdim=True).sqrt().clamp_min(1e-6)
        total += float((unit[0] - unit[1]).square().sum(0).mean())
    return total / len(found)


def flicker(outputs: Sequence[Array], inputs: Sequence[Array]) -> float:
    """Mean difference (0-1) between each output and the one before, moved along the inputs' optical flow.

    Source: the temporal error of Lai et al. 2018, with DIS flow (Kroeger et al. 2016) of the inputs.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    height, width = inputs[0].shape[:2]
    grid = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    errors = []
    for i in range(1, len(outputs)):
        grays = [np.asarray(np.mean(as_floats(picture), axis=2) * 255, np.uint8) for picture in inputs[i - 1 : i + 1]]
        where = grid + finder.calc(grays[1], grays[0], np.empty(0))
        xs, ys = np.ascontiguousarray(where[:, :, 0]), np.ascontiguousarray(where[:, :, 1])
        # Two maps: OpenCV 5 reads one map of two channels wrongly where an empty array stands for the second.
        moved = cv2.remap(as_floats(outputs[i - 1]), xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        errors.append(float(np.abs(as_floats(outputs[i]) - moved).mean()))
    return float(np.mean(errors))


def iou(seen: Array, wanted: Array, threshold: float = 0.5) -> float:
    """Overlap of two masks 0-1; 1 where both are empty."""
    a, b = np.asarray(seen) > threshold, np.asarray(wanted) > threshold
    union = int(np.count_nonzero(a | b))
    return 1.0 if union == 0 else int(np.count_nonzero(a & b)) / union
