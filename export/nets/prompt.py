"""The network of prompt: what each piece of a sentence says, in the light of its neighbours, and the most of it all.

Pieces come from a static table, the distilled teacher; two narrow convolutions see what stands beside ("no rain"). A
class is as likely as the pieces that say it, together; of each group, "nothing" has a likelihood of its own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

_DROPPED = 0.3


class PromptNet(nn.Module):
    """Pieces (n, length), -1 where there is none, to logits of every group; its first class is "nothing"."""

    def __init__(self, table: Tensor, groups: Sequence[int], width: int = 96) -> None:
        """Take over the table.

        Args:
            table: (pieces, features) of the teacher; rounded to 255 steps a piece, never trained. See `pack_table`.
            groups: classes of each group, without "nothing".
            width: of the convolutions.
        """
        super().__init__()
        scale = table.abs().amax(1, keepdim=True).clamp(min=1e-6) / 127
        self.table: Tensor
        self.register_buffer("table", (table / scale).round() * scale)
        self.groups = list(groups)
        self.enter = nn.Linear(table.shape[1], width)
        self.around = nn.ModuleList(nn.Conv1d(width, width, 3, padding=1) for _ in range(2))
        self.classes = nn.Linear(width, sum(groups))
        self.silence = nn.Parameter(torch.full((len(groups),), 1.0))
        self.noise = 0.0
        """Of the features, while it is trained: what is near in meaning is said alike."""

    def forward(self, pieces: Tensor) -> Tensor:
        """Logits (n, classes with a "nothing" before those of each group)."""
        there = (pieces >= 0).float()[:, :, None]
        numbers = pieces.clamp(min=0)
        features = self.table[numbers]
        if self.noise:
            features = features + torch.randn_like(features) * self.noise * features.std()
        hidden = functional.gelu(self.enter(features)) * there
        for layer in self.around:
            hidden = (hidden + functional.gelu(layer(hidden.transpose(1, 2)).transpose(1, 2))) * there
        said = torch.logsumexp(
            self.classes(functional.dropout(hidden, _DROPPED, self.training)) * there + (there - 1) * 30, dim=1
        )
        parts = torch.split(said, self.groups, dim=1)
        silent = self.silence.expand(len(pieces), -1)
        return torch.cat([torch.cat([silent[:, i : i + 1], part], 1) for i, part in enumerate(parts)], 1)


class PromptReadings(nn.Module):
    """Logits to readings: what ships. `said` and `unsaid` are (n, readings)."""

    def __init__(self, net: PromptNet, energy: Sequence[float], colours: Tensor) -> None:
        """Join the trained network with what its classes mean.

        Args:
            net: groups are weather, time, place, mood, style, colour, in this order.
            energy: of each mood.
            colours: (colours, 12) the palette of each, 0-1.
        """
        super().__init__()
        self.net = net
        self.register_buffer("energy", torch.tensor([0.5, *energy])[:, None])
        self.register_buffer("colours", torch.cat([torch.full((1, colours.shape[1]), 0.5), colours]))

    def forward(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        """Readings in the order: weather, time, mood, place, style, energy, palette's strength, palette."""
        logits = torch.split(self.net(pieces), [size + 1 for size in self.net.groups], dim=1)
        weather, time, place, mood, style, colour = (torch.softmax(part, 1) for part in logits)
        named = [weather, time, mood, place, style]
        energy, palette = torch.matmul(mood, self.energy), torch.matmul(colour, self.colours)  # type: ignore[arg-type]
        said = torch.cat([*(group[:, 1:] for group in named), energy, 1 - colour[:, :1], palette], 1)
        silences = [group[:, :1].expand(-1, group.shape[1] - 1) for group in named]
        unsaid = torch.cat([*silences, mood[:, :1], colour[:, :1].expand(-1, 1 + palette.shape[1])], 1)
        return said, unsaid


def pack_table(path: Path, name: str) -> None:
    """Store a table of a written network in 8 bits a number, with a scale for each row; nothing more is lost.

    Args:
        path: of the network; rewritten.
        name: how the table's initializer ends.
    """
    model = onnx.load(path)
    weight = next(item for item in model.graph.initializer if item.name.endswith(name))
    table, given = numpy_helper.to_array(weight), weight.name
    scale = np.maximum(np.abs(table).max(1), 1e-6) / np.float32(127)
    packed = np.rint(table / scale[:, None]).astype(np.int8)
    model.graph.initializer.remove(weight)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(packed, f"{given}.int8"),
            numpy_helper.from_array(scale.astype(np.float32), f"{given}.scale"),
            numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{given}.zero"),
        ]
    )
    inputs = [f"{given}.int8", f"{given}.scale", f"{given}.zero"]
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, [given], f"{given}.unpack", axis=0))
    onnx.checker.check_model(model)
    onnx.save(model, path)
