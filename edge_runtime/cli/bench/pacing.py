"""Rows `pacing` and `screen`: the intervals between presents, ours and the naive loop's, in alternating blocks."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edge_runtime.cli.bench import stages
from edge_runtime.cli.bench.device import STOP_S, BusyMeter, Device
from edge_runtime.cli.bench.glass import find_xvfb, open_glass
from edge_runtime.cli.bench.table import Outcome, at_most, ms, spread
from edge_runtime.config import DeviceConfig
from edge_runtime.errors import EdgeError

BLOCK_S = 10.0
WARM_UP_S = 4.0
"""Parts start, and the statistics leave out 2 s themselves."""
RATE_HZ = 60.0
_PERIOD_MS = 1e3 / RATE_HZ
_FAR_MS = 1.0
_NAIVE_GRACE_S = 60.0

Blocks = list[dict[str, Any]]


def measure_pacing(path: Path, config: DeviceConfig, *, minutes: float) -> Outcome:
    """Without a screen, every core busy."""
    return _measure(Outcome("pacing"), path, config, minutes=minutes, headless=True)


def measure_screen(path: Path, config: DeviceConfig, *, minutes: float) -> Outcome:
    """On a real X server, every core busy."""
    outcome = Outcome("screen")
    if find_xvfb() is None:
        outcome.skipped = "Xvfb is not installed"
        return outcome
    with open_glass():
        return _measure(outcome, path, config, minutes=minutes, headless=False)


def _measure(outcome: Outcome, path: Path, config: DeviceConfig, *, minutes: float, headless: bool) -> Outcome:
    block_s = min(BLOCK_S, minutes * 60.0)
    ours: Blocks = []
    naive: Blocks = []
    for _ in range(max(1, round(minutes * 60.0 / block_s))):
        ours.append(_run_ours(path, config, seconds=block_s, headless=headless))
        naive.append(_run_naive(path, seconds=block_s, headless=headless))
    sides = {"ours": _sum_up(ours), "naive": _sum_up(naive)}
    outcome.figures |= {**sides, "ours_blocks": ours, "naive_blocks": naive}
    (_judge_headless if headless else _judge_screen)(outcome, sides["ours"])
    _compare(outcome, sides["ours"], sides["naive"])
    return outcome


def _run_ours(path: Path, config: DeviceConfig, *, seconds: float, headless: bool) -> dict[str, Any]:
    text = stages.busy(path, config)
    with Device(text, headless=headless, seconds=seconds + WARM_UP_S) as device:
        device.wait_event("first_picture")
        meter = BusyMeter()
        statistics = device.finish(within_s=seconds + WARM_UP_S + STOP_S)
        busy, rows = meter.percent(), device.trace()
    counted = [row for row in rows if row["time_s"] > rows[0]["time_s"] + WARM_UP_S]
    return {
        "intervals_ms": [round(row["ms_between_presents"], 3) for row in counted],
        "missed": int(sum(row["missed"] for row in counted)),
        "runs_a_s": round(sum(model["rate_hz"] for model in statistics["models"].values()), 1),
        "busy_percent": busy,
        "realtime": statistics["display"]["realtime"],
    }


def _run_naive(path: Path, *, seconds: float, headless: bool) -> dict[str, Any]:
    command = [sys.executable, "-m", "edge_runtime.cli.bench.naive", str(path), f"--seconds={seconds}"]
    meter = BusyMeter()
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            [*command, *(["--headless"] if headless else [])],
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
            timeout=seconds + _NAIVE_GRACE_S,
        )
        errors.seek(0)
        if done.returncode != 0:
            raise EdgeError(f"bench: the naive loop ended with {done.returncode}: {errors.read()[-400:].decode()}")
    measured = json.loads(done.stdout)
    intervals_ms = measured["intervals_ms"]
    late = sum(max(0, round(interval_ms / _PERIOD_MS) - 1) for interval_ms in intervals_ms)
    rate_hz = round(len(intervals_ms) / (sum(intervals_ms) / 1e3), 1) if intervals_ms else 0.0
    return {"intervals_ms": intervals_ms, "missed": late, "runs_a_s": rate_hz, "busy_percent": meter.percent()}


def _sum_up(blocks: Blocks) -> dict[str, Any]:
    intervals_ms = [interval_ms for block in blocks for interval_ms in block["intervals_ms"]]
    off_ms = [abs(interval_ms - _PERIOD_MS) for interval_ms in intervals_ms]
    total_s = sum(intervals_ms) / 1e3
    return {
        "interval_ms": spread(intervals_ms),
        "off_ms": spread(off_ms),
        "far_off": sum(1 for each_ms in off_ms if each_ms > _FAR_MS),
        "missed": sum(block["missed"] for block in blocks),
        "quiet_minutes": _quiet_minutes(blocks),
        "fps": round(len(intervals_ms) / total_s, 2) if total_s else 0.0,
        "runs_a_s": round(sum(block["runs_a_s"] for block in blocks) / len(blocks), 1),
        "busy_percent": round(sum(block["busy_percent"] for block in blocks) / len(blocks), 1),
        "realtime": all(block.get("realtime", False) for block in blocks),
    }


def _quiet_minutes(blocks: Blocks) -> tuple[int, int]:
    """Minutes without a missed deadline, of how many; what is left of the last one counts as one."""
    each = round(60.0 / BLOCK_S)
    minutes = [blocks[i : i + each] for i in range(0, len(blocks), each)]
    return sum(1 for minute in minutes if not any(block["missed"] for block in minute)), len(minutes)


def _judge_headless(outcome: Outcome, ours: dict[str, Any]) -> None:
    off, (quiet, minutes) = ours["off_ms"], ours["quiet_minutes"]
    outcome.judge(
        "interval off 16.67 ms, p99.9", bar="<= 1 ms", measured=ms(off["p999"]), holds=at_most(off["p999"], 1.0)
    )
    measured = f"{quiet} of {minutes} ({ours['missed']} missed of {off['count'] + ours['missed']})"
    outcome.judge("minutes without a miss", bar="2 of 3", measured=measured, holds=3 * quiet >= 2 * minutes)
    shortest = ours["interval_ms"]["min"]
    holds = shortest is not None and shortest >= _PERIOD_MS / 2
    outcome.judge("shortest interval (no burst)", bar=">= 8.33 ms", measured=ms(shortest), holds=holds)


def _judge_screen(outcome: Outcome, ours: dict[str, Any]) -> None:
    interval = ours["interval_ms"]
    for name, percentile, bar_ms in (("p99", "p99", 17.5), ("p99.9", "p999", 21.0)):
        seen = interval[percentile]
        outcome.judge(f"interval, {name}", bar=f"<= {bar_ms} ms", measured=ms(seen), holds=at_most(seen, bar_ms))
    due = interval["count"] + ours["missed"]
    measured = f"{ours['missed']} of {due}"
    outcome.judge("missed", bar="<= 1 in 1000", measured=measured, holds=ours["missed"] * 1000 <= due)


def _compare(outcome: Outcome, ours: dict[str, Any], naive: dict[str, Any]) -> None:
    if not ours["realtime"]:
        outcome.tell("SCHED_FIFO", "refused on this machine; see `edge-runtime doctor`")
    outcome.tell("cores busy: ours, naive", f"{ours['busy_percent']:.0f} %, {naive['busy_percent']:.0f} %")
    outcome.tell(
        "frames/s: ours, naive", f"{ours['fps']:.1f}, {naive['fps']:.1f} ({_ratio(ours['fps'], naive['fps'])})"
    )
    runs = f"{ours['runs_a_s']:.1f}, {naive['runs_a_s']:.1f} ({_ratio(ours['runs_a_s'], naive['runs_a_s'])})"
    outcome.tell("model runs/s: ours, naive", runs)
    for name in ("p50", "p99", "p999", "max"):
        ours_ms, naive_ms = ours["interval_ms"][name], naive["interval_ms"][name]
        shown = name.replace("p999", "p99.9")
        outcome.tell(f"interval {shown}: ours, naive", f"{ms(ours_ms)}, {ms(naive_ms)} ({_ratio(naive_ms, ours_ms)})")
    counts = [f"{side['missed']} + {side['far_off']} of {side['off_ms']['count']}" for side in (ours, naive)]
    outcome.tell("missed + off by > 1 ms: ours, naive", ", ".join(counts))


def _ratio(more: float | None, less: float | None) -> str:
    return f"{more / less:.1f} x" if more and less else "no ratio"
