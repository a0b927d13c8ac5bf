"""The glass: a private X server whose pixels are read from outside, without asking anybody.

`Xvfb -fbdir` keeps its screen in a file, which is mapped here and looked at a thousand times a second: when a number
or a colour is seen, it is truly on the screen.
"""

import mmap
import os
import select
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np

from edge_runtime.clock import Stopper, now_s, pause_s
from edge_runtime.errors import EdgeError
from edge_runtime.memory import die_with_parent
from edge_runtime.realtime import raise_priority, raise_x_server
from edge_runtime.slots import Array

SIZE_PX = (1280, 720)
START_S = 20.0
LOOK_EVERY_S = 0.001
WATCH_PRIORITY = 5
"""Below the show and its X server: what watches must not disturb."""
_HEADER = struct.Struct(">25I")
"""XWDFileHeader. Source: X11/XWDFile.h; Xvfb writes it big-endian on every machine."""
_VERSION, _COLOUR_BYTES = 7, 12

T = TypeVar("T")


def find_xvfb() -> str | None:
    """Where Xvfb is, if it is installed."""
    return shutil.which("Xvfb")


@contextmanager
def open_glass(size_px: tuple[int, int] = SIZE_PX) -> Iterator[Array]:
    """Run a screen that DISPLAY names meanwhile; its pixels, (H, W, 4) BGRX, for reading only.

    The server is real-time where that is allowed, as an installation has it.

    Raises:
        EdgeError: Xvfb does not start.
    """
    program = find_xvfb()
    if program is None:
        raise EdgeError("Xvfb is not installed; apt-get install xvfb")
    before = os.environ.get("DISPLAY")
    with tempfile.TemporaryDirectory(prefix="edge-runtime-glass-") as folder:
        process, number = _start(program, Path(folder), size_px)
        try:
            os.environ["DISPLAY"] = f":{number}"
            raise_x_server()
            yield _map(Path(folder) / "Xvfb_screen0")
        finally:
            process.terminate()
            process.wait()
            if before is None:
                del os.environ["DISPLAY"]
            else:
                os.environ["DISPLAY"] = before


def _start(program: str, folder: Path, size_px: tuple[int, int]) -> tuple[subprocess.Popen[bytes], str]:
    read_end, write_end = os.pipe()
    screen = ["-screen", "0", f"{size_px[0]}x{size_px[1]}x24", "-nolisten", "tcp", "-noreset", "-fbdir", str(folder)]
    with os.fdopen(read_end, "rb", buffering=0) as answer:
        try:
            process = subprocess.Popen(
                [program, "-displayfd", str(write_end), *screen],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[write_end],
                preexec_fn=die_with_parent,  # noqa: PLW1509 - prctl alone, and no lock is held while we start one
            )
        finally:
            os.close(write_end)
        ready, _, _ = select.select([answer], [], [], START_S)
        number = answer.readline().strip().decode() if ready else ""  # in two writes: it dies if we hang up between
    if not number:
        process.kill()
        process.wait()
        raise EdgeError(f"{program} gave no display number within {START_S:g} s")
    return process, number


def _map(path: Path) -> Array:
    """Pixels of the XWD file that is being drawn in: a view, not a copy. It comes after the display number."""
    deadline_s = now_s() + START_S
    while now_s() < deadline_s:
        if path.exists() and path.stat().st_size > _HEADER.size:
            with path.open("rb") as file:
                memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            words = _HEADER.unpack_from(memory)
            if words[1] == _VERSION:
                return _pixels(memory, words)
        pause_s(0.01)
    raise EdgeError(f"{path}: no XWD file of version {_VERSION} within {START_S:g} s")


def _pixels(memory: mmap.mmap, words: tuple[int, ...]) -> Array:
    header_bytes, width, height, bits, row_bytes, colours = (words[i] for i in (0, 4, 5, 11, 12, 19))
    if bits != 32:
        raise EdgeError(f"Xvfb gives {bits} bits a pixel; expected 32")
    rows = np.frombuffer(memory, np.uint8, height * row_bytes, header_bytes + colours * _COLOUR_BYTES)
    pixels: Array = rows.reshape(height, row_bytes // 4, 4)[:, :width]
    return pixels


class Watch(threading.Thread, Generic[T]):
    """Looks at the glass a thousand times a second and notes every change. Use as a context manager."""

    def __init__(self, pixels: Array, look: Callable[[Array], T]) -> None:
        """`look` says what is to be seen: anything that can be compared."""
        super().__init__(name="bench-watch", daemon=True)
        self._pixels, self._look = pixels, look
        self._over = Stopper()
        self.seen: list[tuple[float, T]] = []
        """When each new thing was first seen, and what it was."""
        self.blind_s = 0.0
        """The longest time between two looks: what a sighting may be late by."""

    def run(self) -> None:
        raise_priority(WATCH_PRIORITY)
        looked_s = now_s()
        while not self._over.requested:
            at_s = now_s()
            thing = self._look(self._pixels)
            self.blind_s, looked_s = max(self.blind_s, at_s - looked_s), at_s
            if not self.seen or self.seen[-1][1] != thing:
                self.seen.append((at_s, thing))
            pause_s(LOOK_EVERY_S)

    def since(self, moment_s: float) -> list[tuple[float, T]]:
        """What was first seen after that moment."""
        return [sighting for sighting in list(self.seen) if sighting[0] > moment_s]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
