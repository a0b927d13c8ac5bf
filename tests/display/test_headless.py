"""What only the display without a screen does."""

import pytest

from edge_runtime.clock import ManualClock
from edge_runtime.config import DisplayConfig
from edge_runtime.display.headless import HeadlessDisplay

CONFIG = DisplayConfig.model_validate({"kind": "headless", "canvas_px": (32, 20), "rotation": 90})


def test_the_screen_is_the_canvas_turned() -> None:
    with HeadlessDisplay(CONFIG, ManualClock()) as display:
        assert display.screen_px == (20, 32)
        assert display.canvas.shape == (20, 32, 4)


def test_present_never_waits_unless_a_rate_is_simulated() -> None:
    clock = ManualClock()
    with HeadlessDisplay(CONFIG, clock) as display:
        display.present()
        assert clock.now_s() == 0.0
        assert (display.pacer, display.refresh_hz) == ("timer", None)


def test_a_simulated_screen_blocks_until_its_next_refresh() -> None:
    clock = ManualClock(100.0)
    with HeadlessDisplay(CONFIG, clock, simulated_hz=50.0) as display:
        assert (display.pacer, display.refresh_hz) == ("vsync", 50.0)
        presented_s = []
        for drawing_s in (0.0, 0.005, 0.019, 0.021, 0.0):
            clock.advance(drawing_s)
            display.present()
            presented_s.append(clock.now_s())
    assert presented_s == pytest.approx([100.02, 100.04, 100.06, 100.10, 100.12])
