"""What the broker sent and nobody looked at yet: filed on paho's network thread, taken on the thread of its owner.

Nothing grows without bound: commands queue up to a limit and the newest are dropped, signals keep the newest message a
topic.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from edge_runtime.logs import Level

WAITING_COMMANDS = 64
KEPT_OF_DROPPED_BYTES = 200
"""Of a command that found the queue full: its id, mostly, stands at the front."""
WAITING_TOPICS = 256


@dataclass(frozen=True, slots=True)
class Received:
    """One message of the broker."""

    topic: str
    payload: bytes
    retained: bool
    arrived_s: float
    """Monotonic."""
    response_topic: str | None = None
    correlation: bytes | None = None

    def beginning(self) -> "Received":
        """The message cut short: enough to answer it, too little to fill the memory."""
        return replace(self, payload=self.payload[:KEPT_OF_DROPPED_BYTES])


@dataclass(frozen=True, slots=True)
class Note:
    """What happened to the link, for the log of the thread that owns it."""

    name: str
    level: Level
    fields: Mapping[str, object] = field(default_factory=dict)


class Inbox:
    """What came in and was not looked at yet. Filled by the network thread, emptied by the hub's.

    The lock is held for a few operations on containers: a dictionary that is filled by one thread and emptied by
    another cannot do without.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._commands: deque[Received] = deque()
        self._refused: deque[Received] = deque(maxlen=WAITING_COMMANDS)
        self._signals: dict[str, Received] = {}
        self._notes: deque[Note] = deque(maxlen=50)
        self.dropped = 0

    def file_command(self, message: Received) -> None:
        """Queue a command; when the queue is full the newest is dropped, and its beginning kept to answer it."""
        with self._lock:
            if len(self._commands) < WAITING_COMMANDS:
                self._commands.append(message)
            else:
                self._refused.append(message.beginning())
                self.dropped += 1
        self._wake()

    def file_signal(self, message: Received, *, keep: bool = False) -> None:
        """Keep the newest message of a topic; of too many topics the newest is dropped unless it is to `keep`."""
        with self._lock:
            if keep or message.topic in self._signals or len(self._signals) < WAITING_TOPICS:
                self._signals[message.topic] = message
            else:
                self.dropped += 1
        self._wake()

    def file_note(self, note: Note) -> None:
        """Keep what happened to the link."""
        with self._lock:
            self._notes.append(note)
        self._wake()

    def take_refused(self) -> list[Received]:
        """Beginnings of the commands that found the queue full, oldest first; of very many the newest."""
        with self._lock:
            refused = list(self._refused)
            self._refused.clear()
        return refused

    def take(self, limit: int) -> tuple[list[Note], list[Received], list[Received]]:
        """Notes, commands and signal messages, oldest first, up to `limit` of each."""
        with self._lock:
            notes = [self._notes.popleft() for _ in range(min(limit, len(self._notes)))]
            commands = [self._commands.popleft() for _ in range(min(limit, len(self._commands)))]
            topics = list(self._signals)[:limit]
            signals = [self._signals.pop(topic) for topic in topics]
        return notes, commands, signals
