"""The kernel's own count of screen refreshes: an outside witness for ours.

Source: DRM_IOCTL_WAIT_VBLANK, union drm_wait_vblank in <drm/drm.h>; a relative wait for 0 vblanks answers at once
with the count of the first pipe. Cards without a driver that counts (virtual ones, NVIDIA without modeset) refuse.
"""

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge_runtime.errors import DisplayError

_ASK = struct.Struct("IIL")  # type, sequence, signal
_ANSWER = struct.Struct("IIll")  # type, sequence, tval_sec, tval_usec
_READ_WRITE, _DRM = 3, ord("d")
WAIT_VBLANK = _READ_WRITE << 30 | _ANSWER.size << 16 | _DRM << 8 | 0x3A
_DROP_MASTER = _DRM << 8 | 0x1F
_RELATIVE = 0
_SLACK = 2
"""Refreshes by which two counts may differ that were not read at the same instant."""


class VblankCounter:
    """Reads one card's vblank count."""

    def __init__(self, card: Path) -> None:
        """Open `card`.

        Raises:
            DisplayError: it cannot be opened, or does not count.
        """
        try:
            self._descriptor = os.open(card, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise DisplayError(f"{card}: {error.strerror}; the user may have to join the group video") from error
        with contextlib.suppress(OSError):  # the first to open a card becomes its master and would lock out X
            fcntl.ioctl(self._descriptor, _DROP_MASTER)
        try:
            self._last = self._read()
        except OSError as error:
            os.close(self._descriptor)
            raise DisplayError(f"{card}: counts no vblanks: {error.strerror}") from error
        self._total = 0

    def _read(self) -> int:
        buffer = bytearray(_ANSWER.size)
        _ASK.pack_into(buffer, 0, _RELATIVE, 0, 0)
        fcntl.ioctl(self._descriptor, WAIT_VBLANK, buffer)
        return int(_ANSWER.unpack(buffer)[1])

    def vblanks(self) -> int | None:
        """Refreshes since this counter was opened; None when the card went away. Ask at least once a year: 32 bits."""
        try:
            now = self._read()
        except OSError:
            return None
        self._total += (now - self._last) & 0xFFFFFFFF
        self._last = now
        return self._total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def open_vblank_counter(folder: Path = Path("/dev/dri")) -> VblankCounter | None:
    """The first card that counts; None where there is none."""
    for card in sorted(folder.glob("card*")):
        with contextlib.suppress(DisplayError):
            return VblankCounter(card)
    return None


def compare(vblanks: int | None, *, presented: int, missed: int) -> dict[str, Any]:
    """Our count of one span against the kernel's, for the statistics.

    Verified where every due frame stood for the same whole number of refreshes: 1 at the screen's own rate, 2 at half.
    """
    due = presented + missed
    if vblanks is None:
        return {"verified": False, "reason": "no card on this machine lets us read its vblank count"}
    if not due or not vblanks:
        return {"verified": False, "reason": "nothing was counted", "vblanks": vblanks, "presents": presented}
    refreshes_each = max(1, round(vblanks / due))
    off = abs(vblanks - refreshes_each * due)
    verified = off <= max(_SLACK * refreshes_each, vblanks // 1000)
    report: dict[str, Any] = {"verified": verified, "vblanks": vblanks, "presents": presented}
    return report if verified else {**report, "reason": f"{off} of {vblanks} refreshes do not match a due frame"}
