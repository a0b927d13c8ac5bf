"""Steadiness: a step of training a style network to paint the same thing where the same thing is seen again.

Shared by `stylize` and `stylize-lite`: both see a photograph twice, moved and under other sensor noise.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from export.features import gram, relative_error, vgg16
from export.nets.stylize import StyledNet
from export.pictures import Rgb, crop, photos
from export.run import Run, Stage, on_device, step_rng

STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
CROP_PX = 128
_BORDER_PX = 16
NOISE = 0.02  # of a camera in a room, 0-1
_SHIFT_PX, _TURN, _ZOOM = 3.0, 0.01, 0.01  # between two frames
_FLICKER, _STYLE, _TONES = 14.0, 8.0, 3.0  # weights of the losses
_EXCESS, _WEAVE = 3.0, 8.0
_CELL_PX, _SMOOTH_PX = 4, 16

Painter = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Aims:
    """What a network that is made steady is held to."""

    teacher: Painter
    """Paints (n, 3, h, w) in mixes (n, styles)."""
    grams: Mapping[str, Tensor]
    """Of each style, (styles, c, c) by layer."""
    flicker: float = 0.0
    """Share of the teacher's flicker on the same pictures that is steady enough; 0: steadier is always better."""
    style: float = 0.0
    """Share of the teacher's style loss on the same picture that is style enough; 0: the loss itself is lowered."""
    likeness: float = 0.0
    """Weight of looking like the teacher's very picture, by VGG's layers."""
    crop_px: int = CROP_PX
    pictures: int = 2
    """In one step; each is seen twice."""


def steady_step(
    run: Run, stage: Stage, net: StyledNet, aims: Aims, *, mix: Callable[[np.random.Generator, int], Tensor]
) -> Callable[[int], dict[str, Tensor]]:
    """A step of training `net` to paint as a teacher, the same thing where the same thing is seen again.

    Args:
        run: whose seed is used.
        stage: names the randomness.
        net: what is trained.
        aims: what it is held to.
        mix: draws style weights (n, styles).
    """
    layers = STYLE_LAYERS if aims.style else STYLE_LAYERS[:3]

    def style_loss(found: Mapping[str, Tensor], mixes: Tensor) -> Tensor:
        """Of each picture, (n,)."""
        wanted = {layer: torch.einsum("bs,sij->bij", mixes, aims.grams[layer]) for layer in layers}
        errors = [
            torch.stack([relative_error(a, b) for a, b in zip(gram(found[layer]), wanted[layer], strict=True)])
            for layer in layers
        ]
        return torch.stack(errors).mean(0)

    def step(number: int) -> dict[str, Tensor]:
        rng = step_rng(run, stage.name, number)
        before, after, grid = _two_views(rng, aims.pictures, aims.crop_px)
        mixes = mix(rng, aims.pictures)
        both = torch.cat([mixes, mixes])
        seen = torch.cat([before, after])
        seen = seen + torch.randn_like(seen) * float(rng.uniform(0, NOISE))
        painted = net(seen, both)
        flicker, found = _unlike(painted, grid), features(painted[: aims.pictures], layers)
        style = style_loss(found, mixes)
        with torch.no_grad():
            wanted = aims.teacher(before, mixes)
            aim = features(wanted, layers) if aims.style or aims.likeness else {}
            steady_enough = aims.flicker * _unlike(aims.teacher(seen, both), grid) if aims.flicker else None
            style_enough = aims.style * style_loss(aim, mixes) if aims.style else None
        losses = {
            "flicker": (
                _FLICKER * flicker if steady_enough is None else _EXCESS * _beyond(flicker, steady_enough)
            ).mean(),
            "style": (_STYLE * style if style_enough is None else _beyond(style, style_enough)).mean(),
            "tones": _TONES
            * (functional.avg_pool2d(painted[: aims.pictures], 4) - functional.avg_pool2d(wanted, 4)).abs().mean(),
            "weave": _WEAVE * weave(net(_without_detail(before), mixes)),
        }
        if aims.likeness:
            alike = [relative_error(found[layer], aim[layer]) for layer in layers]
            losses["likeness"] = aims.likeness * torch.stack(alike).mean()
        return losses

    return step


