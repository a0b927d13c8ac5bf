"""A box: a root file system booted as a machine of its own, with a real systemd as its first process.

    with lent(outfitted(), tmp_path) as root, Box(root) as box:     # booted, and every unit started or failed
        box.run("edge-runtime", "ps")                               # in the box, as root
        box.systemctl("restart", "edge-runtime.service")
        box.show("edge-runtime.service", "NRestarts")               # "1"
        box.journal("edge-runtime.service")                         # entries, also of a box that is down
        box.reboot()                                                # orderly; power_off(), kill(): the plug is pulled
        assert box.wait_down() == "reboot"                          # when it does that by itself
        box.boot()

Namespaces and a cgroup instead of a virtual machine: it takes a second. It has the host's kernel and clock, no device
but /dev/null and its like, /proc/sys and /sys read-only, and a network with nothing in it but lo. A server that the
box shall reach runs in its network: Popen(box.command("mosquitto")) or Popen(box.in_network("mosquitto")) for a
program of this machine. Box(root, network="host") shares this machine's; then two boxes share abstract sockets too,
X servers' among them.

Real-time: systemd may give SCHED_FIFO by CPUSchedulingPolicy=, and root may take it. LimitRTPRIO= and a negative
OOMScoreAdjust= take effect only where the test run holds CAP_SYS_RESOURCE (`RAISES_LIMITS`); systemd goes on without.
Nothing of a box outlives its `with`, nor the test run, however that ends. Whoever enters one has its capabilities
and no more: `command` sees to that, so never use nsenter by hand.
"""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any, Literal, Self

import pytest

from edge_runtime.clock import now_s
from tests.fixtures.children import bound_to_us
from tests.fixtures.waiting import eventually
from tests.fleet.rootfs import Root

BOOT_S = 60.0
DOWN_S = 60.0
RUN_S = 120.0
RAISES_LIMITS = bool(int(re.findall(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())[0], 16) >> 24 & 1)
"""CAP_SYS_RESOURCE: may this test run grant what an ordinary user may not have?"""
_SCRIPT = Path(__file__).with_name("boot.sh")
_DROPPED = "-sys_time,-sys_module,-sys_rawio,-sys_pacct,-syslog,-wake_alarm"
_DROPPED_ON_HOST_NETWORK = f"{_DROPPED},-net_admin"  # a box's firewall is not this machine's
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Down = Literal["reboot", "power off", "killed"]
_DOWN: dict[int, Down] = {-signal.SIGHUP: "reboot", -signal.SIGINT: "power off", -signal.SIGKILL: "killed"}
"""How the kernel ends the first process of a pid namespace that calls reboot(2). Source: its man page."""


