"""How warm an NVIDIA card is and how much of its memory is left.

Asked by a process of its own: where the driver hangs, or the card has fallen off the bus, only that process waits.
"""

import os
import subprocess
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from edge_runtime.memory import die_with_parent

EVERY_S = 2
BELIEVED_S = 10.0
"""After so long without a word the last one says nothing."""


class GpuVitals(NamedTuple):
    """Of the first card; None for what it does not tell. A Jetson's memory is that of the CPU."""

    temperature_c: float | None = None
    memory_free_mb: float | None = None


class GpuProbe:
    """Reads what `nvidia-smi` prints. Never waits for it; used from one thread. Source: nvidia-smi(1)."""

    def __init__(self, program: str = "nvidia-smi") -> None:
        query = ["--id=0", "--query-gpu=temperature.gpu,memory.free", "--format=csv,noheader,nounits"]
        self._process: subprocess.Popen[bytes] | None = None
        self._text, self._told, self._told_s = b"", GpuVitals(), 0.0
        with suppress(OSError):  # no driver, no card
            self._process = subprocess.Popen(
                [program, *query, f"--loop={EVERY_S}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - before any thread starts
            )
        if self._process is not None and self._process.stdout is not None:
            self._descriptor = self._process.stdout.fileno()
            os.set_blocking(self._descriptor, False)

    def read(self, now_s: float) -> GpuVitals:
        """What was told last, unless that is long ago."""
        if self._process is None:
            return GpuVitals()
        with suppress(BlockingIOError):
            while piece := os.read(self._descriptor, 4096):
                self._text += piece
        *lines, self._text = self._text.split(b"\n")
        if lines:
            self._told, self._told_s = _parse(lines[-1].decode(errors="replace")), now_s
        return self._told if now_s - self._told_s < BELIEVED_S else GpuVitals()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # asleep in the driver: it ends when that lets go
                self._process.wait(1.0)
            if self._process.stdout is not None:
                self._process.stdout.close()


def _parse(line: str) -> GpuVitals:
    values = [_number(field) for field in line.split(",")]
    return GpuVitals(*values) if len(values) == len(GpuVitals._fields) else GpuVitals()


def _number(field: str) -> float | None:
    with suppress(ValueError):  # [N/A]
        return float(field)
    return None
