"""Every topic of the contract, in one table from which docs/mqtt.md is written too, and how topics match filters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_TOPIC_BYTES = 256


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of topic. Quality of service is 1 everywhere."""

    pattern: str
    """`ID` stands for a device id, `GROUP` for a group, `NAME` for a command or whatever its sender chose."""
    payload: str
    meaning: str
    said_by: str = "the box"
    heard_by: str = "its venue"
    retained: bool = False

    def of(self, device_id: str) -> str:
        """The topic of one device."""
        return self.pattern.replace("ID", device_id, 1)


AVAILABILITY = Kind(
    "edge/ID/availability",
    '`{"state": "online", "session": N}` or `"offline"`',
    "whether pictures are presented; the last will too, after 5 s; `session` counts the starts of the hub",
    retained=True,
)
STATUS = Kind(
    "edge/ID/status",
    "the statistics, and `at`: Unix seconds",
    "every 10 s, and when a part or the rung changed",
    retained=True,
)
EVENT = Kind(
    "edge/ID/event", '`{"at", "event", "level", ...}`', "one transition; a few a minute of each, the rest are counted"
)
ACK = Kind("edge/ID/ack", '`{"id", "ok", "reason"?, "result"?}`', "what became of a command, once each")
REPLY = Kind(
    "edge/ID/reply/NAME",
    "as `ack`",
    "the same for a sender that asked for it: MQTT 5 response topic, with its correlation",
)
STATES = {
    thing: Kind(f"edge/ID/state/{thing}", f"`{payload}`", meaning, retained=True)
    for thing, payload, meaning in (
        ("scene", '{"scene": NAME}', "the scene that is shown, or next"),
        ("blackout", '{"on": true}', "whether the screen is dark"),
        ("brightness", '{"percent": 0-100}', "how bright the picture is"),
        ("rung", '{"rung": NAME}', "the rung of the quality ladder"),
        ("holds", "{PARAMETER: value}", "what `set` holds"),
        ("desired", '{"revision": N}', "the newest `desired` that was taken; -1 before any"),
    )
}
DESIRED = Kind(
    "edge/ID/desired",
    '`{"revision", "scene"?, "blackout"?, "brightness"?}`',
    "what must hold, also for a box that is off now; obeyed once, when its revision is larger than the last",
    said_by="its venue",
    heard_by="the box",
    retained=True,
)
COMMANDS = tuple(
    Kind(f"edge/{target}/cmd/NAME", "an envelope", meaning, said_by, "every box meant")
    for target, said_by, meaning in (
        ("ID", "its venue", "one command to one box"),
        ("group/GROUP", "the venue of that group", "one command to the boxes with that word in `mqtt.groups`"),
        ("all", "operators", "one command to every box"),
    )
)
CONTRACT: Sequence[Kind] = (AVAILABILITY, STATUS, *STATES.values(), EVENT, ACK, REPLY, DESIRED, *COMMANDS)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device."""

    device_id: str
    groups: Sequence[str] = ()

    @property
    def availability(self) -> str:
        """Whether the show presents."""
        return AVAILABILITY.of(self.device_id)

    @property
    def status(self) -> str:
        """The statistics."""
        return STATUS.of(self.device_id)

    @property
    def event(self) -> str:
        """Transitions."""
        return EVENT.of(self.device_id)

    @property
    def ack(self) -> str:
        """What became of commands."""
        return ACK.of(self.device_id)

    @property
    def desired(self) -> str:
        """What must hold."""
        return DESIRED.of(self.device_id)

    def state(self, thing: str) -> str:
        """What one thing is at."""
        return STATES[thing].of(self.device_id)

    @property
    def command_prefixes(self) -> tuple[str, ...]:
        """Where commands for this device come in, up to the last level."""
        groups = (f"group/{group}" for group in self.groups)
        return tuple(f"edge/{target}/cmd/" for target in (self.device_id, "all", *groups))

    @property
    def command_filters(self) -> tuple[str, ...]:
        """What to subscribe to for commands."""
        return tuple(f"{prefix}+" for prefix in self.command_prefixes)

    def command_name(self, topic: str) -> str | None:
        """The command that a topic carries; None when it carries none."""
        prefix, _, name = topic.rpartition("/")
        return name if f"{prefix}/" in self.command_prefixes else None

    def overlap(self, topic_filter: str, command_names: Iterable[str]) -> str | None:
        """A topic of our own control that a filter would catch too: brokers may deliver its messages twice."""
        own = [f"{prefix}{name}" for prefix in self.command_prefixes for name in command_names]
        return next((topic for topic in [self.desired, *own] if matches(topic_filter, topic)), None)


def command_topic(target: str, name: str) -> str:
    """Where to publish a command. `target`: a device id, `all`, or `group/NAME`."""
    return f"edge/{target}/cmd/{name}"


def ack_filter(target: str) -> str:
    """Where the answers to a command for `target` come."""
    return "edge/+/ack" if target == "all" or target.startswith("group/") else f"edge/{target}/ack"


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is caught by a filter. Source: MQTT 5.0, section 4.7."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in {"+", "#"}:
        return False
    for i, level in enumerate(wanted):
        if level == "#":
            return True
        if i >= len(levels) or level not in {"+", levels[i]}:
            return False
    return len(wanted) == len(levels)


def filter_fault(topic_filter: str) -> str | None:
    """Why a filter cannot be subscribed to; None when it can."""
    levels = topic_filter.split("/")
    if not topic_filter or "\0" in topic_filter or len(topic_filter.encode()) > MAX_TOPIC_BYTES:
        return f"expected 1 to {MAX_TOPIC_BYTES} bytes"
    if any(("+" in level and level != "+") or ("#" in level and level != "#") for level in levels):
        return "+ and # must stand alone between slashes"
    if "#" in levels[:-1]:
        return "# must be the last level"
    return None


def publishable(topic: str) -> bool:
    """Whether a topic that a sender asks us to answer on may be published to."""
    return filter_fault(topic) is None and not {"+", "#"} & set(topic) and not topic.startswith("$")
