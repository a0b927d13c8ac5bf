"""What must hold whatever restarts: scene, blackout, brightness. One small JSON file in the state folder.

Written by the hub alone, read by the supervisor for the show's plan: standard library only.
"""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import NotRequired, TypedDict

from edge_runtime.logs import event

WRITE_EVERY_S = 1.0
"""A slider that is dragged for an hour must not wear out an SD card."""


class State(TypedDict):
    """The persisted state. Where a key is missing nobody said anything, and the config decides."""

    scene: NotRequired[str]
    blackout: bool
    brightness: NotRequired[float]
    """Percent."""
    revision: int
    """Of the newest `desired` that was obeyed; -1 before any."""
    session: int
    """Counts the starts of the hub, so that an old last will is told from a new one."""


def fresh_state() -> State:
    """The state of a box that nobody has told anything."""
    return State(blackout=False, revision=-1, session=0)


def load_state(path: Path) -> State:
    """Read the state; what is missing or makes no sense is as on a fresh box, and an event says so."""
    state = fresh_state()
    try:
        tree = json.loads(path.read_bytes())
    except FileNotFoundError:
        return state
    except (OSError, ValueError, RecursionError) as error:
        event("state_unreadable", "error", path=str(path), reason=str(error)[:200])
        return state
    if not isinstance(tree, dict):
        event("state_unreadable", "error", path=str(path), reason="not an object")
        return state
    scene, blackout, brightness = tree.get("scene"), tree.get("blackout"), tree.get("brightness")
    if isinstance(scene, str):
        state["scene"] = scene
    if isinstance(blackout, bool):
        state["blackout"] = blackout
    if isinstance(brightness, int | float) and not isinstance(brightness, bool) and math.isfinite(brightness):
        state["brightness"] = min(100.0, max(0.0, float(brightness)))
    if type(revision := tree.get("revision")) is int:
        state["revision"] = revision
    if type(session := tree.get("session")) is int:
        state["session"] = session
    return state


class StateFile:
    """The state and its file. Used from the hub's thread, but for `write`. Every write is whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: State | None = None
        self._next_write_s = -math.inf
        self._failing = False
        self.state = load_state(path)

    def due(self, now_s: float) -> bool:
        """True when something changed and may be written."""
        return self.state != self._written and now_s >= self._next_write_s

    def tend(self, now_s: float, *, at_once: bool = False) -> None:
        """Write what changed, at most once in `WRITE_EVERY_S`; a disk that refuses is told once and tried again."""
        if not self.due(math.inf if at_once else now_s):
            return
        copy = self.begin(now_s)
        try:
            self.write(copy)
        except OSError as error:
            self.end(copy, str(error))
        else:
            self.end(copy, None)

    def begin(self, now_s: float) -> State:
        """A copy of the state, to be handed to `write` and then to `end`."""
        self._next_write_s = now_s + WRITE_EVERY_S
        return self.state.copy()

    def write(self, copy: State) -> None:
        """Write the copy. From any thread, one at a time: a worn SD card takes seconds.

        Raises:
            OSError: it could not be written.
        """
        write_atomically(self._path, json.dumps(copy).encode())

    def end(self, copy: State, reason: str | None) -> None:
        """Take note of what became of the copy: why it was not written, or None."""
        if reason is None:
            self._written = copy
        elif not self._failing:
            event("state_not_written", "error", path=str(self._path), reason=reason)
        self._failing = reason is not None


def write_atomically(path: Path, content: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Replace a file so that a power cut leaves the old one or the new one; not `durable`: only a crash of ours does.

    Raises:
        OSError: it could not be written; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f".{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    if not durable:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
