"""A recording of venue messages: JSON lines, played as if they came now.

    {"format": "edge-runtime-replay", "version": 1, "loop_s": 120}
    {"at_s": 1.25, "topic": "venue/weather", "payload": {"rain_mm_h": 2.1}}

The header is optional. Pure: it is told the time, and its caller puts what is due on the broker or the board.
"""

import bisect
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError

FORMAT, VERSION = "edge-runtime-replay", 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording."""

    at_s: float
    """Seconds from the start of the recording."""
    topic: str
    payload: Any
    """What its JSON says."""


class Replay:
    """A recording that can be asked what is due. Pure."""

    def __init__(
        self, messages: list[Recorded], *, loop_s: float | None = None, loop: bool = True, speed: float = 1.0
    ) -> None:
        """`messages` sorted by `at_s`; `loop_s` is the length of one round, by default a second after the last."""
        self.messages = tuple(messages)
        self.loop_s = loop_s or messages[-1].at_s + 1.0
        self._times_s = [message.at_s for message in messages]
        self._loop = loop
        self._speed = speed

    def due(self, from_s: float, to_s: float) -> list[Recorded]:
        """What is due from `from_s` up to, not including, `to_s`, oldest first; both are seconds since play began.

        Of a span longer than one round only the newest round is given: a box that slept does not catch up on a day.
        """
        start_s, end_s = max(0.0, from_s * self._speed), to_s * self._speed
        if not self._loop:
            return list(self._between(start_s, end_s))
        start_s = max(start_s, end_s - self.loop_s)
        found: list[Recorded] = []
        for round_ in range(math.floor(start_s / self.loop_s), math.floor(end_s / self.loop_s) + 1):
            begin_s = round_ * self.loop_s
            found += self._between(start_s - begin_s, min(end_s - begin_s, self.loop_s))
        return found

    def _between(self, from_s: float, to_s: float) -> tuple[Recorded, ...]:
        return self.messages[bisect.bisect_left(self._times_s, from_s) : bisect.bisect_left(self._times_s, to_s)]


def load_replay(path: Path, *, loop: bool = True, speed: float = 1.0) -> Replay:
    """Read a recording.

    Raises:
        InputError: naming the file, the line and what is wrong with it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    messages: list[Recorded] = []
    loop_s: float | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = _object(line)
            if "format" in fields:
                loop_s = _header(fields, number)
            else:
                messages.append(_recorded(fields, messages[-1].at_s if messages else 0.0))
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}") from error
    if not messages:
        raise InputError(f"{path}: holds no message")
    if loop_s is not None and loop_s <= messages[-1].at_s:
        raise InputError(f"{path}: loop_s = {loop_s:g} ends before the last message at {messages[-1].at_s:g} s")
    return Replay(messages, loop_s=loop_s, loop=loop, speed=speed)


def _object(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if isinstance(fields, dict):
        return fields
    raise ValueError(f"{line[:40]!r}: expected an object with at_s, topic and payload")


def _header(fields: dict[str, Any], number: int) -> float | None:
    if number != 1:
        raise ValueError("a header is allowed in the first line only")
    if (fields["format"], fields.get("version")) != (FORMAT, VERSION):
        raise ValueError(
            f"format {fields['format']!r} version {fields.get('version')!r}: {FORMAT!r} {VERSION} expected"
        )
    return None if "loop_s" not in fields else _seconds(fields["loop_s"], "loop_s")


def _recorded(fields: dict[str, Any], after_s: float) -> Recorded:
    if missing := {"at_s", "topic", "payload"} - fields.keys():
        raise ValueError(f"{', '.join(sorted(missing))} missing")
    at_s, topic = _seconds(fields["at_s"], "at_s"), fields["topic"]
    if at_s < after_s:
        raise ValueError(f"at_s = {at_s:g} comes before {after_s:g} of the line above; sort the file")
    if not isinstance(topic, str) or not topic or "+" in topic or "#" in topic:
        raise ValueError(f"topic = {topic!r}: expected a topic without wildcards")
    return Recorded(at_s, topic, fields["payload"])


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} = {value!r}: expected seconds, 0 or more")
    return float(value)
