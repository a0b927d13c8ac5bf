"""A box with a show and a screen, to be hurt by tests of its unit."""

import signal
from typing import Any

import jinja2
import yaml

from edge_runtime.control.local import request
from edge_runtime.errors import ChannelError
from tests.fixtures.device import REPOSITORY
from tests.fixtures.waiting import eventually
from tests.fleet.boot import Box
from tests.fleet.product import UNIT
from tests.fleet.rootfs import Root

SCREEN = "edge-display.service"
BACK_S = 30.0
ALWAYS = "WatchdogSec=8"
"""So that tests of hangs are over sooner; a show that starts anew on a busy machine still has time enough."""


class Station:
    """The box and the show on it, asked over its own control socket."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self._changed = False

    def ask(self, what: str) -> dict[str, Any]:
        """What the supervisor answers; empty while there is none, or it is frozen."""
        try:
            answer: dict[str, Any] = request(self.box.path("/run/edge-runtime/control"), what, timeout_s=1.0)
        except ChannelError:
            return {}
        return answer

    def pid_of(self, part: str) -> int:
        """As the box counts; 0 while it has none."""
        return self.ask("ps").get(part, {}).get("pid") or 0

    def main_pid(self) -> int:
        return int(self.box.show(UNIT, "MainPID"))

    def restarts(self) -> int:
        """How often systemd had to act."""
        return int(self.box.show(UNIT, "NRestarts"))

    def presented(self) -> int:
        return int(self.ask("status").get("frames", {}).get("presented", 0))

    def processes(self) -> list[int]:
        listed = self.box.run("find", "/proc", "-maxdepth", "1", "-user", "edge", "-name", "[0-9]*").stdout
        return [int(name.rpartition("/")[2]) for name in listed.split()]

    def hurt(self, pid: int, number: signal.Signals) -> None:
        self.box.run("sh", "-c", f"kill -{number.name.removeprefix('SIG')} {pid}")

    def wait_up(self, *, not_main_pid: int = 0) -> None:
        """Wait until every part of another supervisor than that does its work, and pictures come."""
        eventually(lambda: self.main_pid() not in {0, not_main_pid}, BACK_S, "there is a supervisor")
        eventually(lambda: self._states() == {"up"}, BACK_S, "every part is up")
        seen = self.presented()
        eventually(lambda: self.presented() > seen, BACK_S, "pictures are presented")

    def _states(self) -> set[str]:
        return {part["state"] for part in self.ask("ps").values()}

    def change(self, *lines: str) -> None:
        """Add these lines to the [Service] of the unit, in place of those before; takes effect at its next start."""
        self._changed = bool(lines)
        self.box.drop_in(UNIT, "[Service]", ALWAYS, *lines)
        if self.box.up:
            self.box.systemctl("daemon-reload")

    def restart(self) -> None:
        """Start it anew as it was, and wait until it is up."""
        self.change()
        self.box.systemctl("reset-failed", UNIT)
        self.box.systemctl("restart", UNIT)
        self.wait_up()

    def recover(self) -> None:
        """Whatever a test has done to it."""
        if not self.box.up:
            self.box.boot(settled=False)
        if self._changed or self.box.show(UNIT, "ActiveState") != "active":
            self.restart()
        elif self._states() != {"up"}:
            self.wait_up()


def put_screen(root: Root) -> None:
    """What the role `display` writes, for a screen in memory."""
    role, etc = REPOSITORY / "ansible/roles/display", root.path / "etc/systemd/system"
    variables = {"display_server": "xvfb", "display_size_px": "640x360"}
    known = [yaml.safe_load((role / folder / "main.yml").read_text()) for folder in ("defaults", "vars")]
    places = {
        "edge-display.service": etc / SCREEN,
        "display.conf": etc / f"{UNIT}.d" / "display.conf",
        "set-outputs": root.path / "usr/local/lib/edge-runtime/set-outputs",
    }
    for name, path in places.items():
        template = jinja2.Template((role / "templates" / f"{name}.j2").read_text(), trim_blocks=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.render(**known[0] | known[1] | variables) + "\n")
    places["set-outputs"].chmod(0o755)
    root.run("systemctl", "enable", SCREEN)
