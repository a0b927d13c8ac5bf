"""matte: people cut out, by MediaPipe's selfie segmentation for wide pictures, converted and otherwise as it is.

There is no free data set of people to learn from, and the teacher takes two milliseconds: a student would be worse.
What is ours is the steadiness over time and the edges, in the task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export import perception
from export.metrics import iou
from export.pictures import Rgb
from export.run import Run
from export.sources import member
from export.students import Arrays, Bound
from export.tflite import convert


@dataclass(frozen=True)
class Matte:
    """The student, for wide pictures or for square ones."""

    name: str = "matte"
    size_px: tuple[int, int] = (256, 144)
    file: str = "selfie_segmentation_landscape.tflite"
    output: str = "segment_back"
    sources: tuple[str, ...] = ("mediapipe", "gcompris")
    precisions: tuple[str, ...] = ("fp16",)  # int8 overlaps by 0.97 with half of the layers left alone

    def distil(self, run: Run) -> None:
        """Nothing is trained."""

    def to_onnx(self, run: Run, path: Path) -> None:
        source = member("mediapipe", self.file)
        convert(source, path, inputs={"input_1": "image"}, outputs={self.output: "mask"})

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from map(_inputs, perception.people(run, 32, self.size_px))

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from map(_inputs, perception.people(run, 16, self.size_px, held_out=True))

    def keep_float(self) -> Sequence[str]:
        return ("Sigmoid",)

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        shares = [iou(a["mask"], b["mask"]) for a, b in zip(seen, expected, strict=True)]
        return [Bound("IoU", float(np.mean(shares)), 0.99, at_most=False)]

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        return perception.matte_flicker(fp32, self.manifest())

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return None  # the same network

    def manifest(self) -> dict[str, Any]:
        width, height = self.size_px
        return {
            "name": self.name,
            "version": "1.0.0",
            "task": "matte",
            "licence": "Apache-2.0",
            "origin": f"{self.file} of PyPI mediapipe 0.10.21 (Google), converted",
            "teacher": "itself",
            "min_size_px": [64, 36],
            "max_size_px": [3840, 2160],
            "readings": [
                {"name": "coverage", "range": [0.0, 1.0]},
                {"name": "x", "range": [0.0, 1.0]},
                {"name": "y", "range": [0.0, 1.0]},
            ],
            "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, height, width], "range": [0.0, 1.0]}],
            "outputs": [{"name": "mask", "dtype": "float32", "shape": [1, 1, height, width], "range": [0.0, 1.0]}],
        }


STUDENT = Matte()
SQUARE = Matte("matte-square", (256, 256), "selfie_segmentation.tflite", "activation_10")


def _inputs(rgb: Rgb) -> Arrays:
    return {"image": np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32) / np.float32(255)}
