"""stylize-lite: six styles of stylize for half of its time, for a small CPU."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export.errors import ExportError
from export.features import relative_error
from export.nets.stylize import LiteNet, SteadyNet
from export.run import Run, Stage, on_device, step_rng, train
from export.steady import Aims, steady_step
from export.students import Arrays, Bound, stylize

STYLES = ("amber_fresco", "night_swirls", "stained_glass", "electric_shards", "great_wave", "garden_ball")
_OF_TEACHER = [stylize.STYLES.index(style) for style in STYLES]
_MIXED_SHARE = 1 / 3
_NOISE = 0.01
_STEM_STAGE = Stage("stem", steps=600, lr=3e-3, sheet_every=600)
_LITE_STAGE = Stage("lite", steps=4500, lr=2e-3, average=0.99, sheet_every=500)
_LIKENESS = 3.0


class StylizeLite:
    """The student."""

    name = "stylize-lite"
    sources = stylize.STUDENT.sources
    precisions = ("fp16", "int8", "int8-trt")

    def distil(self, run: Run) -> None:
        """First the new way to look at a picture, then all of it, from stylize: its pictures, no less steady."""
        teacher, fingerprint = _teacher(run)
        net = LiteNet.from_steady(teacher, _OF_TEACHER)

        def stem(number: int) -> dict[str, Tensor]:
            rng = step_rng(run, _STEM_STAGE.name, number)
            content = stylize.photo_batch(rng, 4, 128)
            content += torch.randn_like(content) * _NOISE
            mixes = _mixes(rng, 4)
            with torch.no_grad():
                wanted = teacher.contract(content, _for_teacher(mixes))
            return {"stem": relative_error(net.contract(content, mixes), wanted)}

        first = [weight for layer in net.layers()[:2] for weight in layer.parameters()]
        train(run, replace(_STEM_STAGE, teacher=fingerprint), net, stem, parameters=[*first, *net.rows.parameters()])

        grams = {layer: of[_OF_TEACHER] for layer, of in stylize.style_grams(teacher).items()}

        def painted(image: Tensor, mixes: Tensor) -> Tensor:
            picture: Tensor = teacher(image, _for_teacher(mixes))
            return picture

        step = steady_step(run, _LITE_STAGE, net, Aims(painted, grams, likeness=_LIKENESS), mix=_mixes)
        train(run, replace(_LITE_STAGE, teacher=fingerprint), net, step, sheet=stylize.sheet_of(net, len(STYLES)))

    def to_onnx(self, run: Run, path: Path) -> None:
        net = LiteNet(len(STYLES))
        net.load_state_dict(run.weights(_LITE_STAGE.name))
        stylize.export_network(net, path, len(STYLES))

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from stylize.shown(run.rng("calibration"), run.count(36), len(STYLES), held_out=False)

    def held_out(self, run: Run) -> Iterator[Arrays]:
        yield from stylize.shown(run.rng("held out"), run.count(12), len(STYLES), held_out=True)

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        return stylize.likeness_of(expected, seen)

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        """Beside the published file, over those of its styles that are kept."""
        judged = [style for style in STYLES if style in stylize.PUBLISHED]
        return [
            *stylize.beside_published(fp32, STYLES, judged[: run.count(len(judged))]),
            stylize.speed_beside_published(fp32, len(STYLES), 4.0),
        ]

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        return stylize.published_file(inputs)

    def manifest(self) -> dict[str, Any]:
        return stylize.STUDENT.manifest() | {
            "name": self.name,
            "version": "1.1.0",
            "origin": "trained here from stylize 2.1.0",
            "teacher": "stylize 2.1.0",
            "styles": list(STYLES),
            "inputs": [
                {"name": "image", "dtype": "float32", "shape": [1, 3, "h", "w"], "range": [0.0, 1.0]},
                {"name": "style_weights", "dtype": "float32", "shape": [len(STYLES)]},
            ],
        }


STUDENT = StylizeLite()


def _teacher(run: Run) -> tuple[SteadyNet, str]:
    """Stylize as it was trained with the same seed and budget, and its fingerprint."""
    net = SteadyNet(len(stylize.STYLES))
    try:
        weights, fingerprint = stylize.trained(run)
    except ExportError as error:
        raise ExportError(f"stylize-lite learns from stylize, which comes first: {error}") from None
    net.load_state_dict(weights)
    return net.requires_grad_(False), fingerprint


def _mixes(rng: np.random.Generator, count: int) -> Tensor:
    """Style weights (count, styles): single styles, and mixes of two."""
    weights = torch.eye(len(STYLES))[rng.integers(len(STYLES), size=count)]
    other = torch.eye(len(STYLES))[rng.integers(len(STYLES), size=count)]
    share = on_device(rng.random((count, 1)) * (rng.random((count, 1)) < _MIXED_SHARE)).float()
    return weights * (1 - share) + other * share


def _for_teacher(mixes: Tensor) -> Tensor:
    weights = torch.zeros(len(mixes), len(stylize.STYLES))
    weights[:, _OF_TEACHER] = mixes
    return weights
