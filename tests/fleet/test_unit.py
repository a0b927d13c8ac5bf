"""edge-runtime.service under a real systemd: up by itself after a boot, and back from whatever befalls it."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from edge_runtime.realtime import SHOW_PRIORITY, X_SERVER_PRIORITY
from tests.fixtures.device import crew
from tests.fixtures.waiting import eventually, throughout
from tests.fleet.boot import RAISES_LIMITS, Box
from tests.fleet.product import UNIT, UNITS, configure, equipped, install, make_release
from tests.fleet.rootfs import lent
from tests.fleet.station import BACK_S, SCREEN, Station, put_screen

pytestmark = [pytest.mark.fleet, pytest.mark.usefixtures("box_mounts"), pytest.mark.timeout(120)]

LAST_RESORT = "edge-runtime-reboot.service"
PARTS = ("camera:main", "worker:main", "hub", "show")
MAX_EXPOSURE = 2.5
BOOT_TO_PICTURE_S = 15.0
STOP_S = 5.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("unit")
    with lent(equipped(), folder / "box") as root:
        install(root, make_release(folder))
        configure(root, crew())
        put_screen(root)
        with Box(root) as box:
            station = Station(box)
            station.restart()
            yield station


@pytest.fixture
def station(shared: Station) -> Station:
    shared.recover()
    return shared


# -- starting and stopping -------------------------------------------------------------------------------------------


def test_after_a_boot_the_picture_comes_by_itself_on_the_screen(station: Station) -> None:
    station.box.reboot()
    assert station.box.systemctl("is-active", UNIT).stdout == "active\n"
    took_s = int(station.box.show(UNIT, "ActiveEnterTimestampMonotonic")) / 1e6 - station.box.booted_s
    print(f"boot to first picture: {took_s:.2f} s")
    assert took_s < BOOT_TO_PICTURE_S
    station.wait_up()
    display = station.ask("status")["display"]
    assert (display["kind"], display["driver"]) == ("surface", "x11")


def test_ready_is_told_with_the_first_picture_and_not_before(station: Station) -> None:
    box = station.box
    box.systemctl("stop", UNIT)
    box.systemctl("start", "--no-block", UNIT)
    show = eventually(lambda: station.pid_of("show"), BACK_S, "the show starts")
    station.hurt(show, signal.SIGSTOP)
    assert station.ask("ps")["show"]["state"] == "starting"
    throughout(lambda: box.show(UNIT, "ActiveState") == "activating", 1.0, "no picture, no readiness")
    station.hurt(show, signal.SIGCONT)
    eventually(lambda: box.show(UNIT, "ActiveState") == "active", BACK_S, "the first picture")
    assert box.show(UNIT, "StatusText") == "presenting"
    assert station.pid_of("show") == show


def test_a_show_that_never_comes_ends_the_start(station: Station) -> None:
    box = station.box
    box.systemctl("stop", UNIT)
    station.change("TimeoutStartSec=2")
    box.systemctl("start", "--no-block", UNIT)
    station.hurt(eventually(lambda: station.pid_of("show"), BACK_S, "the show starts"), signal.SIGSTOP)
    first = station.main_pid()
    eventually(lambda: box.show(UNIT, "Result") == "timeout", BACK_S, "systemd gives up this start")
    station.change()  # at once: what starts next has the usual time
    station.wait_up(not_main_pid=first)


def test_a_stop_is_quick_clean_and_leaves_nothing(station: Station) -> None:
    box = station.box
    box.systemctl("stop", UNIT)
    begun_us, ended_us = (int(box.show(UNIT, f"{edge}TimestampMonotonic")) for edge in ("ActiveExit", "InactiveEnter"))
    assert (ended_us - begun_us) / 1e6 < STOP_S
    assert (box.show(UNIT, "Result"), box.show(UNIT, "ExecMainStatus")) == ("success", "0")
    assert station.processes() == []
    assert not box.path("/run/edge-runtime").exists()


# -- coming back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_is_back_and_systemd_never_knew(part: str, station: Station) -> None:
    supervisor, restarts, pid = station.main_pid(), station.restarts(), station.pid_of(part)
    station.hurt(pid, signal.SIGKILL)
    eventually(lambda: station.pid_of(part) not in {0, pid}, BACK_S, f"{part} is started again")
    station.wait_up()
    assert (station.main_pid(), station.restarts()) == (supervisor, restarts)


def test_with_the_supervisor_everything_goes_and_comes_back(station: Station) -> None:
    supervisor, restarts, before = station.main_pid(), station.restarts(), set(station.processes())
    station.hurt(supervisor, signal.SIGKILL)
    station.wait_up(not_main_pid=supervisor)
    assert station.restarts() == restarts + 1
    assert not before & set(station.processes())


def test_a_supervisor_that_hangs_is_found_by_the_watchdog(station: Station) -> None:
    supervisor, restarts, before = station.main_pid(), station.restarts(), set(station.processes())
    station.hurt(supervisor, signal.SIGSTOP)
    station.wait_up(not_main_pid=supervisor)
    assert station.restarts() == restarts + 1
    assert not before & set(station.processes())
    assert any("result 'watchdog'" in str(entry["MESSAGE"]) for entry in station.box.journal(UNIT))


def test_a_show_that_hangs_is_replaced_and_systemd_never_knew(station: Station) -> None:
    supervisor, restarts, show = station.main_pid(), station.restarts(), station.pid_of("show")
    station.hurt(show, signal.SIGSTOP)
    eventually(lambda: station.pid_of("show") not in {0, show}, BACK_S, "another show")
    station.wait_up()
    assert (station.main_pid(), station.restarts()) == (supervisor, restarts)


def test_where_no_show_presents_a_well_supervisor_is_started_anew_too(station: Station) -> None:
    supervisor, restarts, show = station.main_pid(), station.restarts(), station.pid_of("show")
    station.hurt(show, signal.SIGSTOP)
    successor = eventually(lambda: {station.pid_of("show")} - {0, show}, BACK_S, "another show").pop()
    station.hurt(successor, signal.SIGSTOP)
    station.wait_up(not_main_pid=supervisor)
    assert station.restarts() == restarts + 1


def test_a_screen_that_dies_comes_back_with_the_picture(station: Station) -> None:
    box = station.box
    screen = int(box.show(SCREEN, "MainPID"))
    station.hurt(screen, signal.SIGKILL)
    eventually(lambda: int(box.show(SCREEN, "MainPID")) not in {0, screen}, BACK_S, "another X server")
    eventually(lambda: station.ask("status").get("display", {}).get("kind") == "surface", BACK_S, "on the screen again")
    station.wait_up()


# -- when nothing helps ----------------------------------------------------------------------------------------------


@contextmanager
def rebooting_after(station: Station, uptime_s: int) -> Iterator[None]:
    """The last resort starts the box anew once it is up for that long."""
    drop_in = station.box.drop_in(LAST_RESORT, "[Service]", f"Environment=AFTER_BOOT_S={uptime_s} PAUSE_S=2")
    station.box.systemctl("daemon-reload")
    try:
        yield
    finally:
        drop_in.unlink()
        if station.box.up:
            station.box.systemctl("daemon-reload")


def fail_at_every_start(station: Station) -> None:
    station.box.systemctl("stop", UNIT)
    station.change("ExecStart=", "ExecStart=/bin/false", "RestartSec=50ms")
    station.box.systemctl("start", "--no-block", UNIT)


def test_starts_that_hang_are_counted_until_they_are_too_many(station: Station) -> None:
    unit = station.box.run("systemctl", "cat", UNIT).stdout
    start, stop, pause, interval, burst = (
        int(re.findall(rf"^{key}=(\d+)$", unit, re.MULTILINE)[0])
        for key in ("TimeoutStartSec", "TimeoutStopSec", "RestartSec", "StartLimitIntervalSec", "StartLimitBurst")
    )
    assert burst * (start + stop + pause) < interval


def test_a_show_that_cannot_start_is_tried_again_until_a_person_steps_in(station: Station) -> None:
    box = station.box
    assert box.show(LAST_RESORT, "Environment") == "AFTER_BOOT_S=600 PAUSE_S=30"
    with rebooting_after(station, 10**9):
        rounds = rounds_of_starts(box)
        fail_at_every_start(station)
        eventually(lambda: rounds_of_starts(box) >= rounds + 3, BACK_S, "it is tried again and again")
        assert box.show(LAST_RESORT, "ActiveState") == "active"
        station.restart()
        supervisor = station.main_pid()
        eventually(lambda: box.show(LAST_RESORT, "ActiveState") == "inactive", BACK_S, "it has nothing left to do")
        assert (station.main_pid(), box.show(UNIT, "ActiveState")) == (supervisor, "active")


def rounds_of_starts(box: Box) -> int:
    """Those that came to nothing."""
    return sum("Start request repeated too quickly" in str(entry["MESSAGE"]) for entry in box.journal(UNIT))


def test_a_show_that_cannot_start_has_the_box_started_anew(station: Station) -> None:
    with rebooting_after(station, 1):
        fail_at_every_start(station)
        assert station.box.wait_down() == "reboot"
        station.change()
        station.box.boot(settled=False)
        station.wait_up()


@pytest.mark.parametrize(
    ("change", "restarts", "result"),
    [
        (("TimeoutStopSec=1ms",), 1, "Failed with result 'timeout'"),
        (("[Unit]", "StartLimitBurst=2"), 3, "Start request repeated too quickly"),
    ],
    ids=["a stop that has to be enforced", "too many restarts by hand"],
)
def test_what_befalls_a_good_show_costs_neither_the_picture_nor_the_box(
    station: Station, change: tuple[str, ...], restarts: int, result: str
) -> None:
    box, ended = station.box, "ExecMainExitTimestampMonotonic"
    station.change(*change)
    with rebooting_after(station, 1):
        for _ in range(2):  # it comes whenever it is needed
            supervisor, told, before = station.main_pid(), len(box.journal(UNIT)), box.show(LAST_RESORT, ended)
            for _ in range(restarts):
                box.systemctl("restart", UNIT, check=False)
            assert any(result in str(entry["MESSAGE"]) for entry in box.journal(UNIT)[told:])
            came_and_went = partial(lambda before: box.show(LAST_RESORT, ended) not in {"0", before}, before)
            eventually(came_and_went, BACK_S, "the last resort comes and goes")
            station.wait_up(not_main_pid=supervisor)


# -- what it may do --------------------------------------------------------------------------------------------------


def test_its_files_are_without_fault_to_systemd(station: Station) -> None:
    units = [f"/etc/systemd/system/{path.name}" for path in UNITS.iterdir() if path.suffix == ".service"]
    done = station.box.run("systemd-analyze", "verify", *units, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_its_sandbox_leaves_little_open(station: Station) -> None:
    exposure = f"--threshold={MAX_EXPOSURE * 10:.0f}"
    done = station.box.run("systemd-analyze", "security", "--no-pager", exposure, UNIT, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("place", "writable"),
    [
        ("/opt/edge-runtime", False),
        ("/etc/edge-runtime", False),
        ("/usr/local", False),
        ("/var/lib/edge-runtime", True),
        ("/var/cache/edge-runtime", True),
        ("/run/edge-runtime", True),
    ],
)
def test_it_writes_where_its_state_is_and_nowhere_else(place: str, station: Station, *, writable: bool) -> None:
    seen = ["nsenter", "--target", str(station.main_pid()), "--mount", "--setuid", "0"]
    assert (station.box.run(*seen, "test", "-w", place, check=False).returncode == 0) == writable


def test_a_device_that_is_not_named_is_out_of_reach(station: Station) -> None:
    box = station.box
    box.run("sh", "-c", "test -e /dev/fuse || mknod /dev/fuse c 10 229")
    enter = f"echo $$ >/sys/fs/cgroup{box.show(UNIT, 'ControlGroup')}/cgroup.procs"
    assert box.run("sh", "-c", ": </dev/fuse", check=False).returncode == 0
    refused = box.run("sh", "-c", f"{enter} && : </dev/fuse", check=False)
    assert "Operation not permitted" in refused.stderr
    assert box.run("sh", "-c", f"{enter} && : </dev/null").returncode == 0


def test_show_and_screen_are_real_time_as_far_as_this_machine_grants_it(station: Station) -> None:
    box = station.box
    policies = {pid: box.run("chrt", "--pid", str(pid)).stdout for pid in (station.pid_of("show"), station.main_pid())}
    show, supervisor = policies.values()
    assert f"priority: {X_SERVER_PRIORITY}" in box.run("chrt", "--pid", box.show(SCREEN, "MainPID")).stdout
    assert "SCHED_OTHER" in supervisor
    assert box.show(UNIT, "LimitRTPRIO") == "20"
    if RAISES_LIMITS:
        assert f"priority: {SHOW_PRIORITY}" in show
    else:
        assert box.events(UNIT, "realtime_refused")
