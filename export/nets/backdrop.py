"""The networks of backdrop: noise and conditions in, a landscape out; many small steps as teacher, one as student.

The flow draws small; a painter that has seen landscapes and their reductions draws what it drew four times as large.
Source: Liu, Gong, Liu 2023, "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENLARGED = 4
"""Times that the painter enlarges."""
_TIME_FREQUENCIES = 8
_BANDS = 4
_PALETTE = 1 + 3 * _BANDS
"""The last conditions: strength of the palette, and its colours from top to bottom around zero, times the strength."""


class _Block(nn.Module):
    """Two convolutions, each normalised, scaled and shifted by the conditions, and a way round."""

    def __init__(self, channels_in: int, channels: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(8, channels)
        self.modulation = nn.Linear(condition, 4 * channels)
        self.way_round = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift, gain, offset = self.modulation(condition)[:, :, None, None].chunk(4, 1)
        hidden = F.silu(self.norm(self.first(x)) * (1 + scale) + shift)
        result: Tensor = F.silu(self.second(hidden) * (1 + gain) + offset) + self.way_round(x)
        return result


class BackdropNet(nn.Module):
    """The flow's velocity at noisy pictures (n, 3, h, w), h and w multiples of 8."""

    def __init__(self, conditions: int, channels: tuple[int, ...] = (40, 64, 96, 96), width: int = 128) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(2 * _TIME_FREQUENCIES + conditions, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.enter = nn.Conv2d(3 + 3 + 2, channels[0], 3, padding=1)
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        last = channels[0]
        for count in channels:
            self.down.append(_Block(last, count, width))
            last = count
        self.middle = _Block(last, last, width)
        for count in reversed(channels):
            self.up.append(_Block(last + count, count, width))
            last = count
        self.leave = nn.Conv2d(last, 3, 3, padding=1)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, 4, _TIME_FREQUENCIES)))

    def forward(self, x: Tensor, at: Tensor, conditions: Tensor) -> Tensor:
        """The velocity at time `at` (n,), 0 for noise to 1 for pictures."""
        phases = at[:, None] * self.get_buffer("frequencies")
        embedded = self.embed(torch.cat([torch.sin(phases), torch.cos(phases), conditions], 1))
        hidden = self.enter(torch.cat([x, _bands(x, conditions), _places(x)], 1))
        kept = []
        for i, block in enumerate(self.down):
            hidden = block(F.avg_pool2d(hidden, 2) if i else hidden, embedded)
            kept.append(hidden)
        hidden = self.middle(hidden, embedded)
        for i, block in enumerate(self.up):
            beside = kept.pop()
            if i:
                hidden = F.interpolate(hidden, scale_factor=2, mode="nearest")
            hidden = block(torch.cat([hidden, beside], 1), embedded)
        velocity: Tensor = self.leave(hidden)
        return velocity


def _bands(x: Tensor, conditions: Tensor) -> Tensor:
    """The palette's colours where they belong, (n, 3, h, w)."""
    colours = conditions[:, 1 - _PALETTE :].reshape(-1, _BANDS, 3).permute(0, 2, 1)[:, :, :, None]
    return F.interpolate(colours, size=x.shape[2:], mode="bilinear", align_corners=False)


def _places(x: Tensor) -> Tensor:
    """How far right and down each pixel is, -1 to 1, (n, 2, h, w)."""
    height, width = x.shape[2:]
    down = torch.linspace(-1, 1, height)[None, None, :, None].expand(1, 1, height, width)
    right = torch.linspace(-1, 1, width)[None, None, None, :].expand(1, 1, height, width)
    return torch.cat([down, right], 1).to(x).expand(x.shape[0], -1, -1, -1)


class Painter(nn.Module):
    """Pictures (n, 3, h, w) 0-1, four times as large: bicubic, and what a brush would add."""

    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2 * blocks))
        self.doubled = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.leave = nn.Conv2d(channels // 2, 3, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        hidden = F.relu(self.enter(picture))
        for first, second in zip(self.body[::2], self.body[1::2], strict=True):
            hidden = hidden + second(F.relu(first(hidden)))
        # Bilinear steps with convolutions behind them: a pixel shuffle leaves its grid in empty skies.
        hidden = F.relu(self.doubled(F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False)))
        large = F.interpolate(picture, scale_factor=ENLARGED, mode="bicubic", align_corners=False)
        detail: Tensor = self.leave(F.interpolate(hidden, scale_factor=2, mode="bilinear", align_corners=False))
        return large + detail


class OneStep(nn.Module):
    """The student as it ships: noise (1, 3, h, w) and conditions to a picture (1, 3, 4 h, 4 w), RGB 0-1."""

    def __init__(self, net: BackdropNet, painter: Painter) -> None:
        super().__init__()
        self.net, self.painter = net, painter

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        velocity = self.net(noise, torch.zeros_like(noise[:, 0, 0, 0]), conditions)
        small = ((noise + velocity) * 0.5 + 0.5).clamp(0, 1)
        picture: Tensor = self.painter(small).clamp(0, 1)
        return picture
