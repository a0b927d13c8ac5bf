"""VGG16 features: what style, content and likeness are measured in. Training and measuring only, never shipped."""

import functools
from collections.abc import Collection

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.sources import member

_BLOCKS = (2, 2, 3, 3)
"""Convolutions in each block, up to relu4_3."""
_MEAN_BGR = (103.939, 116.779, 123.68)
"""Of ImageNet, 0-255: what the network was trained with. Source: Simonyan, Zisserman 2015, Caffe release."""


class Features(nn.Module):
    """The convolutions of VGG16 up to relu4_3, frozen. Source: weights of "hed" in sources.toml."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.convolutions = nn.ModuleList()
        with h5py.File(member("hed", ".h5")) as file:
            for block, count in enumerate(_BLOCKS, 1):
                for index in range(count):
                    path = f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"
                    kernel, bias = np.array(file[f"{path}/0"]), np.array(file[f"{path}/1"])
                    layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
                    layer.weight.data = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous()
                    layer.bias.data = torch.from_numpy(bias)
                    self.convolutions.append(layer)
                    self.names.append(f"relu{block}_{index + 1}")
        self.register_buffer("mean", torch.tensor(_MEAN_BGR).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    def forward(self, rgb: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """Features by layer name, e.g. relu2_2, for pictures (N, 3, H, W) RGB 0-1."""
        x = rgb.flip(1) * 255 - self.mean
        found: dict[str, Tensor] = {}
        for name, layer in zip(self.names, self.convolutions, strict=True):
            if name.endswith("_1") and name != "relu1_1":
                x = F.max_pool2d(x, 2)
            x = F.relu(layer(x))
            if name in wanted:
                found[name] = x
            if len(found) == len(wanted):
                break
        return found


@functools.cache
def features() -> Features:
    """The one instance of this process, on the CPU."""
    return Features()


def gram(feature: Tensor) -> Tensor:
    """(N, C, C): how the channels of (N, C, H, W) go together, whatever the size. Source: Gatys et al., CVPR 2016."""
    n, c, h, w = feature.shape
    flat = feature.reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / (c * h * w)