def _beyond(seen: Tensor, enough: Tensor) -> Tensor:
    """How far something is above what would do, as a share of that."""
    return functional.relu(seen / enough - 1)


def _without_detail(pictures: Tensor) -> Tensor:
    small = functional.avg_pool2d(pictures, _SMOOTH_PX)
    return functional.interpolate(small, scale_factor=float(_SMOOTH_PX), mode="bilinear")


def _unlike(painted: Tensor, grid: Tensor) -> Tensor:
    """How far each second half of what was painted is from its first half moved along, (n,)."""
    before, after = painted.chunk(2)
    moved = functional.grid_sample(before, grid, align_corners=True, padding_mode="border")
    visible = (grid.abs().amax(-1) <= 1)[:, None].float()
    return ((moved - after).abs() * visible).sum((1, 2, 3)) / (3 * visible.sum((1, 2, 3)))


def weave(painted: Tensor) -> Tensor:
    """How far the pixels of a 4x4 cell are apart, each in the mean of a block: a grid, where nothing was to be seen.

    Enlarging by nearest neighbours, and computing the pixels of a cell side by side, both show as cloth in an empty
    sky unless it is unlearned.
    """
    block = 8 * _CELL_PX
    n, c, h, w = painted.shape
    whole = painted[:, :, : h // block * block, : w // block * block]
    cells = whole.reshape(n, c, h // block, 8, _CELL_PX, w // block, 8, _CELL_PX).mean((3, 6))
    return (cells - cells.mean((3, 5), keepdim=True)).abs().mean()


def _two_views(rng: np.random.Generator, count: int, crop_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """Photographs before and after a small motion, (count, 3, size, size) each, and where the second comes from.

    That is a grid as `grid_sample` wants it: it makes the second view out of the first. Both views are sampled off
    the pixel grid, so that neither is the sharper one.
    """
    size = crop_px + 2 * _BORDER_PX
    middle = (size - 1) / 2
    ys, xs = np.mgrid[0:crop_px, 0:crop_px].astype(np.float64) + _BORDER_PX
    before, after, grids = [], [], []
    for _ in range(count):
        rgb = crop(photos()[int(rng.integers(len(photos())))].rgb, (size, size), rng)
        turn, zoom = rng.uniform(-_TURN, _TURN), 1 + rng.uniform(-_ZOOM, _ZOOM)
        cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
        turning = np.array([[cosine, -sine], [sine, cosine]])
        shift = middle - turning @ (middle, middle) + rng.uniform(-_SHIFT_PX, _SHIFT_PX, 2)
        motion = np.vstack([np.column_stack([turning, shift]), [0, 0, 1]])
        start = np.vstack([np.column_stack([np.eye(2), rng.uniform(0, 1, 2)]), [0, 0, 1]])
        before.append(_moved(rgb, start))
        after.append(_moved(rgb, motion @ start))
        back = np.linalg.inv(motion)
        grids.append(np.stack([row[0] * xs + row[1] * ys + row[2] - _BORDER_PX for row in back[:2]], axis=-1))
    grid = on_device(np.stack(grids).astype(np.float32)) / (crop_px - 1) * 2 - 1
    return to_tensor(*before), to_tensor(*after), grid


def _moved(rgb: Rgb, motion: npt.NDArray[np.float64]) -> Rgb:
    size = (rgb.shape[1], rgb.shape[0])
    moved = cv2.warpAffine(rgb, motion[:2], size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX], np.uint8)


def features(rgb_nchw: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """VGG16's layers in float32, computed in bfloat16: 1.7 times as fast to train by, gradients within 2 %."""
    device = rgb_nchw.device.type
    with torch.autocast(device, torch.bfloat16):
        found = vgg16()(rgb_nchw, layers)
    return {layer: value.float() for layer, value in found.items()}


def to_tensor(*pictures: Rgb) -> Tensor:
    """Pictures (h, w, 3) uint8 as (n, 3, h, w) 0-1."""
    return on_device(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
