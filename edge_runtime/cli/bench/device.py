"""The product as a user starts it: real processes, a config file, folders of its own. It is asked from outside."""

import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from edge_runtime.clock import now_s, pause_s
from edge_runtime.control.client import Ack, send
from edge_runtime.control.local import request
from edge_runtime.errors import ChannelError, EdgeError
from edge_runtime.memory import die_with_parent

START_S = 30.0
STOP_S = 10.0
POLL_S = 0.01


class Device:
    """One `edge-runtime run` from `with` to the end of it. Used from one thread."""

    def __init__(
        self, config: str, *, headless: bool = True, seconds: float | None = None, models: Sequence[Path] = ()
    ) -> None:
        """Write the config and prepare the command.

        Args:
            config: the text of a device config; what it includes is named by absolute paths.
            headless: open no window; else DISPLAY names the screen.
            seconds: end by itself after so many seconds of picture.
            models: folders of bundles, looked in first.
        """
        self._temporary = tempfile.TemporaryDirectory(prefix="edge-runtime-bench-")
        self.folder = Path(self._temporary.name)
        self._config = self.folder / "device.toml"
        self._config.write_text(config, encoding="utf-8")
        self._options = ["--headless"] * headless + ([f"--seconds={seconds}"] if seconds else [])
        self._options += [f"--models={folder}" for folder in models]
        self.events: list[tuple[float, dict[str, Any]]] = []
        """Log lines with the moment each was read, oldest first."""

    def __enter__(self) -> Self:
        outputs = [f"--stats={self.folder / 'stats.json'}", f"--trace={self.folder / 'trace.csv'}", "--json"]
        folders = {"RUNTIME_DIRECTORY": str(self.folder), "STATE_DIRECTORY": str(self.folder)}
        self._errors = (self.folder / "stderr").open("wb")
        self.started_s = now_s()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge_runtime", "run", str(self._config), *self._options, *outputs],
            env={**os.environ, **folders},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - prctl alone, and no lock is held while we start one
        )
        self._reader = threading.Thread(target=self._read_events, name="bench-events", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join()
        self._errors.close()
        self._temporary.cleanup()

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                at_s = now_s()
                self.events.append((at_s, json.loads(line)))

    # -- asking --------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        return self._process.pid

    @property
    def control(self) -> Path:
        """Its local control socket."""
        return self.folder / "control"

    def ps(self) -> dict[str, dict[str, Any]]:
        """Every part with state, pid and restarts."""
        parts: dict[str, dict[str, Any]] = request(self.control, "ps")
        return parts

    def status(self) -> dict[str, Any]:
        """The statistics object of this moment; parts report once a second."""
        status: dict[str, Any] = request(self.control, "status")
        return status

    def command(self, name: str, **arguments: object) -> Ack:
        """Send one command and wait for its answer.

        Raises:
            EdgeError: it was refused.
        """
        (ack,) = send("local", name, arguments, control_socket=self.control)
        if not ack.ok:
            raise EdgeError(f"bench: {name} {arguments} was refused: {ack.reason}")
        return ack

    # -- waiting -------------------------------------------------------------------------------------------------

    def wait_until(self, true: Callable[[], bool], what: str, *, within_s: float = START_S) -> float:
        """Wait for something to become true; when that was seen. A socket that is not there yet is not true.

        Raises:
            EdgeError: the product ended or it did not happen in time; says what was on its stderr.
        """
        deadline_s = now_s() + within_s
        while now_s() < deadline_s and self._process.poll() is None:
            try:
                if true():
                    return now_s()
            except ChannelError:
                pass
            pause_s(POLL_S)
        raise EdgeError(f"bench: not within {within_s:g} s: {what}; {self._last_words()}")

    def wait_event(self, name: str, *, within_s: float = START_S) -> float:
        """When the first log line of that event was read."""
        self.wait_until(lambda: self._event_s(name) is not None, name, within_s=within_s)
        at_s = self._event_s(name)
        assert at_s is not None
        return at_s

    def _event_s(self, name: str) -> float | None:
        return next((at_s for at_s, event in list(self.events) if event.get("event") == name), None)

    def wait_up(self) -> None:
        """Wait until every part does its work."""
        self.wait_until(lambda: all(part["state"] == "up" for part in self.ps().values()), "every part is up")

    # -- the end -------------------------------------------------------------------------------------------------

    def finish(self, *, within_s: float = STOP_S) -> dict[str, Any]:
        """Stop it, unless it stops by itself within that time; the final statistics.

        Raises:
            EdgeError: it ended badly.
        """
        if not any(option.startswith("--seconds") for option in self._options):
            self._process.terminate()
        try:
            code = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise EdgeError(f"bench: it did not end within {within_s:g} s; {self._last_words()}") from None
        if code != 0:
            raise EdgeError(f"bench: it ended with exit code {code}; {self._last_words()}")
        statistics: dict[str, Any] = json.loads((self.folder / "stats.json").read_text(encoding="utf-8"))
        return statistics

    def trace(self) -> list[dict[str, float]]:
        """One row a frame."""
        with (self.folder / "trace.csv").open(newline="", encoding="utf-8") as lines:
            return [{k: math.nan if v == "NA" else float(v) for k, v in row.items()} for row in csv.DictReader(lines)]

    def _last_words(self) -> str:
        lines = (self.folder / "stderr").read_text(errors="replace").splitlines()
        faults = [str(event) for _, event in self.events if event.get("level") == "error"]
        return " | ".join([*lines, *faults][-3:]) or "it said nothing"


class BusyMeter:
    """How busy this machine's cores were, all of them together, since it was made."""

    def __init__(self) -> None:
        self._busy, self._total = self._read()

    @staticmethod
    def _read() -> tuple[int, int]:
        with Path("/proc/stat").open(encoding="ascii") as lines:
            ticks = [int(word) for word in lines.readline().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)

    def percent(self) -> float:
        """Share of processor time that was used. Source: proc(5), the line cpu: idle and iowait are the rest."""
        busy, total = self._read()
        return round(100.0 * (busy - self._busy) / max(1, total - self._total), 1)


def process_cpu_s(pid: int) -> float:
    """Processor time that a process has used, all its threads. Source: proc(5), utime and stime of stat."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
