"""Real-time scheduling: for the show, for the X server it waits for, and for a doctor that explains a refusal.

SCHED_FIFO is what keeps 60 Hz on a busy box (p99.9 of 16.9 ms instead of 26.4). Refused, the runtime goes on without.
"""

import contextlib
import os
import re
import resource
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

SHOW_PRIORITY = 10
X_SERVER_PRIORITY = SHOW_PRIORITY + 1
"""Flips wait for the X server, so it goes first."""

_CAP_SYS_NICE = 23
REMEDY = "in the unit: LimitRTPRIO=20; for a user: '@video - rtprio 20' in /etc/security/limits.d/edge-runtime.conf"
_POLICIES = {
    os.SCHED_OTHER: "other",
    os.SCHED_FIFO: "fifo",
    os.SCHED_RR: "rr",
    os.SCHED_BATCH: "batch",
    os.SCHED_IDLE: "idle",
}


def raise_priority(priority: int = SHOW_PRIORITY) -> bool:
    """Make the calling thread SCHED_FIFO; children start normal again. False where that is refused."""
    return _set_fifo(0, priority)


def _set_fifo(pid: int, priority: int) -> bool:
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
    except OSError:
        return False
    return True


def is_realtime(pid: int = 0) -> bool:
    """True where the thread `pid` (0: the calling one) runs by a real-time policy."""
    return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK in {os.SCHED_FIFO, os.SCHED_RR}


def realtime_permitted(priority: int = SHOW_PRIORITY) -> tuple[bool, str]:
    """Whether SCHED_FIFO would be granted, and why or what to do. Tries it, in a thread that ends at once."""
    granted: list[bool] = []
    trial = threading.Thread(target=lambda: granted.append(raise_priority(priority)), name="realtime-trial")
    trial.start()
    trial.join()
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    capable = _has_cap_sys_nice()
    if granted == [True]:
        return True, "CAP_SYS_NICE" if capable else f"RLIMIT_RTPRIO is {limit}"
    if capable or not 0 <= limit < priority:
        return False, "permitted to this user, refused by the kernel: its control group has no real-time share"
    return False, f"RLIMIT_RTPRIO is {limit}, {priority} is needed"


def _has_cap_sys_nice() -> bool:
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective.group(1), 16) >> _CAP_SYS_NICE & 1)


@dataclass(frozen=True, slots=True)
class XServer:
    """The X server that DISPLAY names."""

    pid: int
    name: str
    """Xorg, Xvfb, Xwayland; the compositor where that listens for it."""
    policy: str
    """other, fifo, rr, batch or idle."""
    priority: int
    """0 unless real-time."""


def x_server() -> XServer | None:
    """The local X server in use and how it is scheduled; None without one, or where it runs in another namespace."""
    number = re.fullmatch(r"(?:unix/?)?:(\d+)(?:\.\d+)?", os.environ.get("DISPLAY", ""))
    pid = _listener(f"/tmp/.X11-unix/X{number.group(1)}") if number else 0  # noqa: S108 - X's own place for it
    if pid <= 0:
        return None
    with contextlib.suppress(OSError):
        policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        return XServer(pid, name, _POLICIES.get(policy, str(policy)), os.sched_getparam(pid).sched_priority)
    return None


def _listener(path: str) -> int:
    """The process behind a Unix socket, abstract or in the file system; 0 where nobody listens. Source: unix(7)."""
    for address in (f"\0{path}", path):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(address)
            size_bytes = struct.calcsize("3i")
            pid: int = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size_bytes))[0]
            return pid
    return 0


def raise_x_server(priority: int = X_SERVER_PRIORITY) -> bool:
    """Make the local X server SCHED_FIFO too. False where there is none or it is refused; its unit can do it then."""
    server = x_server()
    return server is not None and _set_fifo(server.pid, priority)
