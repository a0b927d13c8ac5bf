"""The contract over MQTT in words: docs/mqtt.md, written from the tables and classes that the code itself obeys."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from edge_runtime import commands
from edge_runtime.commands import Desired, Envelope
from edge_runtime.control import broker, inbox, mqtt, topics
from edge_runtime.control.announcements import STATUS_EVERY_S
from edge_runtime.control.backoff import CAP_S, FIRST_S, STABLE_S
from edge_runtime.control.certificates import RENEW_WITHIN_DAYS
from edge_runtime.control.requests import ANSWER_WITHIN_S
from edge_runtime.control.signals import MAX_PAYLOAD_BYTES
from edge_runtime.control.topics import CONTRACT, Kind

_DIGITS = 1e6
_DOCUMENT = """\
# MQTT: every topic

Written by `edge-runtime schema mqtt` from the code; a test holds the two together.

MQTT 5, quality of service {qos}, payloads in JSON (UTF-8). `ID` is the device id, `GROUP` one of the words in
`mqtt.groups`. Pictures never travel over MQTT. "Its venue" is whoever has the role `venue` for a group of the box, and
every operator: [Who may do what](#who-may-do-what).

## What a box says

{said}

## What a box hears

{heard}

Besides, a box listens to the topics of its `[[signals]]`, usually below `venue/`: any JSON, out of which `pointer`
takes a number, a text or a vector.

## The envelope of a command

{envelope}

`edge-runtime send` fills it in. A command is obeyed once: a box remembers the last {remembered} ids. Refused, with the
reason in the ack: what is malformed, retained, expired, a duplicate, larger than {command_bytes} bytes, or issued more
than {ahead} s in the future. Where the clock of a box is not trusted (`mqtt.trust_clock = false`), its arrival counts.
Every command is answered within {answer} s or so, by the part that carried it out or for its silence.

## The commands

{commands}

## What must hold

{desired}

It is for what survives: a box that was off obeys the newest one when it is back. Publish it retained, with a larger
`revision` each time; one that is not larger than the last is passed over. Commands that come later win until the next.

## The link

| what | figure |
| --- | --- |
{link}

## Who may do what

The Ansible role `broker` lets in whoever has a certificate of the venue's authority. Rights go by its common name,
which is the client id too: a certificate is good for one connection at a time, so every person and every system has
one of their own.

| who | common name | may write | may read |
| --- | --- | --- | --- |
| a box | its device id | what it says | its `desired`, its commands, those of its groups and of all, `venue/#` |
| role `venue` | e.g. `desk.foyer` | commands to its groups and their boxes, their `desired` | what those boxes say |
| role `operator` | e.g. `anna.operator` | every command and `desired`, `venue/#` | `edge/#`, `$SYS/#` |
| role `feed` | e.g. `weather.feed` | the topics that the inventory lists for it | nothing |
| not in the inventory | any | nothing | nothing |

mosquitto 2.0 says yes to every subscription and then delivers only what may be read, so `send group/foyer` hears the
boxes of that group alone. A sender that wants its answer apart asks for it on `edge/ID/reply/NAME`.

## Certificates

`ansible-playbook certificates.yml` makes an authority for the venue and a certificate for the broker, every box and
every client of the inventory, in `pki/` beside it; run again, it makes those anew that hold for less than 60 days.
Another authority will do as well: put its files in the same places. The config of a box names its own:

```toml
[mqtt]
url = "mqtts://broker.venue:8883"   # a name that the broker's certificate has: `broker_hosts` in the inventory
groups = ["foyer"]
ca_file = "/etc/edge-runtime/tls/ca.crt"
cert_file = "/etc/edge-runtime/tls/box.crt"
key_file = "/etc/edge-runtime/tls/box.key"
```

Where a person sends commands from:

```sh
export EDGE_RUNTIME_MQTT_URL=mqtts://broker.venue:8883 EDGE_RUNTIME_MQTT_CA_FILE=pki/ca.crt
export EDGE_RUNTIME_MQTT_CERT_FILE=pki/desk.foyer.crt EDGE_RUNTIME_MQTT_KEY_FILE=pki/desk.foyer.key
edge-runtime send group/foyer scene scene=mirror
```

`edge-runtime check` warns {renew} days before one ends. One that has expired, the box's or the broker's, is named in
the log of the box (`mqtt_unreachable`), by `edge-runtime send` and by `edge-runtime doctor`. A box takes renewed files
at its next connect.
"""


def reference() -> str:
    """The whole document, in Markdown."""
    return _DOCUMENT.format(
        qos=1,
        said=_topics(kind for kind in CONTRACT if kind.said_by == "the box"),
        heard=_topics(kind for kind in CONTRACT if kind.said_by != "the box"),
        envelope=_fields(Envelope),
        remembered=commands.REMEMBERED_IDS,
        command_bytes=commands.MAX_COMMAND_BYTES,
        ahead=f"{commands.MAX_AHEAD_S:g}",
        answer=f"{ANSWER_WITHIN_S:g}",
        commands=_commands(),
        desired=_fields(Desired),
        link="\n".join(f"| {what} | {figure} |" for what, figure in _link()),
        renew=RENEW_WITHIN_DAYS,
    )


def _topics(kinds: Iterable[Kind]) -> str:
    rows = [
        (f"`{kind.pattern}`", kind.payload, "yes" if kind.retained else "", kind.said_by, kind.heard_by, kind.meaning)
        for kind in kinds
    ]
    return _table(("topic", "payload", "retained", "written by", "read by", "meaning"), rows)


def _commands() -> str:
    rows = []
    for name, kind in commands.COMMANDS.items():
        args = "<br>".join(f"{key} {form}" for key, form, _ in _describe(kind)) or "none"
        rows.append((f"`{name}`", args, kind.__doc__ or ""))
    return _table(("command", "args", "meaning"), rows)


def _fields(model: type[BaseModel]) -> str:
    return _table(("key", "value", "meaning"), _describe(model))


def _describe(model: type[BaseModel]) -> list[tuple[str, str, str]]:
    """Name, form and meaning of every key; a question mark stands behind what may be left out."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        (f"`{key}`" if key in required else f"`{key}`?", _form(of), of.get("description", ""))
        for key, of in schema["properties"].items()
    ]


