"""Row `faults`: every part killed and frozen in turn, while the screen is watched from outside."""

import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import NamedTuple

from edge_runtime.cli.bench.bare import BareLoop
from edge_runtime.cli.bench.device import Device
from edge_runtime.cli.bench.glass import Watch, find_xvfb
from edge_runtime.cli.bench.latency import numbers_on_glass, stale_after_s
from edge_runtime.cli.bench.table import Outcome, at_most, ms, spread
from edge_runtime.clock import now_s, pause_s
from edge_runtime.config import DeviceConfig
from edge_runtime.slots import Array
from edge_runtime.watchdog import HEALTHY_S

PARTS = ("camera:main", "worker:main", "hub")
BACK_S = 2.0
FALLBACK_S = 0.1
AFTER_S = 1.5
"""How long after a part is back its fault still counts."""
_QUIET_S = HEALTHY_S + 0.5
"""Between faults: the parts' failures are forgotten, and the quiet is what faults are compared with."""
_BLACK = 40
_PACE_S = 0.2
"""The show answers for its missed frames once a second."""


class View(NamedTuple):
    """What is on the glass: enough to tell whether it changed and whether it is black."""

    fingerprint: int
    brightest: int


def view(pixels: Array) -> View:
    """Look at a grid of pixels all over the screen."""
    grid = pixels[::40, ::40, :3]
    return View(hash(grid.tobytes()), int(grid.max()))


@dataclass(frozen=True, slots=True)
class Fault:
    """What one fault did."""

    part: str
    how: str
    back_s: float
    """Until its successor was up."""
    still_s: float
    """The longest time that the glass did not change."""
    brightest: int
    """Of the darkest moment: a black picture has nothing above 0."""
    missed: int
    lasted_s: float
    missed_before: int
    """In the quiet before."""
    quiet_s: float


def measure_faults(config: DeviceConfig, *, rounds: int) -> Outcome:
    """Kill and freeze every part so many times, and the show once."""
    outcome = Outcome("faults")
    if find_xvfb() is None:
        outcome.skipped = "Xvfb is not installed, and the picture is to be watched"
        return outcome
    with BareLoop(config) as loop:
        cost_ms = loop.run(2.0).cost_ms
    with numbers_on_glass(cost_ms) as (device, pixels, _), Watch(pixels, view) as watch:
        hows = (signal.SIGKILL, signal.SIGSTOP)
        faults = [_commit(device, watch, part, how) for _ in range(rounds) for how in hows for part in PARTS]
        workers = _workers(device)
        picture_s = _kill_show(device, watch)
        same_workers = _workers(device) == workers
    stale_s = stale_after_s(cost_ms)
    outcome.figures |= {"faults": [asdict(fault) for fault in faults], "stale_after_s": stale_s}
    outcome.figures |= {"show_back_s": picture_s, "same_workers": same_workers}
    _judge(outcome, faults, stale_s)
    measured = f"{picture_s:.2f} s, workers {'the same' if same_workers else 'NOT the same'}"
    holds = picture_s <= BACK_S and same_workers
    outcome.judge("show killed: next picture", bar="<= 2 s, same workers", measured=measured, holds=holds)
    return outcome


def _commit(device: Device, watch: Watch[View], part: str, how: signal.Signals) -> Fault:
    quiet_s, missed_quiet = now_s(), _missed(device)
    pause_s(_QUIET_S)
    pid, missed_before, begin_s = device.ps()[part]["pid"], _missed(device), now_s()
    os.kill(pid, how)

    def back() -> bool:
        now = device.ps()[part]
        return now["pid"] not in {pid, None} and now["state"] == "up"

    back_s = device.wait_until(back, f"{part} is back") - begin_s
    pause_s(AFTER_S)
    missed_after, end_s = _missed(device), now_s()
    views = watch.since(begin_s)
    still_s = max(_gaps([begin_s, *(at_s for at_s, _ in views), end_s]))
    return Fault(
        part,
        how.name,
        round(back_s, 3),
        round(still_s, 3),
        min((seen.brightest for _, seen in views), default=0),
        missed_after - missed_before,
        round(end_s - begin_s, 3),
        missed_before - missed_quiet,
        round(begin_s - quiet_s, 3),
    )


def _gaps(moments_s: Iterable[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments_s)]


def _missed(device: Device) -> int:
    """Deadlines missed so far, as of a report that came after this call."""
    known = device.status()["frames"]["presented"]
    while (frames := device.status()["frames"])["presented"] == known:
        pause_s(_PACE_S)
    return int(frames["missed"])


def _workers(device: Device) -> dict[str, int]:
    return {name: part["pid"] for name, part in device.ps().items() if name.startswith("worker:")}


def _kill_show(device: Device, watch: Watch[View]) -> float:
    """Seconds from the show's death, which leaves a black screen, to the next picture."""
    killed_s = now_s()
    os.kill(device.ps()["show"]["pid"], signal.SIGKILL)

    def pictures() -> list[float]:
        views = watch.since(killed_s)
        black = next((i for i, (_, seen) in enumerate(views) if seen.brightest < _BLACK), len(views))
        return [at_s for at_s, seen in views[black:] if seen.brightest >= _BLACK]

    device.wait_until(lambda: bool(pictures()), "a picture after the show was killed")
    return round(pictures()[0] - killed_s, 3)


def _judge(outcome: Outcome, faults: list[Fault], stale_s: float) -> None:
    for how, word in (("SIGKILL", "killed"), ("SIGSTOP", "hung")):
        for part in PARTS:
            back = spread([fault.back_s for fault in faults if (fault.part, fault.how) == (part, how)])
            measured = f"{back['p50']:.2f} s, worst {back['max']:.2f} s of {back['count']}"
            outcome.judge(f"{part} {word}: back", bar="<= 2 s", measured=measured, holds=at_most(back["max"], BACK_S))
    missed, lasted_s = sum(fault.missed for fault in faults), sum(fault.lasted_s for fault in faults)
    before, quiet_s = sum(fault.missed_before for fault in faults), sum(fault.quiet_s for fault in faults)
    measured = f"{missed} in {lasted_s:.0f} s of faults, {before} in {quiet_s:.0f} s of quiet"
    holds = missed <= before * lasted_s / quiet_s
    outcome.judge("missed frames", bar="no more than without faults", measured=measured, holds=holds)
    late_s = max(fault.still_s for fault in faults) - stale_s
    measured = "before it" if late_s <= 0 else ms(1e3 * late_s)
    outcome.judge("fallback after staleness, worst", bar="<= 100 ms", measured=measured, holds=late_s <= FALLBACK_S)
    still = max(faults, key=lambda fault: fault.still_s)
    outcome.tell("picture stood still, longest", f"{still.still_s:.2f} s ({still.part}, {still.how})")
    dark = min(fault.brightest for fault in faults)
    outcome.judge("picture black", bar="never", measured=f"brightest pixel at least {dark}", holds=dark >= _BLACK)
