"""The shipped config that comes nearest, with answers written into it: comments, order and all else stay.

A config is a text for people first, so it is changed line by line and not parsed and printed again.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.config.base import SizePx
from edge_runtime.config.load import SHIPPED

BOXES = ("laptop", "desktop-rtx", "jetson-orin-nano", "jetson-agx-orin", "jetson-thor")
"""What computes: sizes, ladder and limits."""
SCREENS = {
    "landscape": None,
    "portrait": "kiosk-portrait",
    "wide": "billboard-wide",
    "projection": "projection",
    "two": "two-screens",
}
"""What is looked at, and whose composition it takes; None: that of the box."""

_UNTRIED = "# Not yet run on this hardware"
_LIMITS = ("max_temperature_c", "min_memory_free_mb", "min_vram_free_mb")
_TLS = """\
# ca_file = "/etc/edge-runtime/tls/ca.crt"      # who vouches for the broker; the system's authorities where left out
# cert_file = "/etc/edge-runtime/tls/box.crt"   # and for this box, where the broker asks
# key_file = "/etc/edge-runtime/tls/box.key"
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one installation has of its own; None leaves the template's."""

    device_id: str
    box: str
    screen: str
    rotation: int | None = None
    size_px: SizePx | None = None
    """Of the screen, as people see it."""
    camera: str | None = None
    broker: str | None = None
    screenshots: str | None = None
    label: str | None = None
    """Empty: none is shown."""
    scene: str | None = None


def template(box: str, screen: str) -> Path:
    """The shipped config that is nearest."""
    return SHIPPED / f"{SCREENS[screen] or box}.toml"


def fill(answers: Answers) -> str:
    """A whole config, with every answer in it."""
    path = template(answers.box, answers.screen)
    text = _headed(path.read_text(encoding="utf-8"), answers, path.name)
    text = _put(text, "", "device_id", answers.device_id)
    text = _put(text, "", "start_scene", answers.scene)
    if answers.size_px:
        text = _put(text, "display", "canvas_px", list(canvas_for(answers.size_px, _canvas(text))))
    text = _put(text, "display", "rotation", answers.rotation)
    text = _put(text, "display", "screenshots", answers.screenshots)
    text = _put(text, "[cameras]", "source", answers.camera)
    text = _put(text, "label", "text", answers.label or None)
    if answers.label == "":
        text = _put(text, "label", "enabled", value=False)
    if answers.broker:
        text = _with_broker(text, answers.broker)
    return _limited(text, answers.box)


def canvas_for(screen_px: SizePx, most_px: SizePx) -> SizePx:
    """The shape of the screen with no more pixels than `most_px` has; both sides even."""
    scale = min(1.0, (most_px[0] * most_px[1] / (screen_px[0] * screen_px[1])) ** 0.5)
    width, height = (max(2, 2 * int(side * scale / 2 + 1e-6)) for side in screen_px)
    return width, height


def _canvas(text: str) -> SizePx:
    width, height = re.findall(r"\d+", _value(text, "canvas_px") or "")[:2]
    return int(width), int(height)


def _value(text: str, key: str) -> str | None:
    found = re.search(rf"^{key} = ([^#\n]*)", text, re.MULTILINE)
    return found[1].strip() if found else None


def _headed(text: str, answers: Answers, name: str) -> str:
    """Its first lines say where it comes from and whether that was tried; what else they said was the template's."""
    first, body = text.partition("\n")[0], re.sub(r"\A(#.*\n)+", "", text)
    untried = f"{first}\n" if first.startswith(_UNTRIED) else ""
    origin = f"# {answers.device_id}: written by `edge-runtime init` after {name}, for {answers.box}."
    return f"{untried}{origin}\n# docs/scenes.md has every key, `edge-runtime check` finds mistakes.\n{body}"


def _put(text: str, section: str, key: str, value: object) -> str:
    """Set a key in the first section of that name ("": before all), adding what is not there; None: do nothing."""
    if value is None:
        return text
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    start, end = _span(text, section)
    if start == end:
        at = _span(text, "display")[1]
        return f"{text[:at]}\n[{section}]\n{line}\n{text[at:]}"

    def changed(old: re.Match[str]) -> str:
        return f"{line} ".ljust(old.start("note") - old.start()) + old["note"] if old["note"] else line

    body, count = re.subn(rf"^{key} = [^#\n]*(?P<note>#.*)?$", changed, text[start:end], flags=re.MULTILINE)
    return text[:start] + (body if count else f"{body}{line}\n") + text[end:]


def _span(text: str, section: str) -> tuple[int, int]:
    """Where the lines of the first section of that name are ("[cameras]" for a table of many); empty: it has none."""
    head = re.search(rf"^\[{re.escape(section)}\].*\n" if section else r"\A", text, re.MULTILINE)
    if head is None:
        return 0, 0
    following = re.search(r"^(?=\[)|^\n(?=(?:#.*\n)*\[)", text[head.end() :], re.MULTILINE)
    return head.start(), head.end() + following.start() if following else len(text)


def _with_broker(text: str, url: str) -> str:
    """The venue's broker instead of the recording that stands in for it."""
    start, end = _span(text, "replay")
    secrets = "# user and password come from the environment: EDGE_RUNTIME_MQTT_USER, EDGE_RUNTIME_MQTT_PASSWORD\n"
    tls = _TLS if url.startswith("mqtts://") else ""
    return f"{text[:start]}[mqtt]\nurl = {json.dumps(url)}\n{secrets}{tls}{text[end:]}"


def _limited(text: str, box: str) -> str:
    """A composition gives way where its box must, or before."""
    limits = (SHIPPED / f"{box}.toml").read_text(encoding="utf-8")
    for key in _LIMITS:
        of_box, of_screen = _value(limits, key), _value(text, key)
        if of_box:
            stricter = min if key == "max_temperature_c" else max
            text = _put(text, "governor", key, stricter(int(of_box), int(of_screen or of_box)))
    return text
