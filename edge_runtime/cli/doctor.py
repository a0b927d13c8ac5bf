"""`edge-runtime doctor`: is this machine fit to run a show, and if not, what would mend it?"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from edge_runtime.cli import examine
from edge_runtime.cli.check import examine as check_all
from edge_runtime.cli.examine import Answer, Level
from edge_runtime.cli.local import default_folder
from edge_runtime.config import DeviceConfig, bundle_folders, load
from edge_runtime.realtime import REMEDY, realtime_permitted, x_server

_MARKS = {"ok": "ok  ", "warning": "warn", "error": "FAIL"}


def run(arguments: argparse.Namespace) -> int:
    """Print one line a question, with the remedy; exit code 1 when the show could not run."""
    config = load(arguments.config) if arguments.config else None
    answers = list(_examine(config))
    if arguments.json:
        print(json.dumps([dataclasses.asdict(answer) for answer in answers], indent=2, ensure_ascii=False))
    else:
        for answer in answers:
            print(f"{_MARKS[answer.level]}  {answer.name:<10} {answer.text}")
            if answer.remedy:
                print(f"      {'':<10} → {answer.remedy}")
    return 1 if any(answer.level == "error" for answer in answers) else 0


def _examine(config: DeviceConfig | None) -> Iterable[Answer]:
    yield _python()
    yield _onnxruntime()
    yield examine.gpu()
    yield _screen(config)
    yield _realtime()
    yield _x_server()
    yield examine.vblank()
    yield from examine.cameras(config)
    yield examine.broker(config)
    yield examine.clock()
    yield _memory()
    if config is not None:
        yield from _config(config)


def _python() -> Answer:
    version = ".".join(map(str, sys.version_info[:3]))
    return Answer("ok", "python", f"{version}, edge-runtime {metadata.version('edge-runtime')}")


def _onnxruntime() -> Answer:
    """One distribution of onnxruntime: two share a folder, and the one installed last has overwritten the other."""
    found = [name for name in ("onnxruntime", "onnxruntime-gpu") if _installed(name)]
    remedy = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --no-cache-dir 'edge-runtime[cpu]' (or [gpu])"
    if not found:
        return Answer(
            "error", "onnx", "onnxruntime is not installed: no model can run", "pip install 'edge-runtime[cpu]'"
        )
    if len(found) > 1:
        return Answer(
            "error", "onnx", "onnxruntime and onnxruntime-gpu are both installed and overwrite each other", remedy
        )
    return Answer("ok", "onnx", f"{found[0]} {metadata.version(found[0])}")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _screen(config: DeviceConfig | None) -> Answer:
    if config is not None and config.display.kind == "headless":
        preview = default_folder("runtime", config.device_id) / "preview.png"
        return Answer("ok", "screen", f"none wanted: headless; the picture is in {preview} while it runs")
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if display:
        return Answer("ok", "screen", f"{display} ({examine.outputs() or 'no connector is told by the kernel'})")
    level: Level = "error" if config is not None and config.display.kind == "surface" else "warning"
    remedy = "start it under X or Wayland (DISPLAY, WAYLAND_DISPLAY), or look at the PNG preview of a headless run"
    return Answer(
        level, "screen", "none: neither DISPLAY nor WAYLAND_DISPLAY is set; the picture would be headless", remedy
    )


def _realtime() -> Answer:
    permitted, reason = realtime_permitted()
    if permitted:
        return Answer("ok", "realtime", f"SCHED_FIFO is granted: {reason}")
    return Answer(
        "warning",
        "realtime",
        f"SCHED_FIFO is refused, frames may come late under load: {reason}",
        REMEDY,
    )


def _x_server() -> Answer:
    server = x_server()
    if server is None:
        return Answer("ok", "x server", "none in use on this machine")
    if server.policy in {"fifo", "rr"}:
        return Answer("ok", "x server", f"{server.name} runs at real-time priority {server.priority}")
    remedy = f"in its unit: CPUSchedulingPolicy=fifo, CPUSchedulingPriority=11; once: chrt -f -p 11 {server.pid}"
    return Answer(
        "warning", "x server", f"{server.name} runs at normal priority: a flip waits for it under load", remedy
    )


def _memory() -> Answer:
    free_mb = examine.memory_available_mb()
    disk_mb = shutil.disk_usage(Path.home() if Path.home().exists() else "/").free / 2**20
    text = f"{free_mb:.0f} MB of memory and {disk_mb:.0f} MB of disk are free"
    if free_mb < examine.LITTLE_MEMORY_MB:
        return Answer("warning", "memory", text, "close other programs, or take a smaller model size in the config")
    return Answer("ok", "memory", text)


def _config(config: DeviceConfig) -> Iterable[Answer]:
    findings = check_all(config, bundle_folders())
    for finding in findings:
        yield Answer("error" if finding.level == "error" else "warning", "config", finding.text)
    if not findings:
        yield Answer("ok", "config", f"{config.device_id}: right, and its bundles are whole")
