"""`edge-runtime run`: check what can be checked, then hand over to the supervisor."""

import argparse
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_runtime.cli.check import examine, tell
from edge_runtime.cli.local import default_folder, own_shared_folder
from edge_runtime.config import DeviceConfig, bundle_folders, load
from edge_runtime.control.state import StateFile
from edge_runtime.errors import EdgeError
from edge_runtime.logs import LogWriter
from edge_runtime.supervisor import Options, Supervisor


def run(arguments: argparse.Namespace) -> int:
    """Run an installation until it is stopped, or for `--seconds`."""
    return run_device(with_options(load(arguments.config), arguments), arguments)


def with_options(config: DeviceConfig, arguments: argparse.Namespace) -> DeviceConfig:
    """The config with what the command line overrides.

    A rehearsal runs beside the show it may replace: it keeps off the screen, the broker and the cameras.
    """
    display: dict[str, Any] = {}
    if arguments.headless or arguments.rehearsal:
        display["kind"] = "headless"
    if arguments.windowed:
        display["windowed"] = True
    update: dict[str, Any] = {"display": config.display.model_copy(update=display)}
    if arguments.rehearsal:
        synthetic = {"source": "synthetic", "pipe": None}
        update |= {"mqtt": None, "cameras": [camera.model_copy(update=synthetic) for camera in config.cameras]}
    return config.model_copy(update=update)


def run_device(config: DeviceConfig, arguments: argparse.Namespace) -> int:
    """Supervise one device; writes the statistics at the end.

    By hand, what `check` refuses is not started. Under a service manager nobody is there to mend it, and a box whose
    bundle was damaged shows its fallback instead of a black screen.
    """
    folders = bundle_folders(folder.resolve() for folder in arguments.models)
    unattended = "NOTIFY_SOCKET" in os.environ
    if not tell(examine(config, folders), arguments.config) and not unattended:
        return 2
    options = Options(
        runtime_folder=_private_folder(default_folder("runtime", config.device_id)),
        state_folder=_private_folder(default_folder("state", config.device_id)),
        model_folders=folders,
        seconds=arguments.seconds,
        trace=arguments.trace.resolve() if arguments.trace else None,
    )
    with only_one(options.runtime_folder, config.device_id):
        if arguments.scene:
            remember_scene(arguments.scene, config, options.state_folder / "state.json")
        for path in (arguments.trace, arguments.stats):
            if path is not None and str(path) != "-":
                _begin_file(path)
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


def remember_scene(name: str, config: DeviceConfig, path: Path) -> None:
    """As if the scene had been asked for before the box was switched off.

    Raises:
        EdgeError: the config has no such scene, or the state cannot be written.
    """
    if config.scene(name) is None:
        known = ", ".join(scene.name for scene in config.scenes)
        raise EdgeError(f"--scene {name!r} is no scene of {config.device_id!r}; known: {known}")
    file = StateFile(path)
    file.state["scene"] = name
    try:
        file.write(file.state)
    except OSError as error:
        raise EdgeError(f"{path}: cannot be written: {error.strerror}") from error


def _begin_file(path: Path) -> None:
    """An empty file: what cannot be written is told now, and not after the run."""
    try:
        path.write_bytes(b"")
    except OSError as error:
        raise EdgeError(
            f"{path}: cannot be written: {error.strerror}; name a file in a folder that is there"
        ) from error


def _private_folder(folder: Path) -> Path:
    """The folder, made where it is not there. Below /tmp, where anybody may be first, no level is taken on trust."""
    own = own_shared_folder()
    try:
        for level in (*reversed(folder.parents), folder):
            if level.is_relative_to(own):
                _make_own(level)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        mine = folder.stat().st_uid == os.getuid()
    except OSError as error:
        raise EdgeError(f"{folder}: cannot be made: {error}; set RUNTIME_DIRECTORY and STATE_DIRECTORY") from error
    if not mine:
        raise EdgeError(
            f"{folder}: belongs to another user; set RUNTIME_DIRECTORY and STATE_DIRECTORY to folders of your own"
        )
    return folder


def _make_own(level: Path) -> None:
    """One folder that nobody else can have prepared for us, and nobody else can look into from now on."""
    with suppress(FileExistsError):
        level.mkdir(mode=0o700)
    status = level.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise EdgeError(f"{level}: is no folder of this user alone; remove it, or set RUNTIME_DIRECTORY to another")
    level.chmod(0o700)


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
