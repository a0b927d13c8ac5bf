"""What only a real window system can show."""

from pathlib import Path

import numpy as np
import pytest

from tests.display.show_card import CORNERS, card
from tests.display.shown import assert_alike, card_process, corner_colours, expected, show_on_x
from tests.fixtures.children import find_program, stop_child
from tests.fixtures.screen import run_two_outputs, run_xvfb
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.display

FULL_HD = (1920, 1080)


def a_program(name: str) -> str:
    return find_program(name) or pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("xvfb", [FULL_HD], indirect=True)
def test_fullscreen_fills_a_larger_screen_without_a_window_manager(xvfb: str, tmp_path: Path) -> None:
    with show_on_x(xvfb, tmp_path, {"canvas_px": (1280, 720)}) as shown:
        assert tuple(shown.obey()["screen_px"]) == FULL_HD
        assert corner_colours(shown.seen()) == list(CORNERS.values())
        assert_alike(shown.seen(), expected((1280, 720), FULL_HD, 0, "contain"))


@pytest.mark.parametrize("xvfb", [(640, 400)], indirect=True)
def test_a_canvas_of_the_screens_size_is_the_screens_own_memory_unless_dimmed(xvfb: str, tmp_path: Path) -> None:
    with show_on_x(xvfb, tmp_path, {"canvas_px": (640, 400)}) as shown:
        for _ in range(3):
            assert not shown.obey()["owns_canvas"]
            assert np.array_equal(shown.seen(), card(640, 400)[..., :3])
        assert shown.obey(brightness=40)["owns_canvas"]
        assert np.abs(shown.seen() - card(640, 400)[..., :3] * 0.4).max() <= 1.0
        assert not shown.obey(brightness=100)["owns_canvas"]
        assert np.array_equal(shown.seen(), card(640, 400)[..., :3])


@pytest.mark.parametrize("xvfb", [(640, 400)], indirect=True)
def test_a_window_that_is_resized_keeps_the_whole_picture(xvfb: str, tmp_path: Path) -> None:
    with show_on_x(xvfb, tmp_path, {"canvas_px": (320, 200), "windowed": True, "fit": "stretch"}) as shown:
        shown.obey()
        shown.x.resize(shown.x.windows()[-1], (500, 333))
        eventually(lambda: tuple(shown.obey()["screen_px"]) == (500, 333), 5.0, "the display follows its window")
        assert_alike(shown.seen(), expected((320, 200), (500, 333), 0, "stretch"))
        assert np.array_equal(shown.copied(), shown.seen())


def test_a_screen_of_16_bits_shows_the_same_picture(tmp_path: Path) -> None:
    with (
        run_xvfb(a_program("Xvfb"), (400, 300), depth_bits=16) as x_display,
        show_on_x(x_display, tmp_path, {"canvas_px": (400, 300)}) as shown,
    ):
        shown.obey()
        lost = card(400, 300)[..., :3].astype(np.int16) - shown.seen()
        assert 0 <= lost.min() <= lost.max() < 8


@pytest.mark.parametrize("xvfb", [(320, 200)], indirect=True)
def test_flips_that_do_not_wait_for_a_screen_end_in_the_timer(xvfb: str, tmp_path: Path) -> None:
    with show_on_x(xvfb, tmp_path, {"canvas_px": (320, 200), "probe": True}) as shown:
        assert shown.obey()["pacer"] == "timer"
        assert np.array_equal(shown.seen(), card(320, 200)[..., :3])


@pytest.mark.parametrize("xvfb", [(320, 200)], indirect=True)
@pytest.mark.parametrize("windowed", [True, False])
def test_closing_always_quits_and_escape_only_in_a_window(xvfb: str, tmp_path: Path, *, windowed: bool) -> None:
    with show_on_x(xvfb, tmp_path, {"canvas_px": (160, 100), "windowed": windowed}) as shown:
        assert shown.obey()["events"] == []
        assert shown.obey(press="space")["events"] == []
        assert shown.obey(press="escape")["events"] == (["quit"] if windowed else [])
        assert shown.obey(press="close")["events"] == ["quit"]


def test_a_lost_x_server_ends_the_process_instead_of_freezing_it(tmp_path: Path) -> None:
    with run_xvfb(a_program("Xvfb"), (320, 200)) as x_display:
        process = card_process(x_display, tmp_path / "presented.npy", {"canvas_px": (160, 100)})
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        assert process.stdout.readline()
    try:
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        assert eventually(process.poll, 5.0, "the process ends") is not None
    finally:
        stop_child(process)


def last_words(tmp_path: Path, display: str, **config: object) -> str:
    """The last line that a display which cannot open leaves behind."""
    process = card_process(display, tmp_path / "presented.npy", config)
    try:
        assert process.wait(timeout=20.0) == 1
    finally:
        stop_child(process)
    return (tmp_path / "presented.log").read_text().splitlines()[-1]


def test_a_wanted_screen_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    line = last_words(tmp_path, ":4711")
    assert "DisplayError: no screen" in line
    assert "DISPLAY=:4711" in line


@pytest.mark.parametrize("xvfb", [(320, 200)], indirect=True)
def test_a_second_screen_that_is_not_there_is_one_clear_line(xvfb: str, tmp_path: Path) -> None:
    line = last_words(tmp_path, xvfb, screen=1)
    assert line.endswith("DisplayError: display.screen = 1: there is 1, counted from 0")


def test_one_picture_covers_all_outputs_where_that_is_asked_for(tmp_path: Path) -> None:
    with run_two_outputs(tmp_path) as x_display:
        for screen, screen_px in (("all", (1280, 480)), (1, (640, 480))):
            with show_on_x(x_display, tmp_path, {"canvas_px": (640, 240), "screen": screen}) as shown:
                assert tuple(shown.obey()["screen_px"]) == screen_px
                if screen == "all":
                    assert_alike(shown.seen(), expected((640, 240), (1280, 480), 0, "contain"))


def test_auto_goes_headless_and_says_why(tmp_path: Path) -> None:
    process = card_process(":4711", tmp_path / "presented.npy", {"kind": "auto"})
    try:
        out, _ = process.communicate(b"{}\n", timeout=20.0)
    finally:
        stop_child(process)
    assert b'"driver": "none"' in out
    assert '"event": "display_headless"' in (tmp_path / "presented.log").read_text()
