"""The show on this box as systemd runs it: restarted, asked how it does. Nothing here where there is no systemd."""

import subprocess
from pathlib import Path
from typing import Any

from edge_runtime.clock import now_s, pause_s
from edge_runtime.control.local import request
from edge_runtime.errors import ChannelError, ReleaseError
from edge_runtime.release.health import Stretch

UNIT = "edge-runtime.service"
TRIAL_UNIT = "edge-runtime-trial@{track}.service"
CONTROL = Path("/run/edge-runtime/control")
_LOOK_EVERY_S = 0.5
_STATUS_WITHIN_S = 5.0


def is_active() -> bool:
    """Does systemd run a show here?"""
    return Path("/run/systemd/system").is_dir() and _systemctl("is-active", "-q", UNIT).returncode == 0


def restart(timeout_s: float) -> str | None:
    """Start the show anew; what went wrong, None once it presents pictures: the unit says so by READY=1.

    A show that does not come in time is killed, so that what follows does not wait for it.
    """
    _systemctl("reset-failed", UNIT)
    try:
        done = _systemctl("restart", UNIT, timeout_s=timeout_s)
    except subprocess.TimeoutExpired:
        _systemctl("kill", "--signal=KILL", UNIT)
        return f"presents no picture within {timeout_s:.1f} s"
    if done.returncode == 0:
        return None
    result = _systemctl("show", "-P", "Result", UNIT).stdout.strip()
    return f"ends before its first picture ({result})"


def watch(seconds: float) -> Stretch:
    """Two statistics objects of the show that runs, so many seconds apart.

    Raises:
        ReleaseError: it does not answer, or ends meanwhile.
    """
    first = last = _status()
    started_s, main_pid = now_s(), _main_pid()
    while (left_s := started_s + seconds - now_s()) > 0:
        pause_s(min(_LOOK_EVERY_S, left_s))
        if _main_pid() != main_pid:
            raise ReleaseError("ended while it was watched")
        last = _status()
    return Stretch(first, last)


def _main_pid() -> str:
    return _systemctl("show", "-P", "MainPID", UNIT).stdout.strip()


def _status() -> dict[str, Any]:
    try:
        status = request(CONTROL, "status", timeout_s=_STATUS_WITHIN_S)
    except ChannelError as error:
        raise ReleaseError(f"does not answer: {error}") from error
    if not isinstance(status, dict) or "frames" not in status:
        raise ReleaseError(f"answers {str(status)[:80]!r} when asked for its status")
    return status


def run_trial(track: str) -> None:
    """Have systemd run a trial, so that it ends well whatever becomes of us."""
    _systemctl("start", TRIAL_UNIT.format(track=track))


def _systemctl(*arguments: str, timeout_s: float = 300.0) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False, timeout=timeout_s)
