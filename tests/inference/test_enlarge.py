"""Enlarging a painting: steep edges without halos, calm where nothing is, and no more flicker than there was."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge_runtime.config import ModelConfig, bundle_folders
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task

SMALL_PX, LARGE_PX = (160, 96), (320, 192)


@pytest.fixture
def task() -> Iterator[Task]:
    model = ModelConfig(name="large", bundle="enlarge", input="picture.small", size_px=LARGE_PX)
    task = open_task(model, open_bundle("enlarge", bundle_folders()), LARGE_PX)
    with task.session:
        yield task


def enlarged(task: Task, picture: FrameBgr, size_px: tuple[int, int] = LARGE_PX) -> FrameBgr:
    out = np.zeros((size_px[1], size_px[0], 3), np.uint8)
    task.run(Work([picture], task.defaults, [0.0]), out)
    return out


def plain(picture: FrameBgr) -> FrameBgr:
    return np.asarray(cv2.resize(picture, LARGE_PX, interpolation=cv2.INTER_CUBIC), np.uint8)


def soft_disc() -> FrameBgr:
    picture = np.full((SMALL_PX[1], SMALL_PX[0], 3), (50, 60, 70), np.uint8)
    cv2.circle(picture, (80, 48), 30, (200, 190, 150), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.6), np.uint8)


def steepest(picture: FrameBgr) -> float:
    return float(np.abs(np.diff(picture[..., 0].astype(float), axis=1)).max())


def test_an_edge_gets_steep_and_has_no_halo(task: Task) -> None:
    disc = soft_disc()
    seen = enlarged(task, disc)
    assert steepest(seen) > 1.6 * steepest(plain(disc))
    assert seen.min() >= disc.min() - 1
    assert seen.max() <= disc.max() + 1
    outside = np.abs(seen.astype(float) - plain(disc))[:, :60]
    assert outside.max() <= 1, "far from an edge it is a plain enlargement"


def test_noise_is_not_taken_for_edges(task: Task) -> None:
    noise = np.random.default_rng(1).normal(120, 3, (SMALL_PX[1], SMALL_PX[0], 3)).clip(0, 255).astype(np.uint8)
    assert np.abs(enlarged(task, noise).astype(float) - plain(noise)).mean() < 1.0


def test_what_trembles_by_noise_trembles_no_more_when_it_is_large(task: Task) -> None:
    rng, disc = np.random.default_rng(2), soft_disc().astype(float)
    first, second = (np.clip(disc + rng.normal(0, 2.5, disc.shape), 0, 255).astype(np.uint8) for _ in range(2))
    trembling = np.abs(enlarged(task, first).astype(float) - enlarged(task, second)).mean()
    assert trembling < 1.2 * np.abs(plain(first).astype(float) - plain(second)).mean()


def test_it_takes_any_size_and_pictures_with_transparency(task: Task) -> None:
    disc = soft_disc()
    for size_px in ((500, 300), (160, 96), (64, 64)):
        assert enlarged(task, disc, size_px).std() > 20
    with_alpha = np.dstack([disc, np.full(disc.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(enlarged(task, with_alpha), enlarged(task, disc))
