"""The networks of stylize: the published one, rebuilt so that it can be trained, and a faster one that begins as it.

Both paint in any mix of their styles by conditional instance normalisation: a style is a row of scales and shifts,
one pair for each channel of each layer; all that two styles share is convolutions. Source: Dumoulin, Shlens, Kudlur,
"A Learned Representation for Artistic Style", 2017.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-3
"""Of every normalisation; the published graph's."""
_RESIDUAL = tuple(f"res.{block}.{half}" for block in range(6) for half in range(2))
_NORMALISED = {"expand.0": 8, "expand.1": 4, "expand.2": 3}
"""Channels that are normalised each on its own, where they are not 32."""


class StyleRows(nn.Module):
    """Every style as one row: the scales of all layers, then their shifts."""

    def __init__(self, styles: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = list(channels)
        self.scales = nn.Parameter(torch.ones(styles, sum(channels)))
        self.shifts = nn.Parameter(torch.zeros(styles, sum(channels)))

    def forward(self, style_weights: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The mix's scales and shifts of each layer, (n, channels) each, for weights (n, styles)."""
        scales = torch.split(style_weights @ self.scales, self.channels, dim=1)
        shifts = torch.split(style_weights @ self.shifts, self.channels, dim=1)
        return scales, shifts


def normalise(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Conditional instance normalisation of (n, c, h, w).

    Where `scale` has a quarter of the channels, four neighbours share it and are normalised as one: they are the
    four pixels of a cell that has not been laid out yet.
    """
    n, c, h, w = x.shape
    phases = c // scale.shape[1]
    if phases > 1:
        x = x.reshape(n, c // phases, h * phases, w)
    if n == 1:  # one node in ONNX, whose scale and shift may vary
        x = functional.instance_norm(x, weight=scale.flatten(), bias=shift.flatten(), eps=EPSILON)
    else:
        x = functional.instance_norm(x, eps=EPSILON) * scale[:, :, None, None] + shift[:, :, None, None]
    return x.reshape(n, c, h, w) if phases > 1 else x


@dataclass(frozen=True, slots=True)
class _Shape:
    """Of one convolution, without a bias."""

    came: int
    width: int
    kernel: int = 3
    stride: int = 1


class StyledNet(nn.Module):
    """Convolutions under conditional instance normalisation.

    First layers that contract, then residual blocks, then three layers that expand again. Sizes are multiples of 4.
    """

    def __init__(self, styles: int, shapes: Mapping[str, _Shape]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleDict(
            {
                name.replace(".", "_"): nn.Conv2d(shape.came, shape.width, shape.kernel, shape.stride, bias=False)
                for name, shape in shapes.items()
            }
        )
        self.rows = StyleRows(styles, [_NORMALISED.get(name, 32) for name in shapes])
        self._contracting = sum(name.startswith("contract") for name in shapes)

    def forward(self, image: Tensor, style_weights: Tensor) -> Tensor:
        """Paint (n, 3, h, w) RGB 0-1 in mixes (n, styles)."""
        return self.expand(self.residual(self.contract(image, style_weights), style_weights), style_weights)

    def contract(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """To 32 channels at a quarter of the size."""
        scales, shifts = self.rows(style_weights)
        for index in range(self._contracting):
            x = functional.relu(self.layer(index, x, scales, shifts))
        return x

    def residual(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """The blocks in the middle."""
        scales, shifts = self.rows(style_weights)
        for index in range(self._contracting, len(scales) - 3, 2):
            inner = functional.relu(self.layer(index, x, scales, shifts))
            x = x + self.layer(index + 1, inner, scales, shifts)
        return x

    def expand(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """Back to a picture."""
        raise NotImplementedError

    def layers(self) -> list[nn.Conv2d]:
        """The convolutions in order."""
        return [layer for layer in self.convolutions.values() if isinstance(layer, nn.Conv2d)]

    def layer(self, index: int, x: Tensor, scales: Sequence[Tensor], shifts: Sequence[Tensor]) -> Tensor:
        """Convolve and normalise; borders are mirrored."""
        layer = self.layers()[index]
        kernel, stride = layer.kernel_size[0], layer.stride[0]
        border = kernel // 2 if kernel % 2 else (kernel - stride) // 2
        x = layer(functional.pad(x, (border, border, border, border), mode="reflect"))
        return normalise(x, scales[index], shifts[index])


_PUBLISHED = {
    "contract.0": _Shape(3, 32, kernel=9),
    "contract.1": _Shape(32, 32, stride=2),
    "contract.2": _Shape(32, 32, stride=2),
    **dict.fromkeys(_RESIDUAL, _Shape(32, 32)),
    "expand.0": _Shape(32, 8),
    "expand.1": _Shape(8, 4),
    "expand.2": _Shape(4, 3, kernel=9),
}
_STEADY = _PUBLISHED | {
    "contract.0": _Shape(3, 32, kernel=9, stride=2),
    "contract.2": _Shape(32, 32),
    "expand.0": _Shape(32, 32),
    "expand.1": _Shape(8, 16),
    "expand.2": _Shape(16, 12, kernel=5),
}
_LITE = {
    "contract.0": _Shape(3, 32, kernel=8, stride=4),
    "contract.1": _Shape(32, 32),
    **dict.fromkeys(_RESIDUAL[:6], _Shape(32, 32)),
    "expand.0": _Shape(32, 32),
    "expand.1": _Shape(8, 16),
    "expand.2": _Shape(16, 12),
}


class PublishedNet(StyledNet):
    """The network of 26 styles as it was published, with room for more of them."""

    def __init__(self, styles: int) -> None:
        super().__init__(styles, _PUBLISHED)

    @classmethod
    def read(cls, path: Path, styles: int) -> "PublishedNet":
        """The published weights. Styles beyond the 26 begin as their mean."""
        net = cls(styles)
        found = {item.name: torch.tensor(numpy_helper.to_array(item)) for item in onnx.load(path).graph.initializer}
        with torch.no_grad():
            for name in _PUBLISHED:
                net.convolutions.get_parameter(f"{name.replace('.', '_')}.weight").copy_(found[f"{name}.w"])
            for rows, part in ((net.rows.scales, "gamma"), (net.rows.shifts, "beta")):
                published = torch.cat([found[f"{name}.norm.{part}"] for name in _PUBLISHED], dim=1)
                rows.copy_(published.mean(0, keepdim=True).expand(styles, -1))
                rows[: len(published)] = published
        return net

    def expand(self, x: Tensor, style_weights: Tensor) -> Tensor:
        """Back to a picture."""
        scales, shifts = self.rows(style_weights)
        for index in (15, 16):
            x = functional.relu(
                self.layer(index, functional.interpolate(x, scale_factor=2.0, mode="nearest"), scales, shifts)
            )
        return torch.sigmoid(self.layer(17, x, scales, shifts))


class SteadyNet(StyledNet):
    """The same picture for half the time: nothing is computed at full size.

    The first convolution strides over every second pixel, the second over every second of those; it has to be taught
    that. The last three compute the four pixels of a cell side by side, which `from_published` derives exactly but
    for a few pixels at the border. 2.3 times as fast as the published file at 480x272 on one thread of an x86 CPU
    (ONNX Runtime 1.32), where half of the time went into two 9x9 convolutions and one normalisation at full size.
    """

    def __init__(self, styles: int) -> None:
        super().__init__(styles, _STEADY)

    @classmethod
    def from_published(cls, published: PublishedNet) -> "SteadyNet":
        """Begin as a trained network of the published shape."""
        net = cls(len(published.rows.scales))
        net.rows.load_state_dict(published.rows.state_dict())
        with torch.no_grad():
            for new, old in zip(net.layers(), published.layers(), strict=True):
                if new.weight.shape == old.weight.shape:
                    new.weight.copy_(old.weight)
            first, second, last = net.layers()[-3:]
            first.weight.copy_(_by_cells(published.layers()[-3].weight))
            second.weight.copy_(_by_cells(published.layers()[-2].weight))
            last.weight.copy_(_cells_to_cells(published.layers()[-1].weight))
        return net

    def expand(self, x: Tensor, style_weights: Tensor) -> Tensor:
        return _expand_cells(self, x, style_weights)


class LiteNet(StyledNet):
    """Half of a `SteadyNet`: one look at the picture, already at a quarter of its size, and three blocks of six.

    Found by its latency at 480x272 on one thread, beside the published file in the same run (ONNX Runtime 1.32):
    four blocks 3.9 times as fast, three 4.9, two 5.9; narrower layers (24 channels) and normalisation without
    statistics gain nothing.
    """

    def __init__(self, styles: int) -> None:
        super().__init__(styles, _LITE)

    @classmethod
    def from_steady(cls, steady: SteadyNet, styles: Sequence[int]) -> "LiteNet":
        """Begin as some layers and some styles of a trained `SteadyNet`; the first layer has to be taught."""
        net = cls(len(styles))
        kept = [2, *(3 + 2 * block + half for block in (0, 2, 5) for half in range(2)), 15, 16, 17]
        sources = steady.layers()
        with torch.no_grad():
            for new, index in zip(net.layers()[1:], kept, strict=True):
                old = sources[index].weight
                cut = (old.shape[-1] - new.weight.shape[-1]) // 2
                new.weight.copy_(old[:, :, cut : old.shape[-1] - cut, cut : old.shape[-1] - cut])
            first = functional.interpolate(sources[0].weight, 8, mode="bilinear", align_corners=False)
            net.layers()[0].weight.copy_(first)
            for new_rows, old_rows in ((net.rows.scales, steady.rows.scales), (net.rows.shifts, steady.rows.shifts)):
                parts = torch.split(old_rows[list(styles)], steady.rows.channels, dim=1)
                new_rows.copy_(torch.cat([parts[0], *(parts[index] for index in kept)], dim=1))
        return net

    def expand(self, x: Tensor, style_weights: Tensor) -> Tensor:
        return _expand_cells(self, x, style_weights)


def _expand_cells(net: StyledNet, x: Tensor, style_weights: Tensor) -> Tensor:
    scales, shifts = net.rows(style_weights)
    first = len(scales) - 3
    x = functional.pixel_shuffle(functional.relu(net.layer(first, x, scales, shifts)), 2)
    x = functional.relu(net.layer(first + 1, x, scales, shifts))
    return functional.pixel_shuffle(torch.sigmoid(net.layer(first + 2, x, scales, shifts)), 2)


def _by_cells(weight: Tensor) -> Tensor:
    """A 3x3 convolution after doubling the size by nearest neighbours, as one before it: (4 c, came, 3, 3).

    The pixel (2 y + dy) of a doubled picture lies in the source at y; its tap t reaches source (2 y + dy + t) // 2.
    """
    width, came = weight.shape[:2]
    cells = torch.zeros(width, 2, 2, came, 3, 3)
    for dy in range(2):
        for dx in range(2):
            for ty in range(-1, 2):
                for tx in range(-1, 2):
                    cells[:, dy, dx, :, (dy + ty) // 2 + 1, (dx + tx) // 2 + 1] += weight[:, :, ty + 1, tx + 1]
    return cells.reshape(4 * width, came, 3, 3)


def _cells_to_cells(weight: Tensor) -> Tensor:
    """A 9x9 convolution of a picture as a 5x5 one from its 2x2 cells to 2x2 cells: (4 c, 4 came, 5, 5)."""
    width, came = weight.shape[:2]
    cells = torch.zeros(width, 2, 2, came, 2, 2, 5, 5)
    for dy in range(2):
        for dx in range(2):
            for ty in range(-4, 5):
                for tx in range(-4, 5):
                    (cy, py), (cx, px) = divmod(dy + ty, 2), divmod(dx + tx, 2)
                    cells[:, dy, dx, :, py, px, cy + 2, cx + 2] = weight[:, :, ty + 4, tx + 4]
    return cells.reshape(4 * width, 4 * came, 5, 5)
