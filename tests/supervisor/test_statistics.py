"""What a run tells at its end: the statistics object, and a trace with one row for every frame."""

import csv
import json
import math
import signal
from pathlib import Path

from edge_runtime.display.trace import TRACE_COLUMNS, TraceReader
from tests.fixtures.device import RunningDevice, crew
from tests.fixtures.waiting import eventually

PARTS = {"show", "hub", "camera:main", "worker:main"}
PERCENTILES = {"p50", "p95", "p99"}


def test_a_timed_run_ends_by_itself_with_the_statistics_of_the_contract(tmp_path: Path) -> None:
    stats, trace = tmp_path / "stats.json", tmp_path / "frames.csv"
    options = ["--headless", "--seconds", "4", "--stats", str(stats), "--trace", str(trace)]
    with RunningDevice(crew(), tmp_path, options=options) as device:
        device.wait_up()
        assert device.process.wait(15.0) == 0
    told = json.loads(stats.read_text())
    assert set(told) == {
        *("schema", "version", "device_id", "seconds", "display", "scene", "frames", "latency_ms", "models", "cameras"),
        *("parts", "governor", "signals", "mqtt", "start", "memory_mb"),
    }
    assert (told["schema"], told["device_id"]) == (1, "crew")
    assert 3.0 < told["seconds"] < 6.0
    assert {"kind", "driver", "canvas_px", "refresh_hz", "pacer", "realtime"} <= set(told["display"])
    assert (told["display"]["kind"], told["display"]["canvas_px"]) == ("headless", [640, 360])
    frames = told["frames"]
    assert {"due", "presented", "missed", "late_by_us", "late_by_world", "interval_ms"} <= set(frames)
    assert set(frames["interval_ms"]) == {"p50", "p95", "p99", "p999", "max"}
    assert frames["due"] == frames["presented"] + frames["missed"]
    assert frames["presented"] > 60
    assert set(told["latency_ms"]) >= {"camera_to_present", "command_to_present"}
    assert set(told["latency_ms"]["camera_to_present"]) == PERCENTILES
    assert 0 < told["latency_ms"]["camera_to_present"]["p50"] < 500
    model = told["models"]["echo"]
    assert set(model) >= {"bundle", "provider", "runs", "rate_hz", "task_ms", "run_ms", "age_ms"}
    assert model["runs"] > 30
    assert set(told["parts"]) == PARTS
    assert all(set(part) == {"state", "restarts", "pid"} for part in told["parts"].values())
    assert {part["state"] for part in told["parts"].values()} == {"up"}
    assert told["governor"] == {"rung": "full", "changes": 0}
    assert told["signals"]["weather.rain"] == {"value": None, "age_s": None, "stale": True}
    assert told["signals"]["clock.hour"]["stale"] is False
    assert 0 < told["start"]["first_picture_s"] < 20
    assert 0 < told["start"]["first_model_frame_s"] < 20
    assert told["memory_mb"]["show"] > 10
    assert set(told["memory_mb"]["parts"]) == PARTS - {"show"}
    assert all(mb > 10 for mb in told["memory_mb"]["parts"].values())
    rows = list(csv.DictReader(trace.read_text().splitlines()))
    assert [int(row["frame"]) for row in rows] == list(range(len(rows)))
    assert len(rows) >= frames["presented"]


def test_the_trace_has_every_frame_once_whoever_is_killed(tmp_path: Path) -> None:
    trace = tmp_path / "frames.csv"
    trace.write_text("of an earlier run\n")
    with RunningDevice(crew(), tmp_path, options=["--headless", "--trace", str(trace)]) as device:
        device.wait_up()
        ring = TraceReader(device.region("trace"), from_oldest=True)
        eventually(lambda: trace.read_text().count("\n") > 30, 5.0, "rows are written")
        for part in ("hub", "show", "hub"):
            device.wait_back(part, not_pid=device.hurt(part, signal.SIGKILL))
        shown = device.shown(0.0).presented
        eventually(lambda: device.shown(0.0).presented > shown + 60, 5.0, "it goes on")
        assert device.stop() == 0
        rows = ring.drain()
        assert ring.lost == 0
        assert not device.events("trace_not_written")
    header, *written = csv.reader(trace.read_text().splitlines())
    assert tuple(header) == TRACE_COLUMNS
    assert len(written) == len(rows)
    for texts, row in zip(written, rows, strict=True):
        for text, value in zip(texts, row, strict=True):
            assert text == "NA" if math.isnan(value) else abs(float(text) - value) < 1e-5


def test_a_trace_that_cannot_be_written_any_more_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    folder.mkdir()
    options = ["--headless", "--trace", str(folder / "frames.csv")]
    with RunningDevice(crew(), tmp_path, options=options) as device:
        device.wait_up()
        eventually(lambda: (folder / "frames.csv").stat().st_size > 1000, 5.0, "rows are written")
        folder.rename(tmp_path / "gone")
        told = eventually(lambda: device.events("trace_not_written"), 5.0, "it is told")
        assert "frames.csv" in told[0]["path"]
        assert {part["state"] for part in device.ps().values()} == {"up"}
        assert device.stop() == 0
        assert len(device.events("trace_not_written")) == 1
