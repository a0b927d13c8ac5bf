"""Telling systemd: ready, alive, stopping. Ten lines instead of a dependency. Source: sd_notify(3)."""

import os
import socket


class Notifier:
    """Sends state to the service manager; does nothing where there is none."""

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if path else None
        if self._socket is not None:
            self._socket.setblocking(False)
        self.watchdog_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        """How often systemd wants to hear of us; 0: it does not watch."""

    def send(self, *states: str) -> None:
        """Send e.g. "READY=1", "WATCHDOG=1", "STATUS=...". A manager that does not listen is no fault of the show."""
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(states).encode(), self._address)
        except OSError:
            return
