"""Memory that parts share: sealed memfds, a real memory barrier, and a bell.

The supervisor creates every region and passes it by file descriptor, so nothing has a name that could be left
behind. This room knows bytes only; `slots` and `signals` give them meaning.
"""

import contextlib
import ctypes
import fcntl
import mmap
import os
import platform
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYSCALLS = {"x86_64": {"membarrier": 324, "futex": 202}, "aarch64": {"membarrier": 283, "futex": 98}}
_NUMBERS = _SYSCALLS.get(platform.machine(), {})
_MEMBARRIER_GLOBAL_EXPEDITED = 1 << 1
_MEMBARRIER_REGISTER_GLOBAL_EXPEDITED = 1 << 2
_FUTEX_WAIT, _FUTEX_WAKE = 0, 1


def create_region(name: str, size_bytes: int) -> int:
    """A zeroed memfd whose size nobody can change; the caller owns the descriptor."""
    descriptor = os.memfd_create(f"edge-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size_bytes)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


def map_region(descriptor: int) -> mmap.mmap:
    """Map a region for reading and writing; it stays mapped when the descriptor is closed."""
    return mmap.mmap(descriptor, os.fstat(descriptor).st_size)


def _choose_barrier() -> Callable[[], None]:
    """The cheapest call that orders memory between processes on this machine.

    `membarrier(GLOBAL_EXPEDITED)` runs a full barrier on every core that runs a registered process, so readers
    need none of their own (the asymmetric scheme of liburcu). Source: membarrier(2), Linux 4.16 and newer.
    """
    number = _NUMBERS.get("membarrier")
    syscall = _LIBC.syscall
    if number is not None and syscall(number, _MEMBARRIER_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0:
        return lambda: syscall(number, _MEMBARRIER_GLOBAL_EXPEDITED, 0, 0)
    if platform.machine() == "x86_64":  # stores become visible in order there; crossing ctypes stops the compiler
        return lambda: None
    import threading

    lock = threading.Lock()

    def lock_cycle() -> None:  # an atomic exchange with acquire and release order is the best left to Python
        with lock:
            pass

    return lock_cycle


barrier = _choose_barrier()
"""Order every store before it against every store after it, for readers in other processes that use this room too."""


class Bell:
    """A word that says "something is new", and lets a process sleep until it changes.

    Publishing costs one system call, waiting costs none when something came in between: no polling, no queue.
    The count itself carries no meaning; what is new is found in the slots and on the board.
    """

    SIZE_BYTES = 64

    def __init__(self, region: mmap.mmap, offset: int = 0) -> None:
        self._word = ctypes.c_uint32.from_buffer(region, offset)
        self._address = ctypes.byref(self._word)
        self._futex = _NUMBERS.get("futex")

    def seen(self) -> int:
        """The count to hand to `wait`; read it before looking for news."""
        return self._word.value

    def ring(self) -> None:
        """Wake whoever waits. Lost increments of two writers at once are harmless: both change the word."""
        self._word.value = (self._word.value + 1) & 0xFFFFFFFF
        if self._futex is not None:
            _LIBC.syscall(self._futex, self._address, _FUTEX_WAKE, 0x7FFFFFFF, None, None, 0)

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return when the count is no longer `seen`, or after `timeout_s`."""
        if timeout_s <= 0:
            return
        timeout = (ctypes.c_long * 2)(int(timeout_s), int((timeout_s % 1.0) * 1e9))
        if self._futex is not None:
            _LIBC.syscall(self._futex, self._address, _FUTEX_WAIT, ctypes.c_uint32(seen), timeout, None, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (PR_SET_PDEATHSIG): no orphan survives a crash."""
    pr_set_pdeathsig, sigkill = 1, 9
    _LIBC.prctl(pr_set_pdeathsig, sigkill, 0, 0, 0)


def private_mb(pid: int) -> float:
    """Private (unshared) memory of a process in MB; 0 when it is gone. Source: /proc/PID/smaps_rollup."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024.0
    return 0.0
