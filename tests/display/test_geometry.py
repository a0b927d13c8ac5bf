"""Fits, rotations and the order of the steps."""

import itertools
from typing import Any

import numpy as np
import pytest

from edge_runtime.config import DisplayConfig
from edge_runtime.display.geometry import Box, Painter, Projection, place, turned
from tests.display.show_card import card
from tests.display.shown import assert_alike, expected

FITS: list[Any] = ["contain", "cover", "stretch"]
ROTATIONS: list[Any] = [0, 90, 180, 270]


def test_contain_shows_all_and_centres_it() -> None:
    assert place((1280, 720), (1920, 1200), 0, "contain") == (Box(0, 0, 1280, 720), Box(0, 60, 1920, 1080))
    assert place((1280, 720), (1080, 1920), 90, "contain") == (Box(0, 0, 1280, 720), Box(0, 0, 1080, 1920))


def test_cover_fills_the_screen_and_crops_the_middle() -> None:
    assert place((1280, 720), (1080, 1080), 0, "cover") == (Box(280, 0, 720, 720), Box(0, 0, 1080, 1080))
    assert place((1280, 720), (720, 960), 270, "cover") == (Box(160, 0, 960, 720), Box(0, 0, 720, 960))


@pytest.mark.parametrize(("fit", "rotation"), list(itertools.product(FITS, ROTATIONS)))
def test_no_canvas_is_so_odd_that_nothing_is_shown(fit: Any, rotation: Any) -> None:
    for canvas_px, screen_px in itertools.product([(1, 4000), (4000, 1), (3, 7)], repeat=2):
        source, target = place(canvas_px, screen_px, rotation, fit)
        for box, (width, height) in ((source, canvas_px), (target, screen_px)):
            assert box.width >= 1
            assert box.height >= 1
            assert 0 <= box.left <= width - box.width
            assert 0 <= box.top <= height - box.height
        screen = np.full((screen_px[1], screen_px[0], 4), 9, np.uint8)
        white = np.full((canvas_px[1], canvas_px[0], 4), 255, np.uint8)
        Projection(canvas_px, screen_px, rotation, fit).paint(white, screen, 100.0)
        assert (target.cut(screen) == 255).all()
        assert (screen == 255).sum() == 4 * target.width * target.height


@pytest.mark.parametrize(("rotation", "brightness"), list(itertools.product(ROTATIONS, [100.0, 40.0])))
def test_a_canvas_larger_than_the_screen_looks_the_same(rotation: Any, brightness: float) -> None:
    screen_px = turned((320, 180), rotation)
    screen = np.empty((screen_px[1], screen_px[0], 4), np.uint8)
    Projection((480, 270), screen_px, rotation, "stretch").paint(card(480, 270), screen, brightness)
    wanted = expected((480, 270), screen_px, rotation, "stretch") * (brightness / 100)
    assert_alike(screen[..., :3], wanted.astype(np.uint8))


def test_shrinking_much_averages_instead_of_dropping_pixels() -> None:
    stripes = np.zeros((400, 400, 4), np.uint8)
    stripes[:, ::4] = 200
    screen = np.empty((100, 100, 4), np.uint8)
    Projection((400, 400), (100, 100), 0, "stretch").paint(stripes, screen, 100.0)
    assert (screen == 50).all()


def test_a_screen_with_padded_rows_is_painted_in_place() -> None:
    memory = np.full((90, 200, 4), 7, np.uint8)
    screen = memory[:, :160]
    Projection((90, 160), (160, 90), 90, "contain").paint(card(90, 160), screen, 60.0)
    assert np.abs(screen[..., :3] - expected((90, 160), (160, 90), 90, "contain") * 0.6).max() <= 1.0
    assert (memory[:, 160:] == 7).all()


def test_only_an_untouched_picture_may_be_drawn_in_the_screens_memory() -> None:
    def direct(**config: Any) -> bool:
        return Painter(DisplayConfig.model_validate({"canvas_px": (320, 200), **config}), (320, 200)).is_direct

    assert direct()
    assert direct(fit="cover")
    assert not direct(rotation=180)
    assert not direct(brightness=99)
    assert not direct(canvas_px=(160, 100))
