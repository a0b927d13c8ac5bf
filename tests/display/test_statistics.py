"""Percentiles, blame, warm-up, and the shape of the report."""

import json
import random

import numpy as np
import pytest

from edge_runtime.clock import Tick
from edge_runtime.display.statistics import LATENCY_BIN_MS, FrameStatistics, Histogram, PresentedFrame
from edge_runtime.display.trace import TRACE_COLUMNS

PERIOD_S = 0.020


def frame(index: int, due_s: float, *, missed: int = 0, cpu_s: float = 0.002, late_s: float = 0.0) -> PresentedFrame:
    return PresentedFrame(
        tick=Tick(index, due_s, missed),
        woken_s=due_s + late_s,
        rendered_s=due_s + late_s + 0.004,
        begun_s=due_s + late_s + 0.004,
        presented_s=due_s + late_s + 0.005,
        cpu_s=cpu_s,
    )


def test_percentiles_agree_with_sorting_all_values() -> None:
    generator = random.Random(3)
    values = [generator.lognormvariate(2.8, 0.3) for _ in range(20_000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for percent, rank in ((0.01, 2), (50, 10_000), (95, 19_000), (99, 19_800), (99.9, 19_980), (100, 20_000)):
        assert histogram.percentile(percent) == pytest.approx(sorted(values)[rank - 1], abs=0.00501)
    assert histogram.max_ms == max(values)
    assert histogram.count == 20_000


def test_latencies_of_a_slow_model_are_told_apart() -> None:
    histogram = Histogram(bin_ms=LATENCY_BIN_MS)
    for ms in (300.0, 450.0, 640.0, 2400.0):
        histogram.add(ms)
    assert [histogram.percentile(percent) for percent in (25, 50, 75, 100)] == [300.0, 450.0, 640.0, 2400.0]


def test_what_is_off_the_scale_is_told_by_the_longest() -> None:
    histogram = Histogram()
    for ms in (1.0, 2.0, 3000.0, -0.5):
        histogram.add(ms)
    assert histogram.percentile(99) == 3000.0
    assert histogram.percentile(50) == 1.0
    assert histogram.percentile(1) == 0.0


def test_missed_deadlines_are_ours_only_when_our_drawing_took_too_long() -> None:
    statistics = FrameStatistics(period_s=PERIOD_S)
    statistics.observe(frame(0, 0.00, cpu_s=0.055))
    statistics.observe(frame(1, 0.06, missed=2))
    statistics.observe(frame(2, 0.08))
    statistics.observe(frame(3, 0.18, missed=4))
    frames = statistics.as_json()["frames"]
    assert (frames["due"], frames["presented"], frames["missed"]) == (10, 4, 6)
    assert (frames["late_by_us"], frames["late_by_world"]) == (2, 4)
    assert frames["interval_ms"]["max"] == pytest.approx(100.0)
    assert frames["interval_ms"]["p50"] == pytest.approx(60.0)
    assert frames["deviation_ms"]["p999"] == pytest.approx(80.0)


def test_the_warm_up_leaves_no_trace() -> None:
    statistics = FrameStatistics(period_s=PERIOD_S, warm_up_s=1.0)
    statistics.observe(frame(0, 0.0, cpu_s=0.5))
    statistics.observe(frame(1, 0.5, missed=24))
    for index in range(2, 52):
        statistics.observe(frame(index, 1.02 + (index - 2) * PERIOD_S, missed=25 if index == 2 else 0))
    frames = statistics.as_json()["frames"]
    assert (frames["presented"], frames["missed"]) == (50, 0)
    assert frames["interval_ms"]["max"] == pytest.approx(20.0)


def test_latencies_run_from_capture_and_command_to_the_end_of_present() -> None:
    statistics = FrameStatistics(period_s=PERIOD_S)
    shown = frame(0, 10.0)
    statistics.observe(PresentedFrame(shown.tick, 10.0, 10.004, 10.004, 10.005, 0.002, captured_s=(9.955, 9.905)))
    statistics.observe(PresentedFrame(Tick(1, 10.02, 0), 10.02, 10.024, 10.024, 10.025, 0.002, commanded_s=(10.015,)))
    latency_ms = statistics.as_json()["latency_ms"]
    assert latency_ms["camera_to_present"] == pytest.approx({"p50": 50.0, "p95": 100.0, "p99": 100.0}, abs=0.006)
    assert latency_ms["command_to_present"]["p95"] == pytest.approx(10.0, abs=0.006)


def test_what_was_not_measured_is_null() -> None:
    report = json.loads(json.dumps(FrameStatistics(period_s=PERIOD_S).as_json(), allow_nan=False))
    assert report["frames"]["interval_ms"] == {"p50": None, "p95": None, "p99": None, "p999": None, "max": None}
    assert report["latency_ms"]["camera_to_present"] == {"p50": None, "p95": None, "p99": None}


def test_a_row_of_the_trace_says_where_the_time_went() -> None:
    statistics = FrameStatistics(period_s=PERIOD_S)
    first = dict(zip(TRACE_COLUMNS, statistics.observe(frame(0, 1.0)), strict=True))
    assert np.isnan(first["ms_between_presents"])
    shown = PresentedFrame(Tick(1, 1.02, 0), 1.021, 1.028, 1.028, 1.029, 0.006, captured_s=(0.999,))
    row = dict(zip(TRACE_COLUMNS, statistics.observe(shown, rung=2, scene=1), strict=True))
    assert row == pytest.approx(
        {
            "frame": 1,
            "time_s": 1.029,
            "due_s": 1.02,
            "ms_between_presents": 24.0,
            "ms_render": 7.0,
            "ms_cpu": 6.0,
            "ms_present": 1.0,
            "ms_late": 1.0,
            "missed": 0,
            "animation_error_ms": 4.0,
            "camera_latency_ms": 30.0,
            "rung": 2,
            "scene": 1,
        }
    )
