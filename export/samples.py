"""Sample sheets: what a bundle makes, by the task and the files that ship, on pictures that ship.

Needs no source and no training: `python -m export samples` draws them again whenever a bundle changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_runtime.config import ModelConfig
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import Task, Work, open_task
from export.errors import ExportError
from export.pictures import ASSETS, Rgb, stand, tiles

SHEET = "samples.jpg"
_QUALITY = 90
_VIEW_PX = (640, 360)
_RUNS = 4
"""Enough for what is followed from picture to picture to be believed."""
_MOMENTS: Sequence[Mapping[str, float]] = (
    {"weather.sun": 1, "time.day": 1, "place.field": 1, "mood.joyful": 0.8},
    {"weather.sun": 0.7, "time.dusk": 1, "place.sea": 1, "mood.calm": 0.6},
    {"weather.storm": 1, "time.night": 1, "place.sea": 0.7, "mood.dramatic": 0.6},
    {"weather.rain": 0.9, "time.day": 1, "place.city": 1, "mood.melancholy": 0.6},
    {"weather.snow": 1, "time.day": 1, "place.forest": 1},
    {"weather.fog": 1, "time.dawn": 1, "place.forest": 1, "mood.mysterious": 0.7},
    {"weather.cloud": 0.5, "time.dawn": 1, "place.mountains": 1},
    {"weather.sun": 0.6, "time.night": 1, "place.city": 1},
)


def make_samples(models: Path, name: str) -> Path:
    """Draw the sheet of one bundle into its folder.

    Raises:
        ExportError: nothing is known of what to show of it.
    """
    draw = {
        "stylize": _styles,
        "backdrop": _moments,
        "matte": _cut_out,
        "people": _before_and_after,
        "face": _before_and_after,
        "enlarge": _enlarged,
    }.get(open_bundle(name, [models]).manifest.task)
    if draw is None:
        raise ExportError(f"{name}: no picture shows what it does")
    path = models / name / SHEET
    sheet = tiles([list(row) for row in draw(models, name)])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return path


def _open(models: Path, name: str, size_px: tuple[int, int]) -> Task:
    model = ModelConfig(name="sample", bundle=name, input="camera.any", size_px=size_px, backend="cpu")
    return open_task(model, open_bundle(name, [models]), size_px)


def _run(task: Task, frames: Sequence[Rgb], size_px: tuple[int, int], said: Mapping[str, float] | None = None) -> Rgb:
    """What the task makes of pictures, (h, w, 3 or 4) RGB(A)."""
    out = np.zeros((size_px[1], size_px[0], task.channels), np.uint8)
    work = Work([frame[:, :, ::-1] for frame in frames], {**task.defaults, **(said or {})}, [0.0] * len(frames))
    task.run(work, out)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_BGRA2RGBA if task.channels == 4 else cv2.COLOR_BGR2RGB), np.uint8)


def _view(photograph: str, *people: tuple[float, float]) -> Rgb:
    """A photograph with the portrait before it, each at (where, how tall), of width and height."""
    picture: Any = cv2.imread(str(ASSETS / photograph), cv2.IMREAD_COLOR_RGB)
    height = picture.shape[1] * _VIEW_PX[1] // _VIEW_PX[0]
    top = max(0, (picture.shape[0] - height) // 2)
    view = np.asarray(cv2.resize(picture[top : top + height], _VIEW_PX, interpolation=cv2.INTER_AREA), np.uint8)
    for where, tall in people:
        view = stand(view, where * _VIEW_PX[0], tall * _VIEW_PX[1])
    return view


def _styles(models: Path, name: str) -> Iterator[list[Rgb]]:
    """Every style, and a row of what lies between two."""
    size_px, view = (480, 272), _view("river_chateau.jpg", (0.3, 0.95))
    task = _open(models, name, size_px)
    styles = [key for key in task.parameters if key.startswith("style.")]
    columns = 6 if len(styles) > 6 else 3

    def painted(mix: dict[str, float]) -> Rgb:
        task.reset()
        said = dict.fromkeys(styles, 0.0) | mix
        large = _run(task, [view], size_px, said)
        return np.asarray(cv2.resize(large, (318, 180), interpolation=cv2.INTER_AREA), np.uint8)

    with task.session:
        for start in range(0, len(styles), columns):
            yield [painted({style: 1.0}) for style in styles[start : start + columns]]
        first, last = styles[0], styles[-1]
        yield [painted({first: 1 - share, last: share}) for share in np.linspace(0, 1, columns).tolist()]


def _moments(models: Path, name: str) -> Iterator[list[Rgb]]:
    """A few moments, two in a row."""
    task = _open(models, name, _VIEW_PX)
    with task.session:
        pictures = []
        for said in _MOMENTS:
            task.reset()
            pictures.append(_run(task, [], _VIEW_PX, said))
    yield from (pictures[start : start + 2] for start in range(0, len(pictures), 2))


def _cut_out(models: Path, name: str) -> Iterator[list[Rgb]]:
    """A view, its mask, and the person somewhere else; square for a square network."""
    (network, *_) = open_bundle(name, [models]).manifest.inputs
    sides = slice(40, 400) if len(set(network.shape[2:])) == 1 else slice(None)
    view, elsewhere = _view("river_chateau.jpg", (0.3, 0.95))[:, sides], _view("gate_at_dusk.jpg")[:, sides]
    size_px = (view.shape[1], view.shape[0])
    task = _open(models, name, size_px)
    with task.session:
        for _ in range(_RUNS):
            cut = _run(task, [view, view], size_px)
    share = cut[:, :, 3:].astype(np.float32) / 255
    portal = np.asarray(cut[:, :, :3] * share + elsewhere * (1 - share), np.uint8)
    yield [view, np.repeat(cut[:, :, 3:], 3, axis=2), portal]


def _before_and_after(models: Path, name: str) -> Iterator[list[Rgb]]:
    """A view with two people, and what is made of it; what has transparency is laid over the view, darkened."""
    view = _view("river_chateau.jpg", (0.22, 0.8), (0.68, 0.7))
    task = _open(models, name, _VIEW_PX)
    with task.session:
        for _ in range(_RUNS):
            seen = _run(task, [view], _VIEW_PX)
    if seen.shape[2] == 4:
        share = seen[:, :, 3:].astype(np.float32) / 255
        seen = np.asarray(seen[:, :, :3] * share + view * 0.35 * (1 - share), np.uint8)
    yield [view, seen]


def _enlarged(models: Path, name: str) -> Iterator[list[Rgb]]:
    """A part of a painting enlarged plainly, and by the task."""
    size_px = (960, 544)
    painter, task = _open(models, "stylize", (480, 272)), _open(models, name, size_px)
    with painter.session, task.session:
        said = dict.fromkeys(painter.parameters, 0.0) | {"style.amber_fresco": 0.5, "style.lavender_haze": 0.5}
        small = _run(painter, [_view("gate_at_dusk.jpg", (0.35, 0.95))], (480, 272), said)
        large = _run(task, [small], size_px)
    plain = cv2.resize(small, size_px, interpolation=cv2.INTER_LINEAR)
    yield [np.asarray(picture[40:400, 140:680], np.uint8) for picture in (plain, large)]
