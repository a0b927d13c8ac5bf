"""Talking to a running box on the same machine, without a broker: its Unix SEQPACKET socket."""

import json
import secrets
import socket
from pathlib import Path
from typing import Any, Self

from edge_runtime.channel import MAX_MESSAGE_BYTES
from edge_runtime.clock import now_s, pause_s
from edge_runtime.errors import ChannelError

_AGAIN_S = 0.01


class LocalConnection:
    """One client of the control socket. Use as a context manager, from one thread.

    Raises:
        ChannelError: nobody listens there, or the other side hangs up or stays silent.
    """

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self.device_id: str | None = None
        """Who answered, once somebody has."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(timeout_s)
        try:
            self._connect(now_s() + timeout_s)
        except OSError as error:
            self._socket.close()
            raise ChannelError(f"{path}: {error.strerror or error}; is edge-runtime running, as this user?") from error

    def _connect(self, deadline_s: float) -> None:
        """Connect; waits its turn where many do so at once: the kernel says EAGAIN. Source: connect(2)."""
        while True:
            try:
                self._socket.connect(str(self._path))
            except BlockingIOError:
                if now_s() > deadline_s:
                    raise
                pause_s(_AGAIN_S)
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, kind: str, **fields: object) -> Any:
        """Ask and wait; the reply's `result`."""
        request = secrets.token_hex(8)
        self._send({"type": kind, "request": request, **fields})
        deadline_s = now_s() + self._timeout_s
        while (left_s := deadline_s - now_s()) > 0:
            message = self._receive(left_s)
            if message.get("type") == "reply" and message.get("request") == request:
                self.device_id = str(message["device_id"]) if "device_id" in message else None
                return message.get("result")
        raise ChannelError(f"{self._path}: no answer to {kind!r} within {self._timeout_s:g} s")

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._socket.send(json.dumps(message, separators=(",", ":")).encode())
        except OSError as error:
            raise ChannelError(f"{self._path}: {error.strerror or error}") from error

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        self._socket.settimeout(timeout_s)
        try:
            packet = self._socket.recv(MAX_MESSAGE_BYTES)
        except TimeoutError:
            raise ChannelError(f"{self._path}: no answer within {self._timeout_s:g} s") from None
        except OSError as error:
            raise ChannelError(f"{self._path}: {error.strerror or error}") from error
        if not packet:
            raise ChannelError(f"{self._path}: the runtime hung up")
        message = json.loads(packet)
        return message if isinstance(message, dict) else {}


def request(path: Path, kind: str, *, timeout_s: float = 5.0, **fields: object) -> Any:
    """One question, one answer: `request(path, "ps")`, `request(path, "why", parameter="mirror/rain.rate")`.

    Raises:
        ChannelError: nobody listens there, or no answer came in time.
    """
    with LocalConnection(path, timeout_s=timeout_s) as connection:
        return connection.request(kind, **fields)
