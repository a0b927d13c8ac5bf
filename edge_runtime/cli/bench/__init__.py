"""`edge-runtime bench`: the budgets, measured on this machine with the product's own processes, beside a naive loop.

It measures and tells which bars hold; it does not judge the machine: the exit code is 0 unless something could not run.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from edge_runtime import __version__
from edge_runtime.cli.bench import faults, latency, pacing, soak, stages, start, table, throughput
from edge_runtime.cli.bench.table import Outcome
from edge_runtime.clock import now_s
from edge_runtime.errors import EdgeError
from edge_runtime.realtime import realtime_permitted

ROWS = ("pacing", "screen", "faults", "camera", "command", "throughput", "start", "soak")
ASKED_FOR = ("soak",)
"""Rows that take so long that they run only when they are named."""
SOAK_MINUTES = 60.0
COMMANDS_A_ROUND = 10


def run(arguments: argparse.Namespace) -> int:
    """Measure the rows asked for and print one table."""
    if unknown := [row for row in arguments.rows if row not in ROWS]:
        raise EdgeError(f"bench {unknown[0]}: no such row; known: {', '.join(ROWS)}")
    rows = [row for row in ROWS if row in (arguments.rows or set(ROWS) - set(ASKED_FOR))]
    measure = _measures(arguments)
    outcomes = []
    for row in rows:
        print(f"measuring {row} ...", file=sys.stderr, flush=True)
        begun_s = now_s()
        outcome = measure[row]()
        outcome.figures["took_s"] = round(now_s() - begun_s, 1)
        outcomes.append(outcome)
        if arguments.json:  # after every row, so that what was measured is kept when a later one cannot run
            _write(arguments.json, outcomes)
    print(table.render(outcomes))
    return 0


def _measures(arguments: argparse.Namespace) -> dict[str, Callable[[], Outcome]]:
    path, config = stages.open_config(arguments.config)
    rounds, minutes = arguments.rounds, arguments.minutes
    return {
        "pacing": lambda: pacing.measure_pacing(path, config, minutes=minutes or 1.0),
        "screen": lambda: pacing.measure_screen(path, config, minutes=minutes or 1.0),
        "faults": lambda: faults.measure_faults(config, rounds=rounds),
        "camera": lambda: latency.measure_camera(config, seconds=60.0 * (minutes or 0.5)),
        "command": lambda: latency.measure_command(times=COMMANDS_A_ROUND * rounds),
        "throughput": lambda: throughput.measure_throughput(path, config, rounds=rounds),
        "start": lambda: start.measure_start(path, rounds=rounds),
        "soak": lambda: soak.measure_soak(path, minutes=minutes or SOAK_MINUTES),
    }


def _write(path: Path, outcomes: list[Outcome]) -> None:
    permitted, why = realtime_permitted()
    machine = {
        "machine": platform.machine(),
        "cores": stages.cores(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1_min": os.getloadavg()[0],
        "realtime": permitted,
        "realtime_why": why,
    }
    tree = {
        "schema": 1,
        "version": __version__,
        "machine": machine,
        "rows": {outcome.row: outcome.as_json() for outcome in outcomes},
    }
    path.write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")
