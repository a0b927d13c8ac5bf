"""Row `throughput`: the real worker process against the same task in a bare loop, in alternating blocks."""

from pathlib import Path
from statistics import median

from edge_runtime.cli.bench import stages
from edge_runtime.cli.bench.bare import BareLoop
from edge_runtime.cli.bench.device import POLL_S, Device, process_cpu_s
from edge_runtime.cli.bench.table import Outcome
from edge_runtime.clock import now_s, pause_s
from edge_runtime.config import DeviceConfig

BAR = 0.97
_SETTLE_S = 3.0


def measure_throughput(path: Path, config: DeviceConfig, *, rounds: int, block_s: float = 10.0) -> Outcome:
    """Runs a second of both. The camera must be faster than the model, or the worker waits for it."""
    outcome = Outcome("throughput")
    name = config.models[0].name
    worker_hz: list[float] = []
    bare_hz: list[float] = []
    worker_cost_ms: list[float] = []
    bare_cost_ms: list[float] = []
    for _ in range(rounds):
        with Device(stages.plain(path)) as device:
            device.wait_up()
            pause_s(_SETTLE_S)
            rate_hz, cost_ms = _worker_pace(device, name, f"worker:{config.models[0].worker}", seconds=block_s)
            device.finish()
        worker_hz.append(rate_hz)
        worker_cost_ms.append(cost_ms)
        with BareLoop(config) as loop:
            bare = loop.run(block_s)
        bare_hz.append(bare.rate_hz)
        bare_cost_ms.append(bare.cost_ms)
    ratio = median(ours / bare for ours, bare in zip(worker_hz, bare_hz, strict=True))
    outcome.figures |= {"worker_hz": worker_hz, "bare_hz": bare_hz, "ratio": ratio}
    outcome.figures |= {"worker_cost_ms": worker_cost_ms, "bare_cost_ms": bare_cost_ms}
    waits = median(worker_hz) > BAR * config.cameras[0].rate_hz
    measured = f"{100 * ratio:.1f} % ({median(worker_hz):.1f} of {median(bare_hz):.1f} runs/s)"
    outcome.judge("worker against bare loop", bar=f">= {100 * BAR:.0f} %", measured=measured, holds=ratio >= BAR)
    costs = f"{median(worker_cost_ms):.1f} ms, {median(bare_cost_ms):.1f} ms"
    outcome.tell("processor time a run: worker, bare", costs)
    if waits:
        outcome.tell("beware", f"the camera's {config.cameras[0].rate_hz:g} Hz limit the worker, not its own cost")
    return outcome


def _worker_pace(device: Device, model: str, part: str, *, seconds: float) -> tuple[float, float]:
    """Runs a second and processor time of one in ms, between two reports of the worker, each caught as it comes in."""
    pid = int(device.ps()[part]["pid"])
    begin_s, begin_runs = _next_report(device, model)
    begin_cpu_s = process_cpu_s(pid)
    end_s, end_runs = begin_s, begin_runs
    while end_s - begin_s < seconds:
        end_s, end_runs = _next_report(device, model)
    runs = end_runs - begin_runs
    return runs / (end_s - begin_s), 1e3 * (process_cpu_s(pid) - begin_cpu_s) / runs


def _next_report(device: Device, model: str) -> tuple[float, int]:
    known = device.status()["models"][model]["runs"]
    while (runs := device.status()["models"][model]["runs"]) == known:
        pause_s(POLL_S)
    return now_s(), int(runs)
