"""What each tensor of an `image` bundle is for, read off its shape and its name: pictures, and numbers.

A shape that ends in (channels, height, width) or (height, width, channels) with 1, 3 or 4 channels, or is just
(height, width), is a picture; everything else is numbers. A leading 1 is the batch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_CHANNELS = (1, 3, 4)


class Tensor(Protocol):
    """The part of a manifest's tensor that is looked at here."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int | str, ...]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a picture's channels are, and its size where the network fixes it."""

    channels: int
    first: bool
    """True: (channels, height, width). False: (height, width, channels)."""
    batched: bool
    flat: bool
    """True: (height, width), without an axis for channels."""
    size_px: tuple[int | None, int | None]
    """Width and height; None: any."""


def layout(tensor: Tensor) -> Layout | None:
    """The layout of a picture; None where the tensor holds numbers."""
    shape = tensor.shape
    batched = len(shape) == 4 and (shape[0] == 1 or isinstance(shape[0], str))
    if len(shape) == 2 and all(isinstance(size, str) or size > 1 for size in shape):
        return Layout(1, first=False, batched=False, flat=True, size_px=_size(shape[1], shape[0]))
    if len(shape) != 3 and not batched:
        return None
    a, b, c = shape[-3:]
    if a in _CHANNELS and isinstance(a, int) and c not in (3, 4):
        return Layout(a, first=True, batched=batched, flat=False, size_px=_size(c, b))
    if c in _CHANNELS and isinstance(c, int):
        return Layout(c, first=False, batched=batched, flat=False, size_px=_size(b, a))
    return None


def _size(width: int | str, height: int | str) -> tuple[int | None, int | None]:
    return (width if isinstance(width, int) else None, height if isinstance(height, int) else None)


def named_after(tensor: Tensor, names: Sequence[str]) -> list[str]:
    """The parameters or readings that a tensor of numbers holds, in order: NAME itself, or every NAME.SOMETHING."""
    return [name for name in names if name == tensor.name or name.startswith(f"{tensor.name}.")]


def count(tensor: Tensor) -> int | None:
    """How many numbers a tensor holds; None where that varies."""
    sizes = [size for size in tensor.shape if isinstance(size, int)]
    return math.prod(sizes) if len(sizes) == len(tensor.shape) else None


def find_fault(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], parameters: Sequence[str], readings: Sequence[str]
) -> str | None:
    """Why the task `image` cannot tell what a tensor is for; None when it can."""
    for tensor in inputs:
        fault = layout(tensor) is None and _numbers_fault("input", tensor, "[[parameters]]", parameters)
        if fault:
            return fault
    pictures = [tensor.name for tensor in outputs if layout(tensor)]
    if len(pictures) > 1:
        return (
            f"outputs {pictures[0]!r} and {pictures[1]!r} are both pictures; list the one to show and leave out others"
        )
    for tensor in outputs:
        fault = layout(tensor) is None and _numbers_fault("output", tensor, "[[readings]]", readings)
        if fault:
            return fault
    told = {name for tensor in outputs if layout(tensor) is None for name in named_after(tensor, readings)}
    if missing := [name for name in readings if name not in told]:
        return f"reading {missing[0]!r} comes from no output; name it after one, or OUTPUT.{missing[0]}"
    return None


def _numbers_fault(what: str, tensor: Tensor, table: str, names: Sequence[str]) -> str | None:
    wanted, found = count(tensor), named_after(tensor, names)
    if wanted == len(found):
        return None
    remedy = f"it needs {wanted} {table} named {tensor.name!r} or {tensor.name + '.SOMETHING'!r}, in its order"
    if wanted is None:
        remedy = "a tensor of numbers needs a fixed size, a picture 1, 3 or 4 channels"
    return (
        f"{what} {tensor.name!r} of shape {list(tensor.shape)} is no picture, and {len(found)} {table} fit it: {remedy}"
    )
