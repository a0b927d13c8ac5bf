"""In-between pictures: nearer to the truth than either neighbour or both blended, and never across a cut."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge_runtime.config import ModelConfig, bundle_folders
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task

SIZE_PX = (320, 180)
STEP_S = 1 / 12


@pytest.fixture
def task() -> Iterator[Task]:
    model = ModelConfig(name="between", bundle="interpolate", input="picture.slow", size_px=SIZE_PX)
    task = open_task(model, open_bundle("interpolate", bundle_folders()), SIZE_PX)
    with task.session:
        yield task


def scene(at: float) -> FrameBgr:
    """A textured wall that glides, and a disc that goes the other way; `at` in pictures."""
    rng = np.random.default_rng(8)
    wall = cv2.resize(rng.integers(0, 256, (24, 44, 3), np.uint8), (380, 210), interpolation=cv2.INTER_CUBIC)
    motion = np.array([[1, 0, -30 + 6 * at], [0, 1, -14 + 2 * at]], np.float32)
    frame = cv2.warpAffine(wall, motion, SIZE_PX, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    disc = (int(16 * (200 - 9 * at)), (16 * 90))
    return np.asarray(cv2.circle(frame, disc, 16 * 30, (40, 220, 250), -1, cv2.LINE_AA, shift=4), np.uint8)


def shown(task: Task, frame: FrameBgr, captured_s: float, at_s: float) -> FrameBgr:
    out = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
    task.run(Work([frame], task.defaults, [captured_s], at_s), out)
    return out


def psnr_db(a: FrameBgr, b: FrameBgr) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_a_picture_between_two_is_nearer_to_the_truth_than_a_blend(task: Task) -> None:
    for number in range(3):
        shown(task, scene(number), number * STEP_S, number * STEP_S)
    for share in (0.25, 0.5, 0.75):
        seen = shown(task, scene(2), 2 * STEP_S, (2 + share) * STEP_S)
        truth = scene(1 + share)
        blend = np.asarray(cv2.addWeighted(scene(1), 1 - share, scene(2), share, 0), np.uint8)
        assert psnr_db(seen, truth) > psnr_db(blend, truth) + 4


def test_it_begins_where_the_pair_begins_and_arrives_when_the_next_is_due(task: Task) -> None:
    for number in range(3):
        seen = shown(task, scene(number), number * STEP_S, number * STEP_S)
    assert psnr_db(seen, scene(1)) > 30
    assert np.array_equal(shown(task, scene(2), 2 * STEP_S, 3 * STEP_S), scene(2))
    assert np.array_equal(shown(task, scene(2), 2 * STEP_S, 9 * STEP_S), scene(2)), "it waits for one that is late"


def test_it_tells_how_far_behind_its_input_it_is(task: Task) -> None:
    for number in range(3):
        shown(task, scene(number), number * STEP_S, number * STEP_S)
    assert task.behind_s == pytest.approx(STEP_S)
    shown(task, scene(2), 2 * STEP_S, 2.75 * STEP_S)
    assert task.behind_s == pytest.approx(STEP_S / 4)
    task.reset()
    assert task.behind_s == 0


def test_the_first_picture_a_cut_and_one_that_was_long_in_coming_are_shown_as_they_are(task: Task) -> None:
    assert np.array_equal(shown(task, scene(0), 0.0, 0.0), scene(0))
    cut = np.ascontiguousarray(255 - scene(5)[::-1])
    assert np.array_equal(shown(task, cut, STEP_S, STEP_S), cut)
    assert np.array_equal(shown(task, scene(0), 3.0, 3.0), scene(0))


def test_between_two_pictures_that_are_one_nothing_moves(task: Task) -> None:
    for number in range(3):
        shown(task, scene(0), number * STEP_S, number * STEP_S)
    seen = shown(task, scene(0), 2 * STEP_S, 2.5 * STEP_S)
    assert np.abs(seen.astype(int) - scene(0)).max() <= 2
