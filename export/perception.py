"""What the students that look at people share: pictures with people to calibrate and measure on."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.inference.manifest import Bundle, Manifest
from edge_runtime.inference.onnx import OnnxSession
from edge_runtime.inference.tasks import Work
from edge_runtime.inference.tasks.matte import Matte
from export.pictures import Rgb, crop, with_people
from export.run import Run
from export.students import Bound


def people(
    run: Run, count: int, size_px: tuple[int, int], *, close: bool = False, held_out: bool = False
) -> Iterator[Rgb]:
    """Pictures of none to three people; `close`: of one whose head fills much of the picture."""
    rng = run.rng(f"people{held_out}")
    for number in range(count):
        if close:
            yield crop(with_people(rng, (512, 512), held_out=held_out), size_px, rng, least=0.85)
        else:
            yield with_people(rng, size_px, (1, 1, 2, 1, 0, 3)[number % 6], held_out=held_out)


def matte_flicker(fp32: Path, described: Mapping[str, Any]) -> list[Bound]:
    """How much the mask of a person who stands still trembles under sensor noise: of the bare network, of the task."""
    file = {"path": fp32.name, "sha256": hashlib.sha256(fp32.read_bytes()).hexdigest()}
    manifest = Manifest.model_validate({"schema": 1, **described, "files": [file]})
    session = OnnxSession(Bundle(fp32.parent, manifest))
    rng = np.random.default_rng(11)
    still = with_people(rng, (640, 360), held_out=True)[:, :, ::-1]
    tasks = {"bare": Matte(session, manifest), "steady": Matte(session, manifest)}
    out = np.zeros((360, 640, 4), np.uint8)
    last: dict[str, Any] = {}
    changes: dict[str, list[float]] = {"bare": [], "steady": []}
    for number in range(12):
        frame = np.clip(still + rng.normal(0, 2.5, still.shape), 0, 255).astype(np.uint8)
        tasks["bare"].reset()
        for name, task in tasks.items():
            task.run(Work([frame], {}), out)
            alpha = out[:, :, 3].astype(np.float32) / 255
            if number > 4:
                changes[name].append(float(np.abs(alpha - last[name]).mean()))
            last[name] = alpha
    before, after = float(np.mean(changes["bare"])), float(np.mean(changes["steady"]))
    return [
        Bound("flicker of the task without memory", before),
        Bound("flicker of the task beside that", after / before, 0.5),
    ]
