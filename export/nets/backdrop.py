"""The network of backdrop: noise and conditions in, a landscape out; many small steps as teacher, one as student.

A U-Net over a picture whose pixels are laid out in cells of 2x2, so that it works at a quarter of the places. The
conditions and the time of the flow scale and shift every block. Source: Liu, Gong, Liu 2023, "Flow Straight and Fast:
Learning to Generate and Transfer Data with Rectified Flow".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 2
"""Pixels a side that are laid out as channels."""
_TIME_FREQUENCIES = 8


class _Block(nn.Module):
    """Two convolutions, scaled and shifted by the conditions in between, and a way round."""

    def __init__(self, channels_in: int, channels: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * channels)
        self.way_round = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        hidden = F.silu(self.first(x)) * (1 + scale) + shift
        result: Tensor = F.silu(self.second(hidden)) + self.way_round(x)
        return result


class BackdropNet(nn.Module):
    """The flow's velocity at noisy pictures (n, 3, h, w), h and w multiples of 16."""

    def __init__(self, conditions: int, channels: tuple[int, ...] = (48, 72, 96, 96), width: int = 96) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(2 * _TIME_FREQUENCIES + conditions, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.enter = nn.Conv2d(3 * CELL**2, channels[0], 3, padding=1)
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
        self.leave = nn.Conv2d(last, 3 * CELL**2, 3, padding=1)
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, 4, _TIME_FREQUENCIES)))

    def forward(self, x: Tensor, at: Tensor, conditions: Tensor) -> Tensor:
        """The velocity at time `at` (n,), 0 for noise to 1 for pictures."""
        phases = at[:, None] * self.get_buffer("frequencies")
        embedded = self.embed(torch.cat([torch.sin(phases), torch.cos(phases), conditions], 1))
        hidden = self.enter(F.pixel_unshuffle(x, CELL))
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
        return F.pixel_shuffle(self.leave(hidden), CELL)


class OneStep(nn.Module):
    """The student as it ships: noise and conditions to a picture (n, 3, h, w) RGB 0-1 in one step."""

    def __init__(self, net: BackdropNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        velocity = self.net(noise, torch.zeros_like(noise[:, 0, 0, 0]), conditions)
        picture: Tensor = ((noise + velocity) * 0.5 + 0.5).clamp(0, 1)
        return picture