class Box:
    """One machine. Up from `with` on; used from one thread."""

    def __init__(self, root: Root, *, network: Literal["own", "host"] = "own") -> None:
        self.root = root
        self.booted_s = 0.0
        """When its first process was started, monotonic."""
        self._network = network
        self._dropped = _DROPPED if network == "own" else _DROPPED_ON_HOST_NETWORK
        self._complaints = root.path.parent / "boot.log"
        self._cgroup = _Cgroup()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _clear(self) -> None:
        self.kill()
        self._cgroup.remove()

    # -- up and down -------------------------------------------------------------------------------------------------

    def boot(self, *, settled: bool = True) -> None:
        """Switch it on.

        Args:
            settled: wait until every unit has started or failed; else only until systemd answers.
        """
        assert self._process is None or self._process.poll() is not None, "it is up already"
        own = ["--cgroup", "--mount", "--pid", "--uts", "--ipc", *(["--net"] if self._network == "own" else [])]
        argv = ["unshare", *own, "--fork", "--kill-child", "sh", str(_SCRIPT), str(self.root.path), self._dropped]
        joined = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self._cgroup.processes), *argv]
        self.booted_s = now_s()
        with self._complaints.open("wb") as complaints:
            self._process = subprocess.Popen(
                bound_to_us(joined), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=complaints
            )
        wanted = {"running", "degraded"} | (set() if settled else {"starting", "maintenance"})
        eventually(lambda: self._state() in wanted, BOOT_S, f"the box is up ({self._state()})")

    def _state(self) -> str:
        process = self._process
        assert process is not None
        if process.poll() is not None:
            raise AssertionError(f"went down while booting ({self._how_down()}): {self._complaints.read_text()}")
        if not _is_systemd(self._first_pid()):
            return "at boot.sh"
        return self.systemctl("is-system-running", check=False).stdout.strip()

    def _first_pid(self) -> int:
        """Of its first process, as this machine counts; 0 where it is down."""
        process = self._process
        if process is None or process.poll() is not None:
            return 0
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            return int(children[0]) if children else 0
        return 0

    @property
    def up(self) -> bool:
        """Does its first process run?"""
        return self._first_pid() != 0

    def wait_down(self, within_s: float = DOWN_S) -> Down:
        """Wait until it goes down by itself, and say how. It stays down until `boot`."""
        assert self._process is not None
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the box is not down after {within_s:g} s; {self._last_words()}") from None
        self._cgroup.empty()
        return self._how_down()

    def _how_down(self) -> Down:
        assert self._process is not None
        return _DOWN.get(self._process.returncode, "killed")

    def reboot(self) -> None:
        """Down in order, and up again."""
        self.systemctl("--no-block", "reboot")
        assert self.wait_down() == "reboot"
        self.boot()

    def power_off(self) -> None:
        """Down in order."""
        self.systemctl("--no-block", "poweroff")
        assert self.wait_down() == "power off"

    def kill(self) -> None:
        """Down at once, as if the plug were pulled; what it wrote stays, as the kernel is the same."""
        if self._process is not None and self._process.poll() is None:
            pid = self._first_pid()  # takes the rest along, and is reaped by whoever waits for it
            os.kill(pid or self._process.pid, signal.SIGKILL)
            self._process.wait(DOWN_S)
        self._cgroup.kill()
        self._cgroup.empty()

    # -- inside ------------------------------------------------------------------------------------------------------

    def command(self, *argv: str) -> list[str]:
        """The command line that runs a program of the box in the box, as root; for Popen."""
        # who enters from outside brings every capability along, and could set this machine's clock
        inside = ["nsenter", "--target", str(self._pid_up()), "--all", "setpriv", "--bounding-set", self._dropped]
        return [*inside, "env", "-i", f"PATH={_PATH}", *argv]

    def in_network(self, *argv: str) -> list[str]:
        """The command line that runs a program of this machine in the network of the box; for Popen."""
        return ["nsenter", "--target", str(self._pid_up()), "--net", *argv]

    def _pid_up(self) -> int:
        pid = self._first_pid()
        assert pid, f"the box is down; {self._last_words()}"
        return pid

    def path(self, inside: str) -> Path:
        """Where a file of the box that is up is for us, also one in /run or /tmp, which `root.path` does not have."""
        return Path(f"/proc/{self._pid_up()}/root", inside.lstrip("/"))

    def run(self, *argv: str, check: bool = True, within_s: float = RUN_S) -> "subprocess.CompletedProcess[str]":
        """Run a program of the box in the box, as root."""
        done = subprocess.run(
            self.command(*argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s, check=False
        )
        assert not check or done.returncode == 0, f"{argv}: {done.returncode}: {(done.stdout + done.stderr)[-2000:]}"
        return done

    def systemctl(self, *argv: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("systemctl", *argv, check=check)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, as `systemctl show` has it."""
        return self.systemctl("show", "--property", name, "--value", unit).stdout.strip()

    def drop_in(self, unit: str, *lines: str) -> Path:
        """A drop-in for a unit, in place of the one before; takes effect at the next boot or `daemon-reload`."""
        path = self.root.path / "etc/systemd/system" / f"{unit}.d" / "test.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    # -- what it tells -----------------------------------------------------------------------------------------------

    def journal(self, unit: str | None = None) -> list[dict[str, Any]]:
        """Entries of all boots, all or those about a unit, as journalctl's JSON has them. Also while it is down."""
        about = ["--unit", unit] if unit else []
        if self.up:
            self.run("journalctl", "--sync")
            lines = self.run("journalctl", "--output", "json", *about).stdout
        else:
            lines = self.root.run("journalctl", "--output", "json", *about).stdout
        return [json.loads(line) for line in lines.splitlines()]

    def events(self, unit: str, name: str | None = None) -> list[dict[str, Any]]:
        """What our own program logged, of one event where named."""
        told = [str(entry.get("MESSAGE", "")) for entry in self.journal(unit)]
        events = [json.loads(line) for line in told if line.startswith("{")]
        return [event for event in events if name in {None, event["event"]}]

    def _last_words(self) -> str:
        return " | ".join(str(entry.get("MESSAGE")) for entry in self.journal()[-15:])


class _Cgroup:
    """Where everything of one box is, so that all of it can be ended at once. Source: kernel's cgroup-v2.rst."""

    def __init__(self) -> None:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        tops = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
        if not tops or not os.access(tops[0], os.W_OK):
            pytest.skip("no cgroup2 hierarchy that a box could be put into")
        self.folder = Path(tops[0]) / f"edge-box-{os.getpid()}-{secrets.token_hex(3)}"
        self.folder.mkdir()

    @property
    def processes(self) -> Path:
        return self.folder / "cgroup.procs"

    def kill(self) -> None:
        (self.folder / "cgroup.kill").write_text("1")

    def empty(self) -> None:
        """Wait until nobody is left, and remove what systemd made below."""
        events = self.folder / "cgroup.events"
        eventually(lambda: "populated 0" in events.read_text(), DOWN_S, f"{self.folder} is empty")
        for path in sorted(self.folder.rglob("*/"), reverse=True):
            path.rmdir()

    def remove(self) -> None:
        self.empty()
        self.folder.rmdir()


def _is_systemd(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return bool(pid) and Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"/lib/systemd/systemd\0")
    return False
