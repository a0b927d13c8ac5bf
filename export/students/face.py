"""face: where faces are, by MediaPipe's BlazeFace for short range, converted and otherwise as it is."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from export import perception
from export.pictures import Rgb
from export.run import Run
from export.sources import member
from export.students import Arrays, Bound
from export.tflite import convert

SIDE_PX = 128


class Face:
    """The student."""

    name = "face"
    sources = ("mediapipe", "gcompris")
    precisions = ("fp16", "int8", "int8-trt")

    def distil(self, run: Run) -> None:
        """Nothing is trained: there is no free data set of faces."""

    def to_onnx(self, run: Run, path: Path) -> None:
        source = member("mediapipe", "face_detection_short_range.tflite")
        convert(source, path, inputs={"input": "image"}, outputs={"regressors": "boxes", "classificators": "scores"})

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from map(_inputs, perception.people(run, 32, (256, 256), close=True))

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from map(_inputs, perception.people(run, 16, (256, 256), close=True, held_out=True))

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        tops = [int(a["scores"][0, :, 0].argmax()) for a in expected]
        scores = [abs(_share(a, i) - _share(b, i)) for a, b, i in zip(expected, seen, tops, strict=True)]
        sure = [n for n, i in enumerate(tops) if _share(expected[n], i) > 0.5]
        boxes = [np.abs(expected[n]["boxes"][0, tops[n], :4] - seen[n]["boxes"][0, tops[n], :4]).mean() for n in sure]
        return [
            Bound("score error", float(np.mean(scores)), 0.03),
            Bound("box error, px of 128", float(np.mean(boxes)) if boxes else 99.0, 1.0),
        ]

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        return []

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return None  # the same network

    def manifest(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": "1.0.0",
            "task": "face",
            "licence": "Apache-2.0",
            "origin": "face_detection_short_range.tflite of PyPI mediapipe 0.10.21 (Google), converted",
            "teacher": "itself",
            "min_size_px": [64, 36],
            "max_size_px": [3840, 2160],
            "readings": [{"name": "count", "range": [0.0, 20.0]}, {"name": "present", "range": [0.0, 1.0]}],
            "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, SIDE_PX, SIDE_PX], "range": [-1.0, 1.0]}],
            "outputs": [
                {"name": "boxes", "dtype": "float32", "shape": [1, 896, 16]},
                {"name": "scores", "dtype": "float32", "shape": [1, 896, 1]},
            ],
        }


STUDENT = Face()


def _inputs(rgb: Rgb) -> Arrays:
    small = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return {"image": np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(127.5) - 1}


def _share(outputs: Arrays, index: int) -> float:
    return float(1 / (1 + np.exp(-outputs["scores"][0, index, 0])))
