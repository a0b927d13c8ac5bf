"""One child process, seen from the supervisor: start, watch, kill, reap."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from edge_runtime.channel import Channel
from edge_runtime.watchdog import LeakRule, RestartBudget, Weight

State = Literal["starting", "up", "stale", "backoff", "failed", "stopped"]

START_PROMISE_S = 15.0
"""A part that has not beaten for the first time after this long hangs at start."""
KILL_GRACE_S = 1.0
"""A killed process that is still there after this long sits in a driver; its successor starts beside it."""
ASK_GRACE_S = 1.0
"""A part that was asked to stop and is still there after this long is killed."""
EXPENDABLE = 500
"""Out-of-memory score of every part but the show: where memory runs out, the kernel takes one that can come back."""


class Child:
    """One part's process and what is known of it. Used from the supervisor's one thread."""

    def __init__(self, name: str, leak_rule: LeakRule | None = None) -> None:
        self.name = name
        self.state: State = "stopped"
        self.budget = RestartBudget()
        self.weight = Weight(leak_rule or LeakRule())
        self.stats: dict[str, Any] = {}
        self.channel: Channel | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.start_at_s = 0.0
        """When it may start (again)."""
        self.asked_at_s: float | None = None
        self.killed_at_s: float | None = None
        self.ring = 1
        """Ring of the slots that it writes; flipped at every start, so the first is 0."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self.process.pid if self.process else None

    def start(self) -> socket.socket:
        """Start the process; returns the part's end of the channel, to close once the plan is sent.

        Raises:
            OSError: the machine has no room for another process.
        """
        self.state, self.asked_at_s, self.killed_at_s, self.ring = "starting", None, None, 1 - self.ring
        self.channel, theirs = Channel.pair()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # numpy's idle threads
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_runtime", "part", self.name, "--channel", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # the log's alone: what libraries say there is no JSON
                env=environment,
            )
            self.pidfd = os.pidfd_open(self.process.pid)
        except OSError:
            theirs.close()
            raise
        if self.name != "show":
            with contextlib.suppress(OSError):  # refused in some containers: then the kernel chooses as it likes
                Path(f"/proc/{self.process.pid}/oom_score_adj").write_text(str(EXPENDABLE), encoding="ascii")
        return theirs

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is there."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def ask(self, now_s: float) -> None:
        """SIGTERM, to be followed by `kill` after `ASK_GRACE_S`."""
        self.asked_at_s = self.asked_at_s or now_s
        self.signal(signal.SIGTERM)

    def kill(self, now_s: float) -> None:
        """SIGKILL: works on a stopped process too."""
        self.killed_at_s = self.killed_at_s or now_s
        self.signal(signal.SIGKILL)

    def reap(self) -> int | None:
        """The exit code when the process has ended (negative: a signal), else None. Never blocks, leaves no zombie."""
        return self.process.poll() if self.process else None

    def clear(self) -> subprocess.Popen[bytes] | None:
        """Forget the process and close what belonged to it; returns the process for a later reaping."""
        process, self.process = self.process, None
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        return process
