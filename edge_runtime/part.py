"""What a part is handed when it starts: its plan, its shared memory, its channel, its pulse.

A part is a child process started as `python -m edge_runtime part NAME --channel FD`. The first message on its
channel is the plan, with the descriptors of every shared region. From then on the part lives by three rules: beat
within the time it promised, publish through slots and the board, stop when asked.
"""

import gc
import importlib
import mmap
import os
import signal
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_runtime import logs
from edge_runtime.channel import Channel, Message
from edge_runtime.clock import Stopper, now_s, pause_s
from edge_runtime.config import DeviceConfig
from edge_runtime.errors import ChannelError, EdgeError
from edge_runtime.memory import die_with_parent, map_region
from edge_runtime.pulse import BEAT_S, Pulse
from edge_runtime.signals import SignalBoard, Value
from edge_runtime.slots import SlotReader, SlotWriter

_PLAN_TIMEOUT_S = 10.0

ROOMS = {
    "show": "edge_runtime.show",
    "hub": "edge_runtime.hub",
    "camera": "edge_runtime.inputs.camera",
    "worker": "edge_runtime.inference.worker",
}
"""Kind of part to the module whose `run(part)` is its main function. `camera:main` is of kind camera."""


class Part:
    """One part's side of the runtime. Used from the part's main thread."""

    def __init__(self, name: str, plan: Message, regions: dict[str, mmap.mmap], channel: Channel) -> None:
        self.name = name
        self.config = DeviceConfig.model_validate_json(regions["config"][:])
        self.state: dict[str, Any] = plan["state"]
        """What must hold whatever restarts: scene, brightness, blackout."""
        self.runtime_folder = Path(plan["runtime_folder"])
        self.state_folder = Path(plan.get("state_folder", self.runtime_folder))
        """What survives a reboot. The hub writes its state; workers and builders, engines/."""
        self.model_folders = [Path(folder) for folder in plan["model_folders"]]
        self.started_s = float(plan["started_s"])
        """When the supervisor began, monotonic."""
        self.channel = channel
        self.stop = Stopper()
        self.pulse = Pulse(regions["pulse"], plan["parts"])
        self.bell = self.pulse.bell
        self.board = SignalBoard(regions["board"], self.config.signal_names)
        self._regions = regions
        self._rings: dict[str, int] = plan["rings"]
        self._count = 0
        self._said_too_much = False

    @property
    def kind(self) -> str:
        """show, hub, camera or worker."""
        return self.name.partition(":")[0]

    @property
    def label(self) -> str:
        """The part's own name after the colon: main of camera:main."""
        return self.name.partition(":")[2]

    def region(self, name: str) -> mmap.mmap:
        """A shared region by name, e.g. "trace"."""
        return self._regions[name]

    def reader(self, source: str) -> SlotReader:
        """A reader of the slot of `source`: camera.NAME, picture.NAME, presented."""
        return SlotReader(self._regions[f"slot:{source}"])

    def writer(self, source: str) -> SlotWriter:
        """The writer of a slot that this part owns."""
        return SlotWriter(self._regions[f"slot:{source}"], self._rings[source])

    def beat(self, *, within_s: float = BEAT_S, did: int = 0) -> None:
        """Promise to beat again within `within_s`; `did` is how many frames or runs were finished since the last."""
        self._count += did
        self.pulse.beat(self.name, now_s() + within_s, self._count)

    def put(self, signal_name: str, value: Value) -> None:
        """Put a signal that this part owns, measured now, and ring the bell."""
        self.board.put(signal_name, value, now_s())
        self.bell.ring()

    def send(self, to: str, type: str, **fields: object) -> bool:  # noqa: A002 - the word of the message
        """Send a message; False when it was dropped: the other side does not keep up, or it is too large."""
        try:
            return self.channel.send({"to": to, "from": self.name, "type": type, **fields})
        except ChannelError as error:
            if not self._said_too_much:
                self._said_too_much = True
                logs.event("message_dropped", "error", to=to, reason=str(error))
            return False

    def ready(self) -> None:
        """Tell the supervisor that the part does its work now."""
        self.send("supervisor", "ready")

    def report(self, stats: dict[str, Any]) -> None:
        """Give the part's share of the statistics, once a second or less often."""
        self.send("supervisor", "report", stats=stats)

    def drain(self) -> list[Message]:
        """Waiting messages; asks the part to stop when the supervisor is gone."""
        messages = self.channel.drain()
        if self.channel.closed:
            self.stop.set()
        return messages


def main(name: str, descriptor: int) -> int:
    """Run one part to its end; its exit code. Never returns to a shell that a person sees."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor stops us in order
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        part = _receive_plan(name, channel)
    except ChannelError as error:
        logs.event("part_without_plan", "error", part=name, reason=str(error))
        return 1
    signal.signal(signal.SIGTERM, part.stop.set)
    logs.route_events(name, lambda event: part.send("supervisor", "log", line=event))
    try:
        run: Callable[[Part], None] = importlib.import_module(ROOMS[part.kind]).run
        gc.collect()
        gc.freeze()
        run(part)
    except EdgeError as error:
        logs.event("part_failed", "error", reason=str(error))
        return 1
    except Exception:  # noqa: BLE001 - a part's main: tell, exit, and the supervisor starts the next one
        logs.event("part_crashed", "error", traceback=traceback.format_exc(limit=8))
        return 1
    return 0


def _receive_plan(name: str, channel: Channel) -> Part:
    deadline_s = now_s() + _PLAN_TIMEOUT_S
    while now_s() < deadline_s:
        received = channel.receive()
        if received is None:
            if channel.closed:
                raise ChannelError("the supervisor hung up before it sent the plan")
            pause_s(0.001)
            continue
        plan, descriptors = received
        regions = {}
        for region, descriptor in zip(plan["regions"], descriptors, strict=True):
            regions[region] = map_region(descriptor)
            os.close(descriptor)
        return Part(name, plan, regions, channel)
    raise ChannelError(f"no plan within {_PLAN_TIMEOUT_S:g} s")
