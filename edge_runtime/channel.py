"""Channels: small JSON messages between the supervisor and its parts, over SEQPACKET sockets.

Every message is an object with "to", "from" and "type". The supervisor routes: a part never needs to know who is
alive. Sending never blocks: when the other side does not read, the message is dropped and counted, because a part
that hangs must not stop one that does not.
"""

import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Any

from edge_runtime.errors import ChannelError

MAX_MESSAGE_BYTES = 128 * 1024
DRAIN_LIMIT = 16
"""Messages taken per frame: a flood of commands delays itself, never a frame."""
_ANCILLARY_BYTES = socket.CMSG_SPACE(250 * 4)  # 250 descriptors; the kernel's SCM_MAX_FD is 253

Message = dict[str, Any]


class Channel:
    """One end of a part's channel. Used from one thread."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_MESSAGE_BYTES)
        self._socket = end
        self.dropped = 0
        self.closed = False

    @classmethod
    def pair(cls) -> tuple["Channel", socket.socket]:
        """The supervisor's end, and the socket to hand to the part."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> bool:
        """Send, or drop when the other side does not keep up. True when it was sent.

        Raises:
            ChannelError: the message is larger than `MAX_MESSAGE_BYTES`.
        """
        packet = json.dumps(message, separators=(",", ":")).encode()
        if len(packet) > MAX_MESSAGE_BYTES:
            raise ChannelError(f"message {message.get('type')!r} has {len(packet)} bytes, {MAX_MESSAGE_BYTES} at most")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self._socket.sendmsg([packet], rights)
        except BlockingIOError:
            self.dropped += 1
            return False
        except OSError:
            self.closed = True
            return False
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message with its descriptors (now owned by the caller); None when there is none or the end closed.

        Raises:
            ChannelError: what came is no message: cut off, not JSON, not an object.
        """
        try:
            packet, ancillary, flags, _ = self._socket.recvmsg(MAX_MESSAGE_BYTES, _ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            self.closed = True
            return None
        if not packet:
            self.closed = True
            return None
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        try:
            message = None if flags & socket.MSG_TRUNC else json.loads(packet)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            _close_all(descriptors)
            raise ChannelError(f"a packet of {len(packet)} bytes is no message")
        return message, list(descriptors)

    def drain(self, limit: int = DRAIN_LIMIT) -> list[Message]:
        """Up to `limit` waiting messages, oldest first.

        Raises:
            ChannelError: see `receive`.
        """
        messages: list[Message] = []
        while len(messages) < limit and (received := self.receive()) is not None:
            message, descriptors = received
            _close_all(descriptors)  # only a plan carries any, and it is read by `receive`
            messages.append(message)
        return messages

    def close(self) -> None:
        """Close this end; the other side sees an empty packet."""
        self._socket.close()
        self.closed = True


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
