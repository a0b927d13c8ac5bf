"""The brush: crisp strokes, honest colours, and nothing in it that could flicker."""

import cv2
import numpy as np
import pytest

from edge_runtime.clock import cpu_s
from edge_runtime.inference.tasks import FrameBgr
from edge_runtime.inference.tasks.brush import Brush

SIZE_PX = (320, 180)


@pytest.fixture(scope="module")
def brush() -> Brush:
    return Brush(SIZE_PX)


def painted(brush: Brush, picture: FrameBgr) -> FrameBgr:
    out = np.zeros((brush.size_px[1], brush.size_px[0], 3), np.uint8)
    brush.paint(picture, out)
    return out


def soft_picture(seed: int) -> FrameBgr:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (72, 40), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_one_colour_stays_that_colour_but_for_how_paint_catches_the_light(brush: Brush) -> None:
    picture = np.full((40, 72, 3), (40, 120, 200), np.uint8)
    out = painted(brush, picture).astype(float)
    assert np.abs(out.mean(axis=(0, 1)) - (40, 120, 200)).max() < 2.5
    hue = out / out.sum(axis=2, keepdims=True)
    assert hue.std(axis=(0, 1)).max() < 0.01
    assert 1 < out[..., 2].std() < 15


def test_a_soft_picture_becomes_a_crisp_one_that_is_still_the_same_picture(brush: Brush) -> None:
    picture = soft_picture(3)
    out = painted(brush, picture)
    plain = cv2.resize(picture, SIZE_PX, interpolation=cv2.INTER_CUBIC)
    assert cv2.Laplacian(out, cv2.CV_64F).std() > 3 * cv2.Laplacian(plain, cv2.CV_64F).std()
    far = [cv2.resize(whole, (20, 11), interpolation=cv2.INTER_AREA).astype(float) for whole in (out, plain)]
    assert np.abs(far[0] - far[1]).mean() < 10


def test_the_same_picture_is_painted_the_same_and_no_pixel_changes_more_than_the_picture_does(brush: Brush) -> None:
    first = soft_picture(4)
    again = painted(brush, first)
    np.testing.assert_array_equal(again, painted(brush, first))
    second = np.clip(first.astype(int) + 6, 0, 255).astype(np.uint8)
    change = np.abs(painted(brush, second).astype(int) - again)
    assert change.max() <= 10  # 6, the relief's share of it, and rounding
    assert change.mean() > 3


def test_strokes_are_as_wide_on_every_size() -> None:
    picture = soft_picture(5)
    small, large = (painted(Brush(size_px), picture) for size_px in ((240, 136), (480, 272)))
    shrunk = cv2.resize(large, (240, 136), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(float) - shrunk).mean() < 12


def test_another_size_is_fitted_at_once_and_shows_the_same_painting() -> None:
    picture, brush = soft_picture(6), Brush((480, 270))
    small = painted(brush, picture)
    start_s = cpu_s()
    brush.fit((960, 540))
    assert cpu_s() - start_s < 1.0
    large = painted(brush, picture)
    assert large.shape == (540, 960, 3)
    assert np.abs(cv2.resize(large, (480, 270), interpolation=cv2.INTER_AREA).astype(float) - small).mean() < 4
