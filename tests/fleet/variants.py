"""Releases that are bad in one way each: this program with a few lines changed, built and signed as any other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fixtures.device import REPOSITORY
from tests.fixtures.releases import Desk

IN_SERVICE = 'import os, signal, threading\nif "NOTIFY_SOCKET" in os.environ:\n    '
FAULTS: dict[str, tuple[str, str]] = {
    "good": ("", ""),
    "crashes at start": ("show.py", 'raise RuntimeError("a bad release")\n'),
    "never starts": ("show.py", "import signal\nsignal.pause()\n"),
    "crashes at start, on the air only": ("cli/run.py", IN_SERVICE + "os._exit(1)\n"),
    "never starts, on the air only": ("cli/run.py", IN_SERVICE + "signal.pause()\n"),
    "dies after five seconds": ("cli/run.py", IN_SERVICE + "threading.Timer(5, os._exit, [1]).start()\n"),
    "misses frames": (
        "display/headless.py",
        "import time\nHeadlessDisplay.pump = lambda self: time.sleep(0.03) or []\n",
    ),
}
"""Which module, and what is added at its end."""


def build_variant(desk: Desk, version: str, fault: str = "good") -> Path:
    """A signed release of this program with one fault."""
    module, lines = FAULTS[fault]
    source, out = desk.folder / f"source-{version}", desk.folder / f"runtime-{version}.tar"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "edge_runtime", source / "edge_runtime", ignore=ignore)
    shutil.copytree(REPOSITORY / "device_configs", source / "device_configs")
    if module:
        with (source / "edge_runtime" / module).open("a") as file:
            file.write("\n" + lines)
    command = [sys.executable, "-m", "edge_runtime", "release", "build", "runtime", "--version", version]
    subprocess.run(
        [*command, "--key", str(desk.key_file), "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(source)}, cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    return out
