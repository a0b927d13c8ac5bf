"""Flicker and ghosts, in figures. Differences are in 8-bit levels."""

from collections.abc import Sequence

import numpy as np
import pytest

from edge_runtime.config import ModelConfig, bundle_folders
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task
from edge_runtime.inference.tasks.stabilise import Stabiliser
from edge_runtime.inputs.synthetic import SyntheticPicture
from edge_runtime.slots import Array

SIZE_PX = (256, 144)
SETTLED = 6
"""Runs after which the past is as long as it gets."""


def still_frames(count: int, size_px: tuple[int, int] = SIZE_PX) -> list[FrameBgr]:
    camera = SyntheticPicture(size_px=size_px, seed=1, noise_sigma=2.0, still=True)
    return [camera.frame(i / 30).copy() for i in range(count)]


def flicker(pictures: Sequence[Array]) -> float:
    pairs = zip(pictures[SETTLED:], pictures[SETTLED - 1 :], strict=False)
    return float(np.mean([np.abs(b.astype(np.float32) - a.astype(np.float32)).mean() for b, a in pairs]))


def opened_stylize(stabilise: float) -> Task:
    model = ModelConfig(name="m", bundle="stylize", stabilise=stabilise)
    return open_task(model, open_bundle("stylize", bundle_folders()), SIZE_PX)


def stylized(frames: Sequence[FrameBgr], styles: Sequence[str], *, stabilise: float) -> list[FrameBgr]:
    """One picture a frame, each in the style of the same place."""
    task = opened_stylize(stabilise)
    pictures = []
    with task.session:
        for frame, style in zip(frames, styles, strict=True):
            out = np.empty((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
            task.run(Work([frame], {**task.defaults, f"style.{style}": 1.0}), out)
            pictures.append(out)
    return pictures


@pytest.mark.parametrize("style", ["amber_fresco", "electric_shards", "night_swirls"])
def test_a_still_scene_flickers_no_more_than_the_camera_itself(style: str) -> None:
    frames = still_frames(SETTLED + 6)
    pictures = stylized(frames, [style] * len(frames), stabilise=1.0)
    assert flicker(pictures) <= 1.2 * flicker(frames)


def test_without_the_stabiliser_the_same_scene_flickers_several_times_as_much() -> None:
    frames = still_frames(SETTLED + 6)
    free, steady = (stylized(frames, ["night_swirls"] * len(frames), stabilise=share) for share in (0.0, 1.0))
    assert flicker(free) > 4.0 * flicker(steady)


def test_a_new_style_is_there_within_three_runs() -> None:
    frames = still_frames(SETTLED + 3)
    styles = ["amber_fresco"] * SETTLED + ["night_swirls"] * 3
    steady, free = (stylized(frames, styles, stabilise=stabilise) for stabilise in (1.0, 0.0))
    before = np.abs(steady[SETTLED - 1].astype(float) - free[-1]).mean()
    after = np.abs(steady[-1].astype(float) - free[-1]).mean()
    assert after < 0.25 * before


def inside(stabiliser: Stabiliser, frame: FrameBgr) -> Array:
    """What the network is shown of a frame, as blue, green, red and levels."""
    planes = np.empty((3, *frame.shape[:2]), np.float32)
    stabiliser.settle_input(frame, planes)
    return 255 * planes[::-1].transpose(1, 2, 0)


def outside(stabiliser: Stabiliser, picture: FrameBgr) -> Array:
    """What is shown where the network answers with a picture."""
    out = np.empty_like(picture)
    planes = picture.transpose(2, 0, 1)[::-1] * np.float32(1 / 255)
    stabiliser.settle_output(np.ascontiguousarray(planes), out)
    return out.astype(np.float32)


def backdrop() -> FrameBgr:
    """Something with detail everywhere, as flow needs, and no noise, so that any trace is a ghost."""
    xs, ys = np.meshgrid(np.arange(SIZE_PX[0]), np.arange(SIZE_PX[1]))
    plane = 110 + 50 * np.sin(xs / 5.0) * np.cos(ys / 7.0) + 30 * np.sin((xs + ys) / 3.0)
    return np.asarray(np.dstack([plane, plane[::-1], plane]), np.uint8)


def walk(step: int, speed_px: int) -> tuple[Array, slice]:
    """A bright figure before the backdrop, and the columns it has just left."""
    frame = backdrop()
    left = 20 + step * speed_px
    frame[30:120, left : left + 40] = (40, 230, 250)
    return frame, slice(max(0, left - 3 * speed_px), left)


@pytest.mark.parametrize("speed_px", [1, 3, 8, 16])
def test_nothing_trails_behind_what_moves(speed_px: int) -> None:
    stabiliser = Stabiliser(1.0)
    for step in range(9):
        frame, _ = walk(step, speed_px)
        shown, seen = inside(stabiliser, frame), outside(stabiliser, frame)
    frame, behind = walk(8, speed_px)
    # The figure is 120 levels off the backdrop; within a pixel of its edge a few are left, and nobody sees them.
    assert np.abs(shown[30:120, behind] - frame[30:120, behind]).mean() < 6.0
    assert np.abs(seen[30:120, behind] - frame[30:120, behind]).mean() < 6.0


def test_strokes_that_a_resting_scene_has_redrawn_are_gone_in_three_runs() -> None:
    stabiliser = Stabiliser(1.0)
    picture = np.asarray(backdrop() // 2, np.uint8)
    for run in range(8):
        inside(stabiliser, backdrop())
        if run == 5:
            picture[40:80, 100:160] += 80
        settled = outside(stabiliser, picture)
    assert np.abs(settled - picture)[40:80, 100:160].mean() < 0.2 * 80.0


def test_a_cut_is_shown_at_once() -> None:
    stabiliser = Stabiliser(1.0)
    for _ in range(5):
        inside(stabiliser, backdrop())
        outside(stabiliser, backdrop())
    cut = np.asarray(255 - backdrop(), np.uint8)
    assert np.abs(inside(stabiliser, cut) - cut).mean() < 6.0
    assert np.abs(outside(stabiliser, cut) - cut).mean() < 6.0


@pytest.mark.parametrize("size_px", [SIZE_PX, (64, 20), (100, 98), (640, 1284)])
def test_strength_zero_changes_nothing_at_any_size(size_px: tuple[int, int]) -> None:
    stabiliser = Stabiliser(0.0)
    for frame in still_frames(3, size_px):
        assert np.allclose(inside(stabiliser, frame), frame, atol=0.01)
        assert np.array_equal(outside(stabiliser, frame), frame)


def test_a_large_picture_is_held_as_still_as_a_small_one() -> None:
    def left(size_px: tuple[int, int]) -> float:
        stabiliser, frames = Stabiliser(1.0), still_frames(SETTLED + 3, size_px)
        return flicker([inside(stabiliser, frame) for frame in frames]) / flicker(frames)

    assert left((1280, 720)) <= 1.1 * left(SIZE_PX) < 0.5


@pytest.mark.parametrize("good_runs", [0, 3])
def test_what_is_no_number_is_refused_and_not_remembered(good_runs: int) -> None:
    stabiliser, frame = Stabiliser(1.0), backdrop()
    for _ in range(good_runs):
        inside(stabiliser, frame)
        outside(stabiliser, frame)
    inside(stabiliser, frame)
    broken = np.full((3, *frame.shape[:2]), 0.5, np.float32)
    broken[1, 70, 33] = np.nan
    with pytest.raises(SessionError, match="the network's output is not finite"):
        stabiliser.settle_output(broken, frame.copy())
    inside(stabiliser, frame)
    assert np.array_equal(outside(stabiliser, frame), frame)
