"""The harness itself: a bare Debian boots, does as it is told, and leaves nothing behind."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.boot import Box
from tests.fleet.rootfs import bare, lent

SHARED = 1 << 16 | 1 << 17 | 1 << 25
"""CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_TIME: for what all boxes and this machine have in common. capabilities(7)."""

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
    for process in ("1", "self"):
        assert not held(box.run("cat", f"/proc/{process}/status").stdout) & SHARED, process
    assert box.run("ls", "/sys/class/net").stdout.split() == ["lo"]
    programs = box.run("sh", "-c", "cat /proc/[0-9]*/comm").stdout.split()
    assert "systemd" in programs
    assert Path("/proc/self/comm").read_text().strip() not in programs


def test_nor_does_a_root_that_is_only_entered(tmp_path: Path) -> None:
    with lent(bare(), tmp_path) as root, root.online():
        assert root.run("test", "-w", "/proc/sys/kernel/panic", check=False).returncode != 0
        assert not held(root.run("cat", "/proc/self/status").stdout) & SHARED
        assert not any(path.is_block_device() for path in (root.path / "dev").iterdir())


def held(status: str) -> int:
    """Capabilities that a process has or could get. Looked at and not tried: a try would be felt outside."""
    sets = re.findall(r"^Cap(?:Bnd|Eff|Prm):\s*(\w+)", status, re.MULTILINE)
    assert len(sets) == 3
    return int(sets[0], 16) | int(sets[1], 16) | int(sets[2], 16)


def test_nothing_of_a_box_is_left(tmp_path: Path) -> None:
    with lent(bare(), tmp_path) as root, Box(root) as box:
        cgroup = box._cgroup.folder
        pid = box._first_pid()
    assert not cgroup.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert not any((tmp_path).iterdir())
