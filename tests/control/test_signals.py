import json
from collections.abc import Callable
from typing import Any

import pytest

from edge_runtime.config import SignalConfig
from edge_runtime.control.signals import KNOWN_TOPICS, SignalRoutes
from edge_runtime.signals import Value

RAIN = SignalConfig(name="weather.rain", mqtt="venue/weather", pointer="/rain_mm_h", range=(0, 10))


def board() -> tuple[dict[str, Value], Callable[[str, Value], None]]:
    values: dict[str, Value] = {}
    return values, values.__setitem__


@pytest.mark.parametrize(
    ("pointer", "kind", "payload", "expected"),
    [
        ("", "number", b"21.5", 21.5),
        ("", "number", b"true", 1.0),
        ("/rain_mm_h", "number", b'{"rain_mm_h": 2}', 2.0),
        ("/rain_mm_h", "number", b'{"rain_mm_h": 1e6}', 1e6),
        ("/a/1/b", "number", b'{"a": [0, {"b": 3}]}', 3.0),
        ("/m~0n", "number", b'{"m~n": 4}', 4.0),
        ("/a~1b", "number", b'{"a/b": 5}', 5.0),
        ("/~01", "number", b'{"~1": 6}', 6.0),
        ("/", "number", b'{"": 7}', 7.0),
        ("/0", "number", b'{"0": 8}', 8.0),
        ("/words", "text", '{"words": "Grüße 🌧"}'.encode(), "Grüße 🌧"),
        ("/rgb", "vector", b'{"rgb": [1, 2, 3]}', (1.0, 2.0, 3.0)),
    ],
)
def test_a_pointer_finds_the_value(
    events: list[dict[str, Any]], pointer: str, kind: Any, payload: bytes, expected: Value
) -> None:
    values, put = board()
    routes = SignalRoutes([SignalConfig(name="x", mqtt="t", pointer=pointer, type=kind)])
    assert routes.feed("t", payload, put) == 1
    assert values == {"x": expected}
    assert not events


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"rain_mm_h": "heavy"}', "/rain_mm_h = 'heavy': expected a number"),
        (b'{"rain_mm_h": null}', "None: expected a number"),
        (b'{"rain_mm_h": [1, 2]}', "[1, 2]: expected a number"),
        (b'{"rain": 2}', "nothing at '/rain_mm_h'; the message has rain"),
        (b"[2]", "nothing at '/rain_mm_h'"),
        (b"rain", "not JSON"),
        (b'{"rain_mm_h": NaN}', "NaN is no number"),
        (b'{"rain_mm_h": 1e999}', "too large"),
        (b'{"rain_mm_h": ' + b"9" * 400 + b"}", "too large"),
        (b'{"rain_mm_h": "\\ud83d"}', "not JSON"),
        (b"[" * 5000, "nested too deeply"),
        (b" " * 65537, "65537 bytes, 65536 at most"),
    ],
)
def test_a_wrong_value_is_told_once_and_not_put(events: list[dict[str, Any]], payload: bytes, reason: str) -> None:
    values, put = board()
    routes = SignalRoutes([RAIN])
    for _ in range(3):
        assert routes.feed("venue/weather", payload, put) == 0
    assert not values
    assert [line["event"] for line in events] == ["signal_refused"]
    assert events[0]["signal"] == "weather.rain"
    assert reason in events[0]["reason"]


def test_a_fault_that_comes_back_after_good_values_is_told_again(events: list[dict[str, Any]]) -> None:
    _, put = board()
    routes = SignalRoutes([RAIN])
    for payload in (b"?", b'{"rain_mm_h": 1}', b"?", b"?"):
        routes.feed("venue/weather", payload, put)
    assert len(events) == 2


@pytest.mark.parametrize("pointer", ["/a/-", "/a/01", "/a/-1", "/a/2", "/a/9999999999999", "/a/x", "/a/0/0", "/b"])
def test_a_pointer_to_nowhere_finds_nothing(events: list[dict[str, Any]], pointer: str) -> None:
    values, put = board()
    routes = SignalRoutes([SignalConfig(name="x", mqtt="t", pointer=pointer)])
    assert routes.feed("t", b'{"a": [1, 2]}', put) == 0
    assert not values
    assert "nothing at" in events[0]["reason"]


def test_one_message_feeds_every_signal_that_listens(events: list[dict[str, Any]]) -> None:
    values, put = board()
    wave = SignalConfig(name="votes.wave", mqtt="venue/+", pointer="/wave")
    unfed = SignalConfig(name="camera.light")
    routes = SignalRoutes([RAIN, wave, unfed])
    assert routes.filters == ("venue/weather", "venue/+")
    assert routes.feed_tree("venue/weather", {"rain_mm_h": 1, "wave": 0.5}, put) == 2
    assert values == {"weather.rain": 1.0, "votes.wave": 0.5}
    assert routes.feed("venue/other/room", b"{}", put) == 0
    assert not events


def test_a_venue_that_invents_topics_fills_no_memory() -> None:
    _, put = board()
    routes = SignalRoutes([SignalConfig(name="x", mqtt="#")])
    for i in range(3 * KNOWN_TOPICS):
        routes.feed(f"t/{i}", json.dumps(i).encode(), put)
    assert len(routes._of_topic) <= KNOWN_TOPICS
