"""The event log: one JSON line an event, on stdout of the supervisor; journald keeps them.

An event is a transition, never a state and never a frame. Parts send theirs over the channel, which drops rather
than waits; the supervisor writes on a thread of its own, so a terminal that stands still stops nothing. A budget
keeps a fault that repeats from filling the disk: what it holds back is counted in the next line of that event.
"""

import contextlib
import json
import os
import queue
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from edge_runtime import __version__
from edge_runtime.clock import now_s, wall_s

Level = Literal["info", "warning", "error"]
Event = dict[str, Any]

EVENTS_PER_MINUTE = 6
"""Lines a minute of one event of one part; the rest is counted."""


class Budget:
    """Lets a few of each event of each part through a minute. Pure."""

    def __init__(self, per_minute: int = EVENTS_PER_MINUTE) -> None:
        self._per_minute = per_minute
        self._recent: dict[tuple[str, str], list[float]] = {}
        self._held: dict[tuple[str, str], int] = {}

    def admit(self, part: str, name: str, now_s: float) -> int | None:
        """How many were held back before this one, or None when this one is held back too."""
        key = (part, name)
        recent = [at_s for at_s in self._recent.get(key, []) if now_s - at_s < 60.0]
        self._recent[key] = recent
        if len(recent) >= self._per_minute:
            self._held[key] = self._held.get(key, 0) + 1
            return None
        recent.append(now_s)
        return self._held.pop(key, 0)


def boot_id() -> str:
    """Tells the lines of one boot from those of the next: the first digits of the kernel's own id; empty without."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return ""


class LogWriter:
    """Writes event lines on its own thread; drops when the reader stands still. Used by the supervisor.

    It writes to the descriptor itself: a buffered stream would hold up the end of the program until it is flushed.
    """

    def __init__(self, descriptor: int = 1, *, device_id: str = "", human: bool = False) -> None:
        self._descriptor = descriptor
        self._human = human
        self.device_id = device_id
        self._boot = boot_id()
        self._budget = Budget()
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=1000)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def write(self, event: Event) -> None:
        """Queue one event; never blocks."""
        about = str(event.get("name", event.get("part", "")))  # the supervisor speaks of parts, and names them
        held = self._budget.admit(about, str(event.get("event", "")), now_s())
        if held is None:
            return
        line = self._line({**event, "held_back": held} if held else event)
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            return

    def _line(self, event: Event) -> str:
        if not self._human:
            stamp = {"at": round(wall_s(), 3), "device_id": self.device_id, "version": __version__, "boot": self._boot}
            return json.dumps({**stamp, **event}, ensure_ascii=False)
        fields = "  ".join(f"{key}={value}" for key, value in event.items() if key not in {"event", "level", "part"})
        mark = {"info": " ", "warning": "!", "error": "X"}.get(str(event.get("level")), " ")
        return f"{mark} {event.get('part', ''):<14} {event.get('event', '')}  {fields}".rstrip()

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            left = f"{line}\n".encode(errors="replace")
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # somebody shares the terminal and made it so
                    select.select([], [self._descriptor], [])
                except OSError:  # the reader went away; the show goes on
                    return

    def close(self) -> None:
        """Write what waits, for a second at most."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(1.0)


_sink: Callable[[Event], object] = lambda event: print(json.dumps(event), file=sys.stderr)  # noqa: E731, T201
_part = ""


def route_events(part: str, sink: Callable[[Event], object]) -> None:
    """Send this process's events to `sink`, named as coming from `part`. Called once at start."""
    global _sink, _part
    _sink, _part = sink, part


def event(name: str, level: Level = "info", /, **fields: object) -> None:
    """Log one event: a snake_case name and fields with units in their names.

    ERROR means something was lost, WARNING done but not as told, INFO rare and interesting.
    """
    _sink({"part": _part, "event": name, "level": level, **fields})
