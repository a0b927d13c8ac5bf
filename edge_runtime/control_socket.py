"""The local control socket: `ps`, `why` and `send` without a broker. Unix SEQPACKET, for the box's own user only."""

import selectors
import socket
from pathlib import Path

from edge_runtime.channel import Channel, Message
from edge_runtime.errors import ChannelError, EdgeError

MAX_CLIENTS = 64
MAX_REQUEST_LENGTH = 100
"""Of what a client calls its question, which is given back with the answer."""


class ControlSocket:
    """Accepts local clients; each is a channel named client:N. Used from the supervisor's one thread."""

    def __init__(self, path: Path, selector: selectors.BaseSelector, device_id: str) -> None:
        self.path = path
        self._device_id = device_id
        self._selector = selector
        self._clients: dict[str, Channel] = {}
        self._next = 1
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path.unlink(missing_ok=True)  # of a predecessor that was killed; the lock file says that none runs
        try:
            self._listener.bind(str(path))
        except OSError as error:
            self._listener.close()
            raise EdgeError(
                f"{path}: cannot listen here: {error}; set RUNTIME_DIRECTORY to a shorter, writable folder"
            ) from error
        path.chmod(0o600)
        self._listener.listen(MAX_CLIENTS)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, "listener")

    def accept(self) -> None:
        """Take who waits; one too many takes the place of the oldest, which may have forgotten us."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if len(self._clients) >= MAX_CLIENTS:
                self._forget(next(iter(self._clients)))
            name = f"client:{self._next}"
            self._next += 1
            self._clients[name] = Channel(connection)
            self._selector.register(connection, selectors.EVENT_READ, name)

    def read(self, name: str) -> list[Message]:
        """What a client asks, stamped with its name; forgets it when it hung up or talks nonsense."""
        client = self._clients.get(name)
        if client is None:
            return []
        messages: list[Message] = []
        try:
            messages = client.drain()
        except ChannelError:
            client.closed = True
        if client.closed:
            self._forget(name)
        return [{**message, "from": name} for message in messages]

    def reply(self, name: str, request: object, result: object) -> None:
        """Answer a client that may be gone."""
        client = self._clients.get(name)
        if client is None:
            return
        known = request if len(str(request)) <= MAX_REQUEST_LENGTH else None
        message = {"type": "reply", "device_id": self._device_id, "request": known}
        try:
            client.send({**message, "result": result})
        except ChannelError as error:
            client.send({**message, "result": {"ok": False, "reason": f"the answer is too long: {error}"}})

    def _forget(self, name: str) -> None:
        client = self._clients.pop(name)
        self._selector.unregister(client)
        client.close()

    def close(self) -> None:
        """Hang up and remove the socket."""
        for client in self._clients.values():
            client.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)
