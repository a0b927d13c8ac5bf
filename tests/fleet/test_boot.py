"""The harness itself: a bare Debian boots, does as it is told, and leaves nothing behind."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.boot import Box
from tests.fleet.rootfs import bare, lent

SYS_MODULE, SYS_RAWIO, SYS_TIME = 16, 17, 25
"""Capabilities for what all boxes and this machine share. Source: capabilities(7)."""

pytestmark = [pytest.mark.fleet, pytest.mark.usefixtures("box_mounts"), pytest.mark.timeout(900)]


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with lent(bare(), tmp_path) as root, Box(root) as box:
        yield box


def test_a_box_boots_goes_down_in_order_and_comes_back_with_what_it_wrote(box: Box) -> None:
    assert box.systemctl("is-system-running").stdout.strip() == "running"
    assert box.run("cat", "/proc/1/comm").stdout.strip() == "systemd"
    box.run("sh", "-c", "echo kept >/var/lib/note")
    box.reboot()
    assert (box.root.path / "var/lib/note").read_text() == "kept\n"
    box.power_off()
    assert not box.up
    assert len({entry["_BOOT_ID"] for entry in box.journal()}) == 2
    box.boot()
    box.kill()
    assert not box.up


def test_a_box_reaches_nothing_of_the_machine_that_it_runs_on(box: Box) -> None:
    for settings in ("/proc/sys/kernel/panic", "/sys/power"):
        assert box.run("test", "-w", settings, check=False).returncode != 0, settings
    for process in ("1", "self"):  # looked at and not tried: a try that succeeds would set this machine's clock
        status = box.run("cat", f"/proc/{process}/status").stdout
        held = int(re.findall(r"CapBnd:\s*(\w+)", status)[0], 16) | int(re.findall(r"CapEff:\s*(\w+)", status)[0], 16)
        assert not held & (1 << SYS_TIME | 1 << SYS_MODULE | 1 << SYS_RAWIO), process
    assert box.run("ls", "/sys/class/net").stdout.split() == ["lo"]
    programs = box.run("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()
    assert "systemd" in programs
    assert Path("/proc/self/comm").read_text().strip() not in programs


def test_nothing_of_a_box_is_left(tmp_path: Path) -> None:
    with lent(bare(), tmp_path) as root, Box(root) as box:
        cgroup = box._cgroup.folder
        pid = box._first_pid()
    assert not cgroup.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert not any((tmp_path).iterdir())
