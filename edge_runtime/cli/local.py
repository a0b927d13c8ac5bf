"""Finding the devices that run on this box and asking them."""

from pathlib import Path
from typing import Any

from edge_runtime.control.local import LocalConnection
from edge_runtime.errors import EdgeError
from edge_runtime.supervisor import default_folder


def control_path(device: str | None) -> Path:
    """The control socket of `device`, or of the only device on this box.

    Raises:
        EdgeError: none runs, or several do and none was named.
    """
    if device is not None:
        return default_folder("runtime", device) / "control"
    found = sorted(default_folder("runtime", "x").parent.glob("*/control"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise EdgeError("no device runs on this box for this user; start one with `edge-runtime run CONFIG`")
    raise EdgeError(f"several devices run here: {', '.join(path.parent.name for path in found)}; choose with --device")


def ask(device: str | None, kind: str, **fields: str) -> Any:
    """One question to a device on this box, and its answer."""
    with LocalConnection(control_path(device)) as connection:
        return connection.request(kind, **fields)
