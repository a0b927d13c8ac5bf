"""One suite for every display: the same card must be seen in the same place, whoever shows it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.display.show_card import CORNERS
from tests.display.shown import Shown, ShownHere, assert_alike, corner_colours, expected, show_on_x

WINDOW_PX = (400, 300)
Show = Callable[..., Shown]


@pytest.fixture(
    params=[pytest.param("headless", id="headless"), pytest.param("surface", id="surface", marks=pytest.mark.display)]
)
def show(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Show]:
    """Opens a windowed display with the given config."""
    x_display: str = request.getfixturevalue("xvfb") if request.param == "surface" else ""
    with ExitStack() as open_displays:

        def open_one(**config: Any) -> Shown:
            config = {"windowed": True, "window_px": WINDOW_PX, **config}
            if not x_display:
                return ShownHere(config)
            return open_displays.enter_context(show_on_x(x_display, tmp_path, config))

        yield open_one


TL, TR, BL, BR = CORNERS.values()


@pytest.mark.parametrize(
    ("rotation", "corners"),
    [(0, [TL, TR, BL, BR]), (90, [BL, TL, BR, TR]), (180, [BR, BL, TR, TL]), (270, [TR, BR, TL, BL])],
)
def test_every_corner_is_in_its_place_at_every_rotation(show: Show, rotation: int, corners: list[Any]) -> None:
    shown = show(canvas_px=(160, 90), rotation=rotation, fit="stretch")
    shown.obey()
    assert corner_colours(shown.seen()) == corners
    assert_alike(shown.seen(), expected((160, 90), WINDOW_PX, rotation, "stretch"))


@pytest.mark.parametrize("rotation", [0, 90])
@pytest.mark.parametrize("fit", ["contain", "cover"])
def test_a_picture_of_another_shape_gets_bars_or_is_cropped(show: Show, fit: str, rotation: int) -> None:
    shown = show(canvas_px=(640, 270), fit=fit, rotation=rotation)
    shown.obey()
    wanted = expected((640, 270), WINDOW_PX, rotation, fit)
    assert_alike(shown.seen(), wanted)
    if fit == "contain":
        bars = wanted.max(axis=2) == 0
        assert bars.mean() > 0.2
        assert not shown.seen()[bars].any()


def test_odd_sizes_reach_every_edge(show: Show) -> None:
    shown = show(canvas_px=(157, 91), window_px=(403, 299), rotation=270, fit="stretch")
    shown.obey()
    assert corner_colours(shown.seen()) == [TR, BR, TL, BL]
    assert_alike(shown.seen(), expected((157, 91), (403, 299), 270, "stretch"))


@pytest.mark.parametrize("rotation", [0, 180])
def test_a_canvas_of_the_screens_size_is_shown_to_the_pixel(show: Show, rotation: int) -> None:
    shown = show(canvas_px=WINDOW_PX, rotation=rotation)
    shown.obey()
    assert np.array_equal(shown.seen(), expected(WINDOW_PX, WINDOW_PX, rotation, "contain"))


def test_brightness_dims_all_alike_and_comes_back(show: Show) -> None:
    shown = show(canvas_px=(200, 150), rotation=90, fit="stretch")
    shown.obey()
    full = shown.seen().astype(np.float64)
    shown.obey(brightness=50)
    assert np.abs(shown.seen() - full / 2).mean() < 1.0
    shown.obey(brightness=0)
    assert not shown.seen().any()
    shown.obey(brightness=100)
    assert np.array_equal(shown.seen(), full)


def test_brightness_of_the_config_holds_from_the_first_picture(show: Show) -> None:
    shown = show(canvas_px=WINDOW_PX, brightness=25)
    shown.obey()
    wanted = expected(WINDOW_PX, WINDOW_PX, 0, "contain") / 4
    assert np.abs(shown.seen() - wanted).max() <= 1.0


def test_a_smaller_canvas_fills_the_same_screen(show: Show) -> None:
    shown = show(canvas_px=WINDOW_PX)
    shown.obey()
    answer = shown.obey(scale=0.5)
    assert tuple(answer["canvas_px"]) == (200, 150)
    assert tuple(answer["screen_px"]) == WINDOW_PX
    assert_alike(shown.seen(), expected((200, 150), WINDOW_PX, 0, "contain"))
    shown.obey(scale=1.0)
    assert np.array_equal(shown.seen(), expected(WINDOW_PX, WINDOW_PX, 0, "contain"))


def test_bars_stay_black_when_the_canvas_changes_its_shape(show: Show) -> None:
    shown = show(canvas_px=(300, 300), fit="contain", brightness=50)
    shown.obey()
    shown.obey(scale=0.503)  # 151 px: the bars move by nothing, the scratch arrays are new
    assert not shown.seen()[:, :49].any()
    assert not shown.seen()[:, -49:].any()
    assert shown.seen()[:, 50:-50].any(axis=2).all()


def test_a_copy_is_what_the_audience_sees(show: Show) -> None:
    shown = show(canvas_px=(160, 90), rotation=90, brightness=70)
    shown.obey()
    assert np.array_equal(shown.copied(), shown.seen())


def test_a_display_tells_who_shows_and_who_paces(show: Show) -> None:
    answer = show(canvas_px=(160, 90)).obey()
    assert answer["driver"] in {"none", "x11"}
    assert answer["pacer"] == "timer"
    assert answer["refresh_hz"] is None  # neither Xvfb nor nobody has a rate
    assert answer["events"] == []
