"""Image: any network that takes pictures and numbers and gives a picture, a mask or numbers. The manifest says it all.

Pictures take the model's inputs in order (the last one again where there are fewer), numbers the parameters of their
name. An output of 3 channels is the picture, one of 4 has its alpha, one of 1 channel is a mask that cuts out the
last frame. Outputs of numbers become readings.
"""

from collections.abc import Mapping

import cv2
import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest, Range, TensorSpec
from edge_runtime.inference.ports import Layout, layout, named_after
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.signals import Value
from edge_runtime.slots import Array


class Image:
    """Somebody else's network. Keeps nothing between runs."""

    def __init__(self, session: Session, manifest: Manifest, *, continuous: bool) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous = continuous
        names, readings = list(manifest.parameters), [reading.name for reading in manifest.readings]
        self._inputs = [(spec, layout(spec), named_after(spec, names)) for spec in manifest.inputs]
        self._numbers = [(spec, named_after(spec, readings)) for spec in manifest.outputs if not layout(spec)]
        pictures = [(spec, found) for spec in manifest.outputs if (found := layout(spec))]
        self._picture = pictures[0] if pictures else None
        self.behind_s = 0.0
        self.channels = 4 if self._picture and self._picture[1].channels != 3 else 3

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        size_px = out.shape[1], out.shape[0]
        given: dict[str, Array] = {}
        taken = 0
        for spec, picture, names in self._inputs:
            if picture is None:
                values = np.asarray([work.number(name) for name in names], spec.dtype)
                given[spec.name] = values.reshape([int(size) for size in spec.shape])
                continue
            if not work.frames:
                raise SessionError(f"input {spec.name!r} is a picture; give the model an input")
            frame = work.frames[min(taken, len(work.frames) - 1)]
            given[spec.name] = _as_tensor(frame, spec, picture, size_px)
            taken += 1
        results = self.session.run(given)
        if self._picture is not None:
            spec, picture = self._picture
            self._paint(_as_picture(results[spec.name], spec, picture), work, out)
        return {
            name: float(value)
            for spec, names in self._numbers
            for name, value in zip(names, np.ravel(results[spec.name]), strict=True)
        }

    def _paint(self, picture: Array, work: Work, out: FrameBgr) -> None:
        size_px = out.shape[1], out.shape[0]
        painted = _resized(picture, size_px)
        if painted.ndim == 3:
            out[...] = painted
        else:
            out[:, :, :3] = _resized(work.frames[-1][:, :, :3], size_px) if work.frames else 255
            out[:, :, 3] = painted

    def reset(self) -> None:
        """Nothing is kept."""


def _resized(picture: Array, size_px: tuple[int, int]) -> Array:
    if (picture.shape[1], picture.shape[0]) == size_px:
        return picture
    smaller = picture.shape[1] > size_px[0]
    return cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _range(spec: TensorSpec) -> Range:
    return spec.range or ((0.0, 1.0) if spec.dtype.startswith("float") else (0.0, 255.0))


def _as_tensor(frame: Array, spec: TensorSpec, picture: Layout, size_px: tuple[int, int]) -> Array:
    """A frame as the network wants it: size, channels, order, range, layout, dtype."""
    width, height = (fixed or own for fixed, own in zip(picture.size_px, size_px, strict=True))
    sized = _resized(frame, (width, height))
    if picture.channels == 1:
        pixels = cv2.cvtColor(sized[:, :, :3], cv2.COLOR_BGR2GRAY)[:, :, None]
    elif picture.channels == 4:
        pixels = sized if sized.shape[2] == 4 else cv2.cvtColor(sized, cv2.COLOR_BGR2BGRA)
    else:
        pixels = sized[:, :, :3]
    if spec.order == "rgb" and picture.channels > 1:
        pixels = pixels[:, :, [2, 1, 0, 3][: picture.channels]]
    low, high = _range(spec)
    if (low, high) != (0.0, 255.0):
        pixels = pixels * np.float32((high - low) / 255) + np.float32(low)
    arranged = pixels[:, :, 0] if picture.flat else pixels.transpose(2, 0, 1) if picture.first else pixels
    return np.ascontiguousarray(arranged[None] if picture.batched else arranged, spec.dtype)


def _as_picture(tensor: Array, spec: TensorSpec, picture: Layout) -> Array:
    """uint8 (h, w, 3) BGR or (h, w, 4) BGRA, or (h, w) where it is a mask."""
    low, high = _range(spec)
    arranged = tensor[0] if picture.batched else tensor
    if not picture.flat:
        arranged = arranged.transpose(1, 2, 0) if picture.first else arranged
        if picture.channels == 1:
            arranged = arranged[:, :, 0]
        elif spec.order == "rgb":
            arranged = arranged[:, :, [2, 1, 0, 3][: picture.channels]]
    if arranged.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return np.ascontiguousarray(arranged)
    shares = (np.asarray(arranged, np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.asarray(np.clip(np.nan_to_num(shares) + 0.5, 0, 255), np.uint8)
