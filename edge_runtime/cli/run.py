"""`edge-runtime run`: check what can be checked, then hand over to the supervisor."""

import argparse
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_runtime.cli.check import examine, tell
from edge_runtime.cli.local import default_folder
from edge_runtime.config import DeviceConfig, bundle_folders, load
from edge_runtime.errors import EdgeError
from edge_runtime.logs import LogWriter
from edge_runtime.supervisor import Options, Supervisor


def run(arguments: argparse.Namespace) -> int:
    """Run an installation until it is stopped, or for `--seconds`."""
    return run_device(with_options(load(arguments.config), arguments), arguments)


def with_options(config: DeviceConfig, arguments: argparse.Namespace) -> DeviceConfig:
    """The config with what the command line overrides."""
    display: dict[str, Any] = {}
    if arguments.headless:
        display["kind"] = "headless"
    if arguments.windowed:
        display["windowed"] = True
    return config.model_copy(update={"display": config.display.model_copy(update=display)})


def run_device(config: DeviceConfig, arguments: argparse.Namespace) -> int:
    """Supervise one device; writes the statistics at the end.

    By hand, what `check` refuses is not started. Under a service manager nobody is there to mend it, and a box whose
    bundle was damaged shows its fallback instead of a black screen.
    """
    folders = bundle_folders(folder.resolve() for folder in arguments.models)
    unattended = "NOTIFY_SOCKET" in os.environ
    if not tell(examine(config, folders), arguments.config) and not unattended:
        return 2
    for path in (arguments.trace, arguments.stats):
        if path is not None and str(path) != "-":
            _begin_file(path)
    options = Options(
        runtime_folder=_private_folder(default_folder("runtime", config.device_id)),
        state_folder=_private_folder(default_folder("state", config.device_id)),
        model_folders=folders,
        seconds=arguments.seconds,
        trace=arguments.trace.resolve() if arguments.trace else None,
    )
    with only_one(options.runtime_folder, config.device_id):
        log = LogWriter(human=os.isatty(1) and not arguments.json)
        try:
            supervisor = Supervisor(config, options, log)
            statistics = supervisor.run()
        finally:
            log.close()
    if arguments.stats:
        text = json.dumps(statistics, indent=2)
        if str(arguments.stats) == "-":
            print(text)
        else:
            arguments.stats.write_text(text + "\n", encoding="utf-8")
    return supervisor.exit_code


def _begin_file(path: Path) -> None:
    """An empty file: what cannot be written is told now, and not after the run."""
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise EdgeError(
            f"{path}: cannot be written: {error.strerror}; name a file in a folder that is there"
        ) from error


def _private_folder(folder: Path) -> Path:
    """The folder, made for this user alone where it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid != os.getuid():
            raise EdgeError(
                f"{folder}: belongs to another user; set RUNTIME_DIRECTORY and STATE_DIRECTORY to folders of your own"
            )
    except OSError as error:
        raise EdgeError(f"{folder}: cannot be made: {error}; set RUNTIME_DIRECTORY and STATE_DIRECTORY") from error
    return folder


@contextmanager
def only_one(folder: Path, device_id: str) -> Iterator[None]:
    """Hold the device's lock: two shows of one device would fight for its screen and topics."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise EdgeError(
                f"device {device_id!r} runs already on this box (`edge-runtime ps`); stop it first"
            ) from error
        yield
