"""Signal routes: from a message of the venue to a row of the signal board."""

from collections.abc import Callable, Iterable
from typing import Any

from edge_runtime.commands import read_json
from edge_runtime.config import SignalConfig
from edge_runtime.control.topics import matches
from edge_runtime.errors import Refused
from edge_runtime.logs import event
from edge_runtime.signals import Value, to_value

MAX_PAYLOAD_BYTES = 64 * 1024
KNOWN_TOPICS = 1000
_MISSING = object()
Put = Callable[[str, Value], object]


class SignalRoutes:
    """Every signal that is fed by messages. A wrong payload is told once a signal, and again after a good one."""

    def __init__(self, signals: Iterable[SignalConfig]) -> None:
        self._signals = [signal for signal in signals if signal.mqtt]
        self._of_topic: dict[str, list[SignalConfig]] = {}
        self._faulty: set[str] = set()

    @property
    def filters(self) -> tuple[str, ...]:
        """Topic filters to subscribe to, each once."""
        return tuple(dict.fromkeys(signal.mqtt for signal in self._signals if signal.mqtt))

    def drop(self, topic_filter: str) -> None:
        """Forget the signals of a filter that cannot be subscribed to; their fallbacks show."""
        self._signals = [signal for signal in self._signals if signal.mqtt != topic_filter]
        self._of_topic.clear()

    def feed(self, topic: str, payload: bytes, put: Put) -> int:
        """Put every signal that this message feeds; how many."""
        if not self._routes(topic):
            return 0
        try:
            tree = read_json(payload, MAX_PAYLOAD_BYTES)
        except Refused as error:
            for signal in self._routes(topic):
                self._tell(signal, topic, str(error))
            return 0
        return self.feed_tree(topic, tree, put)

    def feed_tree(self, topic: str, tree: Any, put: Put) -> int:
        """`feed` for what a payload's JSON says. Out of range is put as it is: bindings clamp."""
        fed = 0
        for signal in self._routes(topic):
            try:
                put(signal.name, extract(tree, signal))
            except Refused as error:
                self._tell(signal, topic, str(error))
            else:
                self._faulty.discard(signal.name)
                fed += 1
        return fed

    def _routes(self, topic: str) -> list[SignalConfig]:
        routes = self._of_topic.get(topic)
        if routes is None:
            if len(self._of_topic) >= KNOWN_TOPICS:  # a filter with # and a venue that invents topics
                self._of_topic.clear()
            routes = [signal for signal in self._signals if signal.mqtt and matches(signal.mqtt, topic)]
            self._of_topic[topic] = routes
        return routes

    def _tell(self, signal: SignalConfig, topic: str, reason: str) -> None:
        if signal.name not in self._faulty:
            self._faulty.add(signal.name)
            event("signal_refused", "warning", signal=signal.name, topic=topic[:200], reason=reason)


def extract(tree: Any, signal: SignalConfig) -> Value:
    """The signal's value in a message.

    Raises:
        Refused: the pointer leads nowhere, or to something of another type.
    """
    found = resolve(tree, signal.pointer)
    if found is _MISSING:
        seen = f"; the message has {', '.join(list(tree)[:8]) or 'no keys'}" if isinstance(tree, dict) else ""
        raise Refused(f"nothing at {signal.pointer!r}{seen[:200]}")
    value = to_value(found)
    fits = {
        "number": isinstance(value, float),
        "text": isinstance(value, str),
        "vector": isinstance(value, tuple),
    }[signal.type]
    if value is None or not fits:
        raise Refused(f"{signal.pointer or 'the payload'} = {repr(found)[:60]}: expected a {signal.type}")
    return value


def resolve(tree: Any, pointer: str) -> Any:
    """What a JSON pointer leads to, or a private mark for nothing. Source: RFC 6901."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(tree, dict) and key in tree:
            tree = tree[key]
        elif isinstance(tree, list) and key.isascii() and key.isdigit() and (key == "0" or key[0] != "0"):
            if len(key) > 9 or int(key) >= len(tree):
                return _MISSING
            tree = tree[int(key)]
        else:
            return _MISSING
    return tree
