"""The venue's broker as the role `broker` configures it: a real Ansible run, then a real mosquitto on a loopback port.

    venue = VenueBroker(folder, inventory({"foyer": ["foyer-left"]}))
    venue.issue()                    # certificates.yml
    venue.configure()                # the role, without the package and the service
    with venue.running(): ...

Only its user, its folders and its port are not those of a box: whoever runs the tests, below `folder`, a free one.
"""

import json
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from edge_runtime.clock import now_s
from edge_runtime.config import MqttConfig
from tests.fixtures.children import bound_to_us, find_program
from tests.fixtures.ports import find_free_port
from tests.fixtures.waiting import eventually
from tests.fleet.tls import Authority

ANSIBLE = Path(__file__).resolve().parents[2] / "ansible"
BROKER = "venue-broker"
START_S = 10.0
_PLAY = [{"hosts": "brokers", "connection": "local", "become": False, "roles": ["broker"]}]


def inventory(venues: Mapping[str, Sequence[str]], clients: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """An inventory with one broker, and boxes in the groups of their venues."""
    boxes = sorted({box for group in venues.values() for box in group})
    groups = {name: {"hosts": dict.fromkeys(group)} for name, group in venues.items()}
    local = {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"}
    return {
        "all": {
            "children": {
                "brokers": {"hosts": {BROKER: {"broker_hosts": ["IP:127.0.0.1"]}}},
                "boxes": {"hosts": dict.fromkeys(boxes)},
                **groups,
            },
            "vars": {"broker_venues": list(venues), "broker_clients": list(clients), **local},
        }
    }


class VenueBroker:
    """One broker, its authority and its inventory, in a folder of its own."""

    def __init__(self, folder: Path, tree: Mapping[str, Any]) -> None:
        if find_program("mosquitto") is None:
            pytest.skip("mosquitto is not installed")
        self.folder, self.pki = folder, folder / "pki"
        self.port = find_free_port()
        self.url = f"mqtts://127.0.0.1:{self.port}"
        self.lines: deque[tuple[float, str]] = deque(maxlen=100_000)
        """What it logged, each line with the moment it came, monotonic."""
        self._inventory, self._play = folder / "inventory.json", folder / "play.json"
        self._inventory.write_text(json.dumps(tree))
        self._play.write_text(json.dumps(_PLAY))
        (folder / "state").mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    # -- what Ansible does -------------------------------------------------------------------------------------------

    def issue(self) -> dict[str, int]:
        """Run certificates.yml; how many tasks changed something, by host."""
        return _changes(self._ansible(ANSIBLE / "certificates.yml"))

    def configure(self, *, check: bool = True, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Run the role for a broker here."""
        ours: dict[str, Any] = {
            "broker_folder": str(self.folder / "etc"),
            "broker_state_folder": str(self.folder / "state"),
        }
        ours |= {"broker_port": self.port, "broker_address": "127.0.0.1", "broker_user": "root", **variables}
        (self.folder / "etc").mkdir(exist_ok=True)
        skip = "broker_package,broker_service"
        return self._ansible(self._play, "--skip-tags", skip, "--extra-vars", json.dumps(ours), check=check)

    def provision(self, root: Path, **variables: Any) -> dict[str, int]:
        """Run the whole role for a broker in a root file system; how many tasks changed something, by host."""
        there = {"ansible_connection": "community.general.chroot", "ansible_host": str(root), **variables}
        there |= {"ansible_python_interpreter": "/usr/bin/python3", "broker_port": self.port}
        return _changes(self._ansible(self._play, "--extra-vars", json.dumps(there)))

    def _ansible(self, playbook: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        program = find_program(str(Path(sys.executable).with_name("ansible-playbook"))) or find_program(
            "ansible-playbook"
        )
        if program is None:
            pytest.skip("ansible is not installed")
        settings = {
            "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
        }
        argv = [program, "-i", str(self._inventory), str(playbook), *options]
        done = subprocess.run(
            argv, cwd=self.folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return done

    # -- who talks to it ---------------------------------------------------------------------------------------------

    @property
    def authority(self) -> Authority:
        """The one that certificates.yml made."""
        return Authority.adopt(self.pki)

    def link(self, name: str | None) -> MqttConfig:
        """The link of a box or a client by its name; None: of somebody without a certificate."""
        return self.authority.link(self.url, self.authority.identity(name) if name else None)

    # -- the broker itself -------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator["VenueBroker"]:
        """It runs, and for sure not afterwards."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def start(self) -> float:
        """Start mosquitto with what the role wrote; when that was, monotonic."""
        begun_s = now_s()
        program, limits = find_program("mosquitto"), find_program("prlimit")
        assert program is not None
        assert limits is not None
        file = self.folder / "etc" / "mosquitto.conf"
        connections = re.search(r"^max_connections (\d+)$", file.read_text(), re.MULTILINE)
        assert connections is not None
        descriptors = int(connections.group(1)) + 100  # LimitNOFILE of the role's drop-in
        argv = bound_to_us([limits, f"--nofile={descriptors}", program, "-c", str(file)])
        before = len(self.lines)
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._process = process
        Thread(target=self._listen, args=(process,), daemon=True).start()

        def listens() -> bool:
            assert process.poll() is None, f"mosquitto ended: {[line for _, line in self.lines][before:]}"
            return f":{self.port:04X} 00000000:0000 0A" in Path(f"/proc/{process.pid}/net/tcp").read_text()

        eventually(listens, START_S, f"mosquitto listens on {self.url}")
        return begun_s

    def stop(self) -> None:
        """End it, as a service manager would."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            process.wait(START_S)

    def connects(self) -> list[tuple[float, str]]:
        """Every time it let somebody in: when, and whom."""
        found = ((at_s, re.match(r"New client connected from \S+ as (\S+) ", line)) for at_s, line in list(self.lines))
        return [(at_s, match.group(1)) for at_s, match in found if match]

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr is not None
        with process.stderr as log:
            for line in log:
                self.lines.append((now_s(), line.decode(errors="replace").rstrip()))


def _changes(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    return {
        host: int(count) for host, count in re.findall(r"^(\S+)\s*: ok=\d+\s+changed=(\d+)", done.stdout, re.MULTILINE)
    }
