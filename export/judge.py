"""A judge who never saw the student: what weather, hour and place does a picture show?

Ridge regression from colours and VGG features to classes, learned from landscapes drawn by rule. It is asked about
other drawn landscapes first, which tells how far it is to be believed, and then about what a student drew.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import torch

from export.features import vgg16
from export.pictures import Rgb

_LAYERS = ("relu1_2", "relu2_2", "relu3_3")
_BANDS = 4
_COLOURS_PX = (9, 5)
_RIDGE = 30.0
Floats = npt.NDArray[Any]


class Judge:
    """Tells classes of groups apart: weathers, hours, places."""

    def __init__(self, groups: Mapping[str, Sequence[str]], weights: Floats, mean: Floats, scale: Floats) -> None:
        self._groups, self._weights, self._mean, self._scale = groups, weights, mean, scale

    @classmethod
    def learn(cls, pictures: Sequence[Rgb], said: Floats, groups: Mapping[str, Sequence[str]]) -> Self:
        """Fit to pictures (h, w, 3) and what they show, (n, classes of all groups in order, and perhaps more)."""
        seen = _features(pictures)
        mean, scale = seen.mean(0), seen.std(0) + 1e-3
        x = np.c_[(seen - mean) / scale, np.ones(len(seen))]
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ said)
        return cls(groups, weights, mean, scale)

    def right(self, pictures: Sequence[Rgb], said: Floats) -> dict[str, float]:
        """Share of pictures, by group, whose largest class is the one that was said most; of those that say any."""
        seen = _features(pictures)
        answers = np.c_[(seen - self._mean) / self._scale, np.ones(len(seen))] @ self._weights
        found, start = {}, 0
        for name, classes in self._groups.items():
            part = slice(start, start + len(classes))
            any_said = said[:, part].max(1) > 0
            found[name] = float((answers[any_said, part].argmax(1) == said[any_said, part].argmax(1)).mean())
            start += len(classes)
        return found


@torch.no_grad()
def _features(pictures: Sequence[Rgb]) -> Floats:
    """(n, features): coarse colours, and mean and spread of VGG's layers in bands from top to bottom."""
    rows = []
    for rgb in pictures:
        colours = cv2.resize(rgb, _COLOURS_PX, interpolation=cv2.INTER_AREA).astype(np.float64).ravel() / 255
        found = vgg16()(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255, _LAYERS)
        row = [colours]
        for value in found.values():
            for band in value[0].chunk(_BANDS, dim=1):
                row += [band.mean((1, 2)).double().numpy(), band.std((1, 2)).double().numpy()]
        rows.append(np.concatenate(row))
    return np.log1p(np.maximum(np.stack(rows), 0))
