"""The local control socket: `ps`, `why` and `send` without a broker. Unix SEQPACKET, for the box's own user only."""

import os
import selectors
import socket
from pathlib import Path

from edge_runtime.channel import Channel, Message
from edge_runtime.errors import EdgeError

MAX_CLIENTS = 16


class ControlSocket:
    """Accepts local clients; each is a channel named client:N. Used from the supervisor's one thread."""

    def __init__(self, path: Path, selector: selectors.BaseSelector) -> None:
        self.path = path
        self._selector = selector
        self._clients: dict[str, Channel] = {}
        self._next = 1
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path.unlink(missing_ok=True)  # of a predecessor that was killed; the lock file says that none runs
        try:
            self._listener.bind(str(path))
        except OSError as error:
            raise EdgeError(f"{path}: cannot listen here: {error}; set RUNTIME_DIRECTORY to a shorter, writable folder") from error
        path.chmod(0o600)
        self._listener.listen(MAX_CLIENTS)
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, "listener")

    def accept(self) -> None:
        """Take one client; one too many is closed at once."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            connection.close()
            return
        name = f"client:{self._next}"
        self._next += 1
        self._clients[name] = Channel(connection)
        self._selector.register(connection, selectors.EVENT_READ, name)

    def read(self, name: str) -> list[Message]:
        """What a client asks, stamped with its name; forgets it when it hung up or talks nonsense."""
        client = self._clients[name]
        try:
            messages = client.drain()
        except ValueError:
            client.closed, messages = True, []
        if client.closed:
            self._selector.unregister(client)
            del self._clients[name]
            client.close()
        return [{**message, "from": name} for message in messages if isinstance(message, dict)]

    def reply(self, name: str, message: Message) -> None:
        """Answer a client that may be gone."""
        client = self._clients.get(name)
        if client is not None:
            client.send(message)

    def close(self) -> None:
        """Hang up and remove the socket."""
        for client in self._clients.values():
            client.close()
        self._listener.close()
        if os.path.lexists(self.path):
            self.path.unlink(missing_ok=True)
