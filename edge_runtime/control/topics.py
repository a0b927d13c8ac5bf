"""Every topic of the contract, in one table, and how topics match filters.

edge/<id>/availability   retained   {"state": "online|offline", "session": N}; also the last will
edge/<id>/status         retained   the statistics object and "at" (Unix seconds), every 10 s and on transitions
edge/<id>/state/<thing>  retained   scene {"scene"}, blackout {"on"}, brightness {"percent"}, rung {"rung"},
                                    holds {PARAMETER: value}, desired {"revision"}
edge/<id>/event                     one transition
edge/<id>/ack                       {"id", "ok", "reason"?, "result"?}
edge/<id>/desired        retained   in: {"revision", "scene"?, "blackout"?, "brightness"?}
edge/<id>/cmd/<name>                in: one command; also edge/all/cmd/<name> and edge/group/<g>/cmd/<name>
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_TOPIC_BYTES = 256


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one device."""

    device_id: str
    groups: Sequence[str] = ()

    @property
    def availability(self) -> str:
        """Whether the show presents."""
        return f"edge/{self.device_id}/availability"

    @property
    def status(self) -> str:
        """The statistics."""
        return f"edge/{self.device_id}/status"

    @property
    def event(self) -> str:
        """Transitions."""
        return f"edge/{self.device_id}/event"

    @property
    def ack(self) -> str:
        """What became of commands."""
        return f"edge/{self.device_id}/ack"

    @property
    def desired(self) -> str:
        """What must hold."""
        return f"edge/{self.device_id}/desired"

    def state(self, thing: str) -> str:
        """What one thing is at."""
        return f"edge/{self.device_id}/state/{thing}"

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
