"""The grid of deadlines: absolute, without bursts."""

import pytest

from edge_runtime.clock import FrameClock, ManualClock, Rate, Tick, Timekeeper


def test_a_stall_costs_one_gap_and_no_burst() -> None:
    clock = ManualClock()
    frames = FrameClock(clock, rate_hz=10)
    assert frames.wait() == Tick(index=0, now_s=0.0, missed=0)
    clock.advance(0.35)  # this frame took 3.5 periods
    late = frames.wait()
    assert late.missed == 2  # those due at 0.1 and 0.2; the one due at 0.3 is served now, late
    assert late.now_s == pytest.approx(0.3)
    on_time = frames.wait()
    assert on_time.missed == 0
    assert on_time.now_s == pytest.approx(0.4)


def test_a_wake_up_that_is_a_little_late_misses_nothing() -> None:
    clock = ManualClock()
    frames = FrameClock(clock, rate_hz=10)
    frames.wait()
    clock.advance(0.1001)
    assert frames.wait().missed == 0


def test_deadlines_do_not_drift_however_uneven_the_work_is() -> None:
    clock = ManualClock()
    frames = FrameClock(clock, rate_hz=60)
    for frame in range(600):
        tick = frames.wait()
        clock.advance(0.001 + 0.014 * (frame % 2))
    assert tick.now_s == pytest.approx(599 / 60)


def test_layers_see_frame_time_and_a_stall_does_not_make_them_leap() -> None:
    time = Timekeeper()
    assert time.advance(Tick(0, 100.0, 0)).time_s == 0.0
    usual = time.advance(Tick(1, 100.02, 0))
    assert usual.time_s == pytest.approx(0.02)
    assert usual.step_s == pytest.approx(0.02)
    assert time.advance(Tick(2, 103.0, 150)).step_s == Timekeeper.MAX_STEP_S


def test_a_rate_ceiling_holds_although_frames_arrive_unevenly() -> None:
    rate, runs = Rate(30.0), 0
    for tick in range(1000):  # a loop that looks a thousand times a second
        if rate.due_in_s(tick / 1000) == 0:
            rate.take(tick / 1000)
            runs += 1
    assert 29 <= runs <= 31


def test_a_rate_ceiling_does_not_catch_up_after_a_pause() -> None:
    rate = Rate(10.0)
    rate.take(0.0)
    rate.take(5.0)
    assert rate.due_in_s(5.0) > 0