def _form(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        forms = [_form(each) for each in schema["anyOf"] if each != {"type": "null"} or "default" not in schema]
        return " or ".join(forms)
    words = {"string": "text", "boolean": "true or false", "integer": "whole number", "object": "object"}
    form = words.get(schema["type"], schema["type"])
    if "maxLength" in schema:
        form += f", {schema['maxLength']} characters at most"
    low, above, high = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    if high is not None and high < _DIGITS:
        form += f", {low:g} to {high:g}" if low is not None else f", more than {above:g}, at most {high:g}"
    elif low is not None:
        form += f", {low:g} or more"
    default = schema.get("default")
    return form if default is None else f"{form} ({default:g})"


def _link() -> Sequence[tuple[str, str]]:
    return (
        ("status", f"every {STATUS_EVERY_S:g} s, and on transitions"),
        ("last will", f"`availability` offline, {mqtt.WILL_DELAY_S} s after the link broke"),
        ("session of a box at the broker", f"{mqtt.SESSION_S} s: what came meanwhile is delivered"),
        ("payload for a signal", f"{MAX_PAYLOAD_BYTES} bytes at most"),
        ("packet to a box", f"{mqtt.MAX_PACKET_BYTES} bytes at most"),
        ("topic", f"{topics.MAX_TOPIC_BYTES} bytes at most"),
        ("commands that wait in a box", f"{inbox.WAITING_COMMANDS}; the next ones are refused as busy"),
        ("messages of a box that wait for the broker", f"{broker.QUEUED_MESSAGES}; of retained topics the newest"),
        ("connects of a box", f"{FIRST_S:g} s apart at least, up to {CAP_S:g} s more after failures, at random"),
        ("a connection that counts as good again", f"after {STABLE_S:g} s"),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
