"""Row `throughput`: the real worker process against the same task in a bare loop, in alternating blocks."""

from pathlib import Path
from statistics import median

from edge_runtime.cli.bench import stages
from edge_runtime.cli.bench.bare import BareLoop
from edge_runtime.cli.bench.device import POLL_S, Device
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
    for _ in range(rounds):
        with Device(stages.plain(path)) as device:
            device.wait_up()
            pause_s(_SETTLE_S)
            worker_hz.append(_worker_rate_hz(device, name, seconds=block_s))
            device.finish()
        with BareLoop(config) as loop:
            bare_hz.append(loop.run(block_s).rate_hz)
    ratio = median(ours / bare for ours, bare in zip(worker_hz, bare_hz, strict=True))
    outcome.figures |= {"worker_hz": worker_hz, "bare_hz": bare_hz, "ratio": ratio}
    waits = median(worker_hz) > BAR * config.cameras[0].rate_hz
    measured = f"{100 * ratio:.1f} % ({median(worker_hz):.1f} of {median(bare_hz):.1f} runs/s)"
    outcome.judge("worker against bare loop", bar=f">= {100 * BAR:.0f} %", measured=measured, holds=ratio >= BAR)
    if waits:
        outcome.tell("beware", f"the camera's {config.cameras[0].rate_hz:g} Hz limit the worker, not its own cost")
    return outcome


def _worker_rate_hz(device: Device, model: str, *, seconds: float) -> float:
    """Runs a second between two reports of the worker, each caught as it comes in."""
    begin_s, begin_runs = _next_report(device, model)
    end_s, end_runs = begin_s, begin_runs
    while end_s - begin_s < seconds:
        end_s, end_runs = _next_report(device, model)
    return (end_runs - begin_runs) / (end_s - begin_s)


def _next_report(device: Device, model: str) -> tuple[float, int]:
    known = device.status()["models"][model]["runs"]
    while (runs := device.status()["models"][model]["runs"]) == known:
        pause_s(POLL_S)
    return now_s(), int(runs)
