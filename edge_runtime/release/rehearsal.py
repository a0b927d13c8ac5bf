"""A release shows what it can where nobody sees it: headless, beside the show that runs, at low priority, as its user.

What crashes at its start, never starts, or cannot show this box's config is found out here, and the screen never knew.
"""

import grp
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import ReleaseError, TrialFailed
from edge_runtime.release.policy import GateLimits

USER = "edge"
_NICE = 10
_BOUND_ONCE = {"at", "device_id", "version", "boot", "part", "event", "level"}


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: a runtime release, with the bundles and the config of this box."""

    launcher: Path
    config: Path
    models: Path | None

    def command(self, name: str, *arguments: str) -> list[str]:
        models = ["--models", str(self.models)] if self.models else []
        return [str(self.launcher), name, str(self.config), *models, *arguments]


def rehearse(cast: Cast, limits: GateLimits) -> float:
    """Check the config, then run for a while; after how many seconds the first picture came.

    Raises:
        ReleaseError: the release refuses this box's config.
        TrialFailed: it ends, shows nothing, or loses parts.
    """
    with tempfile.TemporaryDirectory(prefix="edge-runtime-rehearsal-") as name:
        folder = Path(name)
        account = _account()
        if account:
            shutil.chown(folder, account["user"], account["group"])
        environment = {**os.environ, "RUNTIME_DIRECTORY": name, "STATE_DIRECTORY": name, "HOME": name}
        environment.pop("NOTIFY_SOCKET", None)
        keywords: dict[str, Any] = {"env": environment, "cwd": folder, **account}
        checked = _run(cast.command("check"), limits.rehearse_within_s, keywords)
        if checked.returncode != 0:
            raise ReleaseError(f"refuses this box's config: {_last_line(checked.stdout, 'error:')}")
        stats = folder / "stats.json"
        arguments = ("--rehearsal", "--seconds", f"{limits.rehearse_s:g}", "--stats", str(stats), "--json")
        played = ["nice", "-n", str(_NICE), *cast.command("run", *arguments)]
        done = _run(played, limits.rehearse_within_s, keywords)
        if done.returncode != 0:
            raise TrialFailed(f"ends with exit code {done.returncode} in rehearsal: {_last_line(done.stdout)}")
        try:
            return _first_picture_s(json.loads(stats.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrialFailed(f"leaves no statistics in rehearsal: {error}") from error


def _first_picture_s(statistics: dict[str, Any]) -> float:
    if statistics["start"]["first_picture_s"] is None:
        raise TrialFailed("shows no picture in rehearsal")
    for name, part in statistics["parts"].items():
        if part["restarts"] or part["state"] == "failed":
            raise TrialFailed(f"{name} ended {part['restarts']} times in rehearsal")
    return float(statistics["start"]["first_picture_s"])


def _account() -> dict[str, Any]:
    """Whose processes these are: the show's user where we may choose, else ours."""
    if os.getuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return {}
    groups = [group.gr_gid for group in grp.getgrall() if USER in group.gr_mem]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}


def _run(command: list[str], within_s: float, keywords: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
    try:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True, **keywords,
        ) as process:  # fmt: skip
            try:
                told, _ = process.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                told, _ = process.communicate()
                raise TrialFailed(f"is not done after {within_s:g} s of rehearsal: {_last_line(told)}") from None
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            return subprocess.CompletedProcess(command, process.returncode, told)
    except OSError as error:
        raise TrialFailed(f"cannot be started: {error}") from error


def _last_line(told: str, mark: str = "") -> str:
    """The last thing a program said, in one line: an event of its log in words."""
    lines = [line.strip() for line in told.splitlines() if mark in line and line.strip()]
    if not lines:
        return "it says nothing"
    try:
        event = json.loads(lines[-1])
        words = [f"{key} {value}" for key, value in event.items() if key not in _BOUND_ONCE]
        return f"{event['part']}: {event['event']} {', '.join(words)}".strip()[:300]
    except (ValueError, TypeError, KeyError, AttributeError):
        return lines[-1][:300]
