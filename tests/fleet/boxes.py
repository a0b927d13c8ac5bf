"""Many boxes in one process, as a broker sees them: the product's own link and announcements, without any picture.

    python -m tests.fleet.boxes URL PKI FIRST COUNT

Says `ready` when all links are made, opens them all at once when a line comes in, and at the end of its input prints
when each box tried to connect, monotonic seconds, as JSON.
"""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client

from edge_runtime.clock import Stopper, now_s, wall_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.announcements import Announcements, availability
from edge_runtime.control.mqtt import MqttLink
from edge_runtime.control.topics import Topics

LOOP_S = 0.05
STATUS = {
    "schema": 1,
    "parts": {
        name: {"state": "up", "restarts": 0, "pid": 1234} for name in ("show", "hub", "camera:main", "worker:main")
    },
    "governor": {"rung": "full", "changes": 0},
    "frames": {"due": 36000, "presented": 36000, "missed": 0, "interval_ms": {"p50": 16.67, "p99": 16.9}},
    "signals": {f"signal.{number}": {"value": 0.5, "age_s": 1.0, "stale": False} for number in range(20)},
}
"""As long as that of a box with twenty signals."""


def box_name(number: int) -> str:
    return f"box-{number:04}"


class SimulatedBox:
    """What the hub does with its link, and nothing else."""

    def __init__(self, url: str, pki: Path, number: int) -> None:
        name = box_name(number)
        files = {"cert_file": str(pki / f"{name}.crt"), "key_file": str(pki / f"{name}.key")}
        config = MqttConfig(url=url, ca_file=str(pki / "ca.crt"), **files)
        topics = Topics(name, ("foyer",))
        will = availability(False, 1)
        self.attempts: list[float] = []
        self.link = MqttLink(config, topics, will=will, signals=["venue/weather"], wake=lambda: None)
        self._take_renewed = self.link._client.on_pre_connect
        self.link._client.on_pre_connect = self._attempts
        self._announcements = Announcements(topics, self.link, session=1, now_s=now_s())
        self._tended_s = 0.0

    def _attempts(self, client: Client, userdata: Any) -> None:
        self.attempts.append(now_s())
        assert self._take_renewed is not None
        self._take_renewed(client, userdata)

    def start(self) -> None:
        self.link.open()
        self._announcements.presenting(True)
        self._announcements.status(STATUS, now_s(), wall_s())

    def tend(self, at_s: float) -> None:
        """One pass of the hub's loop."""
        notes, _, _ = self.link.inbox.take(32)
        if any(note.name == "mqtt_connected" for note in notes):
            self.link.publish_retained()
        if at_s - self._tended_s >= 1.0:
            self._tended_s = at_s
            self.link.tend()
            self._announcements.tend(at_s, wall_s())


def main(url: str, pki: str, first: str, count: str) -> None:
    boxes = [SimulatedBox(url, Path(pki), int(first) + number) for number in range(int(count))]
    stop = Stopper()
    print("ready", flush=True)
    sys.stdin.readline()
    for box in boxes:
        box.start()
    threading.Thread(target=lambda: stop.set(sys.stdin.read()), daemon=True).start()
    while not stop.wait(LOOP_S):
        for box in boxes:
            box.tend(now_s())
    json.dump({box_name(int(first) + number): box.attempts for number, box in enumerate(boxes)}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
