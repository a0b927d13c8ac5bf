"""A program that writes raw pictures to its stdout: ffmpeg, gst-launch, nvarguscamerasrc and the like."""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Sequence

import numpy as np

from edge_runtime.clock import now_s
from edge_runtime.errors import InputError
from edge_runtime.inputs.source import POLL_S, Frame

_PIPE_BYTES = 1 << 20  # the most that the kernel gives to a user; the default of 64 KB means ten wake-ups a frame
_END_S = 0.1
"""What a program gets to free its camera before it is killed."""


def _bound_to_us() -> list[str]:
    """The command under which the kernel kills a program when we die, even by SIGKILL.

    Not `preexec_fn`: this process has threads. Where util-linux is missing, the closed pipe ends the program.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _environment() -> dict[str, str]:
    """Ours without the secrets of the venue's broker, which are no camera program's business."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EDGE_RUNTIME_MQTT_")}


class PipeSource:
    """Raw BGR frames of `size_px` from a child process, which ends with the source, however that ends."""

    live = True

    def __init__(self, argv: Sequence[str], *, size_px: tuple[int, int]) -> None:
        """Start the program. Its arguments are not expanded: what is in them is seen by everybody in `ps`.

        Raises:
            InputError: it cannot be started.
        """
        self._shown = argv[0]
        if shutil.which(argv[0]) is None:
            raise InputError(f"pipe {self._shown}: there is no such program, or no right to run it")
        self._frame = bytearray(size_px[0] * size_px[1] * 3)
        self._picture = np.frombuffer(self._frame, np.uint8).reshape(size_px[1], size_px[0], 3)
        self._filled = 0
        self._descriptor, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [*_bound_to_us(), *argv],
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._descriptor)
            raise InputError(f"pipe {self._shown}: cannot be started: {error.strerror}") from error
        finally:
            os.close(theirs)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def read(self) -> Frame | None:
        """The next whole frame; None when it is not there within `POLL_S`.

        Raises:
            InputError: the program has ended.
        """
        deadline_s = now_s() + POLL_S
        view = memoryview(self._frame)
        while self._filled < len(view):
            if not select.select([self._descriptor], [], [], max(0.0, deadline_s - now_s()))[0]:
                return None
            count = os.readv(self._descriptor, [view[self._filled :]])
            if count == 0:
                raise InputError(f"pipe {self._shown}: the program ended{self._exit_code()}; run it by hand to see why")
            self._filled += count
        self._filled = 0
        return Frame(self._picture, now_s())

    def _exit_code(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f" with exit code {self._process.wait(_END_S)}"
        return ""

    def close(self) -> None:
        """End the program and its children, and reap it."""
        self._signal_group(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
