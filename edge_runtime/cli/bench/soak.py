"""Row `soak`: whether memory, descriptors, threads and the log stay as they are for hours."""

from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.cli.bench import stages
from edge_runtime.cli.bench.device import Device
from edge_runtime.cli.bench.table import Outcome
from edge_runtime.clock import now_s, pause_s
from edge_runtime.memory import private_mb

EVERY_S = 10.0
WARM_UP_S = 20 * 60.0
GROWTH_MB_H = 1.0
LINES_A_MINUTE = 10.0

Samples = list[dict[str, float]]


def measure_soak(path: Path, *, minutes: float) -> Outcome:
    """Run for so long and sample every part; the first 20 minutes, or two thirds of a shorter run, are warm-up."""
    outcome = Outcome("soak")
    every_s = min(EVERY_S, minutes * 60.0 / 30)
    with Device(stages.plain(path)) as device:
        device.wait_up()
        begin_s = now_s()
        warm_s = begin_s + min(WARM_UP_S, minutes * 40.0)
        pids = {name: int(part["pid"]) for name, part in device.ps().items()} | {"supervisor": device.pid}
        samples: dict[str, Samples] = {name: [] for name in pids}
        while now_s() < begin_s + minutes * 60.0:
            for name, pid in pids.items():
                samples[name].append({"at_s": now_s(), **_sample(pid)})
            pause_s(every_s)
        lines = sum(1 for at_s, _ in device.events if at_s > warm_s)
        lines_a_minute = lines / ((now_s() - warm_s) / 60.0)
        restarts = sum(part["restarts"] for part in device.ps().values())
        device.finish()
    grown = {name: _growth([x for x in samples[name] if x["at_s"] > warm_s]) for name in samples}
    outcome.figures |= {"parts": grown, "samples": samples, "restarts": restarts, "log_lines_a_minute": lines_a_minute}
    _judge(outcome, grown, restarts=restarts, lines_a_minute=lines_a_minute)
    return outcome


def _sample(pid: int) -> dict[str, float]:
    """Private memory, descriptors and threads of one process; zeros when it is gone."""
    process = Path(f"/proc/{pid}")
    try:
        counts = {
            "descriptors": len(list((process / "fd").iterdir())),
            "threads": len(list((process / "task").iterdir())),
        }
    except OSError:
        counts = {"descriptors": 0, "threads": 0}
    return {"private_mb": private_mb(pid), **counts}


def _growth(samples: Samples) -> dict[str, Any]:
    """Slope of the memory by least squares, and how counts changed from first to last."""
    hours = np.array([sample["at_s"] for sample in samples]) / 3600.0
    memory = np.array([sample["private_mb"] for sample in samples])
    slope = float(np.polyfit(hours - hours[0], memory, 1)[0])
    first, last = samples[0], samples[-1]
    counts = {name: last[name] - first[name] for name in ("descriptors", "threads")}
    return {"mb_h": round(slope, 3), "private_mb": round(last["private_mb"], 1), **counts}


def _judge(outcome: Outcome, grown: dict[str, dict[str, Any]], *, restarts: int, lines_a_minute: float) -> None:
    for name, part in grown.items():
        measured = f"{part['mb_h']:+.2f} MB/h (at {part['private_mb']:.1f} MB)"
        outcome.judge(f"memory of {name}", bar="< 1 MB/h", measured=measured, holds=part["mb_h"] < GROWTH_MB_H)
    more = {name: (part["descriptors"], part["threads"]) for name, part in grown.items()}
    leaking = [
        f"{name} {fds:+.0f} fds {threads:+.0f} threads"
        for name, (fds, threads) in more.items()
        if max(fds, threads) > 0
    ]
    outcome.judge("descriptors, threads", bar="no growth", measured=", ".join(leaking) or "none", holds=not leaking)
    outcome.judge("restarts", bar="0", measured=str(restarts), holds=restarts == 0)
    holds = lines_a_minute <= LINES_A_MINUTE
    outcome.judge("log lines a minute", bar="<= 10", measured=f"{lines_a_minute:.1f}", holds=holds)
