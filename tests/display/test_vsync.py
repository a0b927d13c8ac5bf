"""Telling a screen that blocks from everything that looks like one, and following it."""

import random

import pytest

from edge_runtime.clock import ManualClock
from edge_runtime.config import DisplayConfig
from edge_runtime.display.headless import HeadlessDisplay
from edge_runtime.display.vsync import FLIPS, VsyncFrames, has_gpu, judge_vsync


def flips(rate_hz: float, jitter_s: float = 0.0002) -> list[float]:
    generator = random.Random(7)
    return [1 / rate_hz + generator.uniform(-jitter_s, jitter_s) for _ in range(FLIPS)]


@pytest.mark.parametrize(
    ("rate_hz", "says_hz"), [(59.94, 59.0), (59.94, 60.0), (60.0, None), (23.976, 23.0), (50.0, 50.0), (144.0, 144.0)]
)
def test_flips_that_block_at_the_screens_rate_are_vsync(rate_hz: float, says_hz: float | None) -> None:
    assert judge_vsync(flips(rate_hz), says_hz) == pytest.approx(rate_hz, rel=0.01)


def test_the_first_flips_fill_the_swap_chain_and_do_not_count() -> None:
    assert judge_vsync([0.0001, 0.0001, 0.0001, 0.04, 0.0167, *flips(60.0)[5:]], 60.0) == pytest.approx(60, rel=0.01)


@pytest.mark.parametrize(
    ("intervals_s", "says_hz"),
    [
        pytest.param([], 60.0, id="nothing measured"),
        pytest.param(flips(60.0)[:8], 60.0, id="too few"),
        pytest.param([0.0] * FLIPS, 60.0, id="no time passed"),
        pytest.param(flips(2000.0, 0.0), None, id="does not block"),
        pytest.param(flips(62.5), 60.0, id="SDL's imitation of 60 Hz, whole milliseconds"),
        pytest.param(flips(76.9), 75.0, id="SDL's imitation of 75 Hz"),
        pytest.param(flips(150.0), 60.0, id="software GL, slow and regular"),
        pytest.param(flips(30.0), 60.0, id="too slow for the screen"),
        pytest.param(flips(80.0, 0.006), None, id="irregular"),
        pytest.param([*flips(60.0)[:-3], 0.033, 0.033, 0.033], 60.0, id="skips refreshes"),
        pytest.param(flips(10.0), None, id="slower than any screen"),
    ],
)
def test_any_doubt_is_no_vsync(intervals_s: list[float], says_hz: float | None) -> None:
    assert judge_vsync(intervals_s, says_hz) is None


def test_software_gl_by_wish_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBGL_ALWAYS_SOFTWARE", "1")
    assert not has_gpu()


def test_frames_follow_a_screen_whose_rate_is_not_quite_what_was_measured() -> None:
    clock = ManualClock(5.0)
    config = DisplayConfig.model_validate({"kind": "headless", "canvas_px": (16, 10)})
    with HeadlessDisplay(config, clock, simulated_hz=59.94) as display:
        frames = VsyncFrames(clock, rate_hz=60.0)
        ticks = []
        for _ in range(2000):
            ticks.append(frames.wait())
            assert ticks[-1].now_s == pytest.approx(clock.now_s(), abs=0.001)
            clock.advance(0.004)
            display.present()
    assert [tick.index for tick in ticks] == list(range(2000))
    assert sum(tick.missed for tick in ticks) == 0


def test_a_late_frame_counts_the_refreshes_it_missed() -> None:
    clock = ManualClock()
    frames = VsyncFrames(clock, rate_hz=50.0)
    frames.wait()
    clock.advance(0.08)
    assert frames.wait().missed == 3
    clock.advance(0.02)
    assert frames.wait().missed == 0


def test_a_screen_that_stops_blocking_does_not_make_the_loop_run_away() -> None:
    clock = ManualClock()
    frames = VsyncFrames(clock, rate_hz=50.0)
    for _ in range(101):
        frames.wait()
    assert clock.now_s() == pytest.approx(2.0, abs=0.001)
    assert frames.deadline_s == pytest.approx(2.02, abs=0.001)
