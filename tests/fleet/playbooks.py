"""Our playbooks, run as the fleet engineer runs them, on boxes that are roots for tests.

    venue = VenueOfRoots(folder, {"foyer-left": root.path}, {"display_server": "none"})
    first = venue.play("site.yml")             # Run: changed, failed, text, seconds
    assert venue.play("site.yml").changed["foyer-left"] == 0

A root is reached by chroot, and has to be `online` for that; a box that is up by nsenter, with `by_nsenter`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.clock import now_s
from tests.fixtures.device import REPOSITORY
from tests.fleet.boot import Box

ANSIBLE = REPOSITORY / "ansible"
PROGRAMS = Path(sys.executable).parent
PLAY_S = 900.0
BY_CHROOT = {
    "ansible_connection": "community.general.chroot",
    "ansible_python_interpreter": "/usr/bin/python3",
    "ansible_become": False,
}
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """What a playbook did."""

    text: str
    code: int
    seconds: float
    changed: Mapping[str, int]
    """By host; hosts that were not reached by the run are missing."""
    failed: Mapping[str, int]

    @property
    def changes(self) -> list[str]:
        """The tasks that changed something, or would."""
        blocks = self.text.split("\nTASK [")[1:]
        return [block.partition("]")[0] for block in blocks if re.search(r"^changed: ", block, re.MULTILINE)]


@dataclass
class VenueOfRoots:
    """An inventory in a folder of its own, and our playbooks."""

    folder: Path
    roots: Mapping[str, Path]
    variables: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    host_variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write()

    def write(self) -> None:
        """The inventory, after something in it was changed."""
        reached = {name: {**BY_CHROOT, "ansible_host": str(path)} for name, path in self.roots.items()}
        tree: dict[str, Any] = {
            "all": {"vars": self.variables},
            "boxes": {"hosts": {name: {**how, **self.host_variables.get(name, {})} for name, how in reached.items()}},
            **{name: {"hosts": {host: {} for host in hosts}} for name, hosts in self.groups.items()},
        }
        self.inventory.write_text(json.dumps(tree, indent=1))

    @property
    def inventory(self) -> Path:
        return self.folder / "venue.yml"

    def play(self, playbook: str, *arguments: str, check: bool = True) -> Run:
        """Run one of our playbooks; `check`: it has to do well."""
        argv = [f"{PROGRAMS}/ansible-playbook", "-i", str(self.inventory), str(ANSIBLE / playbook), *arguments]
        environment = {
            **os.environ,
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }
        start_s = now_s()
        done = subprocess.run(
            argv, cwd=ANSIBLE, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PLAY_S, check=False,
        )  # fmt: skip
        text = done.stdout + done.stderr
        rows = _RECAP.findall(text)
        run = Run(
            text,
            done.returncode,
            now_s() - start_s,
            {name: int(changed) for name, changed, _, _ in rows},
            {name: int(unreachable) + int(failed) for name, _, unreachable, failed in rows},
        )
        assert not check or run.code == 0, text[-6000:]
        return run


def by_nsenter(box: Box, folder: Path) -> dict[str, Any]:
    """Host variables by which a box that is up is reached: as by SSH, Ansible's programs run in it."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "into-box"
    script.write_text(
        f'#!/bin/sh\nshift # the root, which it is in anyway\nexec {" ".join(box.command())} HOME=/root "$@"\n'
    )
    script.chmod(0o755)
    return {"ansible_host": str(box.root.path), "ansible_chroot_exe": str(script)}
