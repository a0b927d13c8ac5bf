"""Finding the devices that run on this box and asking them."""

import os
from pathlib import Path
from typing import Any, Literal

from edge_runtime.control.local import LocalConnection
from edge_runtime.errors import EdgeError

SERVICE = Path("/run/edge-runtime")
"""RuntimeDirectory= of the unit: of one device, or one folder for each."""
SHARED = Path("/tmp")  # noqa: S108 - every level below it is made 0700 and looked at


def control_path(device: str | None) -> Path:
    """The control socket of `device`, or of the only device on this box.

    Raises:
        EdgeError: none runs, or several do and none was named.
    """
    if device is not None:
        own = default_folder("runtime", device) / "control"
        places = (own, SERVICE / device / "control", SERVICE / "control")
        return next((place for place in places if place.exists()), own)
    found = sorted(default_folder("runtime", "x").parent.glob("*/control"))
    found += [path for path in sorted((*SERVICE.glob("control"), *SERVICE.glob("*/control"))) if path not in found]
    if len(found) == 1:
        return found[0]
    if not found:
        raise EdgeError("no device runs on this box for this user; start one with `edge-runtime run CONFIG`")
    raise EdgeError(f"several devices run here: {', '.join(path.parent.name for path in found)}; choose with --device")


def ask(device: str | None, kind: str, **fields: str) -> Any:
    """One question to a device on this box, and its answer."""
    with LocalConnection(control_path(device)) as connection:
        return connection.request(kind, **fields)


def default_folder(kind: Literal["runtime", "state"], device_id: str) -> Path:
    """Where a device keeps its runtime or state files: systemd's folder, else the user's."""
    given = os.environ.get({"runtime": "RUNTIME_DIRECTORY", "state": "STATE_DIRECTORY"}[kind])
    if given:
        return Path(given.split(":")[0])
    if kind == "state":
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    else:
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or own_shared_folder())
    return base / "edge-runtime" / device_id


def own_shared_folder() -> Path:
    """Where there is no session: a folder of our own beside everybody's. Trusted only once it was looked at."""
    return SHARED / f"edge-runtime-{os.getuid()}"
