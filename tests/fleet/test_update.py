"""Updates of a box that runs, under a real systemd: good ones stay, bad ones go by themselves."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.releases import Desk
from tests.fixtures.waiting import eventually
from tests.fleet.boot import Box
from tests.fleet.product import CONFIG as CONFIG_FILE
from tests.fleet.product import Release, configure, equipped, make_release
from tests.fleet.product import install as put
from tests.fleet.rootfs import lent
from tests.fleet.variants import FAULTS, build_variant

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(300), pytest.mark.usefixtures("box_mounts")]

DARK_S = 5.0
SHOW = "edge-runtime.service"
POLICY = "etc/edge-runtime/release.toml"
LAUNCHER = "/opt/edge-runtime/runtime/current/bin/edge-runtime"
CONFIG = """
device_id = "box"
rate_hz = 60
[display]
kind = "headless"
canvas_px = [320, 180]
[[cameras]]
name = "main"
source = "synthetic"
size_px = [160, 90]
[[scenes]]
name = "plain"
[[scenes.layers]]
kind = "picture"
source = "camera.main"
"""
HURRIED = 'platform = "cpu"\n[gate]\nrehearse_within_s = 15\nwatch_s = 6\nmissed_share = 0.1\n'
"""Watches for less long than on a real box, and lets more pass: what is tested here misses every other frame."""
GATE = HURRIED + "first_picture_s = 10\ndark_s = 20\n"
"""Patient where it is not tested how long a release may take to start."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def desk(release: Release) -> Desk:
    return release.desk


@pytest.fixture(scope="module")
def box(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box that shows release 1.0."""
    with lent(equipped(), tmp_path_factory.mktemp("box")) as root:
        put(root, release)
        release.desk.write_policy(root.path / POLICY, GATE)
        configure(root, CONFIG)
        with Box(root) as box:
            assert box.systemctl("is-active", SHOW).stdout == "active\n"
            yield box


def install(box: Box, release: Path) -> tuple[int, str]:
    """Exit code and what it says."""
    shutil.copy(release, box.root.path / "srv/update.tar")
    done = box.run(LAUNCHER, "release", "install", "/srv/update.tar", check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def dark_s(box: Box, since_us: int) -> float:
    """The longest time without a picture: from when the show was stopped, or ended, until the next presented one."""
    longest, gone_us, told = 0.0, None, []
    for entry in box.journal(SHOW):
        at_us, text = int(entry["__MONOTONIC_TIMESTAMP"]), str(entry.get("MESSAGE"))
        if at_us < since_us:
            continue
        told.append(f"{at_us / 1e6:.3f} {text[:200]}")
        if entry.get("_PID") != "1":
            continue
        if text.startswith("Started") and gone_us is not None:
            longest, gone_us = max(longest, (at_us - gone_us) / 1e6), None
        elif gone_us is None and ("Stopping" in text or "Main process exited" in text):
            gone_us = at_us
    assert gone_us is None, "\n".join(["the picture is not back", *told])
    return longest


def last_us(box: Box) -> int:
    return int(box.journal(SHOW)[-1]["__MONOTONIC_TIMESTAMP"]) + 1


def running(box: Box) -> str:
    """The version whose code presents pictures now."""
    command = box.run("cat", f"/proc/{box.show(SHOW, 'MainPID')}/cmdline").stdout
    return command.partition("/releases/")[2].partition("/")[0]


VERSIONS = {fault: f"2.{number}" for number, fault in enumerate(FAULTS) if fault != "good"}


@pytest.mark.parametrize(
    ("fault", "words", "seen"),
    [
        ("crashes at start", "of rehearsal: supervisor: part_ended name show, reason exit 1", False),
        ("never starts", "is not done after 15 s of rehearsal: it says nothing", False),
        ("crashes at start, on the air only", "ends before its first picture (exit-code)", True),
        pytest.param("never starts, on the air only", "presents no picture within", True, marks=pytest.mark.quiet),
        ("dies after five seconds", "ended while it was watched", True),
        ("misses frames", "10.0 % are allowed", True),
    ],
)
def test_a_bad_update_goes_by_itself_and_the_picture_is_back_within_seconds(
    box: Box, desk: Desk, capsys: pytest.CaptureFixture[str], fault: str, words: str, *, seen: bool
) -> None:
    desk.write_policy(box.root.path / POLICY, HURRIED if "never" in fault else GATE)
    before, since_us = running(box), last_us(box)
    code, told = install(box, build_variant(desk, VERSIONS[fault], fault))
    desk.write_policy(box.root.path / POLICY, GATE)
    assert code == 3, told
    assert words in told
    assert told.count("\n") == 0
    gone_s = dark_s(box, since_us)
    with capsys.disabled():
        print(f"\n{fault}: dark for {gone_s:.1f} s; {told}")
    assert (gone_s > 0) == seen, "what is found out in rehearsal never touches the screen"
    assert gone_s < DARK_S
    assert running(box) == before
    assert box.systemctl("is-active", SHOW).stdout == "active\n"


def test_a_good_update_stays_and_can_be_rolled_back_by_hand(
    box: Box, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    before, since_us = running(box), last_us(box)
    code, told = install(box, build_variant(desk, "3.0"))
    assert (code, told) == (0, "runtime 3.0 runs now, kept on the show's own figures")
    assert running(box) == "3.0"
    gone_s = dark_s(box, since_us)
    assert gone_s < DARK_S
    box.run(LAUNCHER, "release", "rollback", "runtime")
    assert running(box) == before
    with capsys.disabled():
        print(f"\na good update: dark for {gone_s:.1f} s; there and back {dark_s(box, since_us):.1f} s")


def test_what_is_not_signed_or_tampered_with_never_replaces_what_runs(box: Box, desk: Desk, tmp_path: Path) -> None:
    before, since_us = running(box), last_us(box)
    release = build_variant(desk, "4.0")
    tampered = tmp_path / "tampered.tar"
    tampered.write_bytes(release.read_bytes().replace(b"The show:", b"The shoe:"))
    foreign = Desk(tmp_path / "other")
    for path, words in ((tampered, "was altered"), (build_variant(foreign, "4.1"), "fits none of the 1 trusted_keys")):
        code, told = install(box, path)
        assert code == 2
        assert words in told
        assert told.count("\n") == 0
    assert running(box) == before
    assert dark_s(box, since_us) == 0.0


def test_a_power_cut_in_a_trial_is_undone_before_the_show_starts(box: Box, desk: Desk) -> None:
    before = running(box)
    shelf = box.root.path / "opt/edge-runtime/runtime"
    release = build_variant(desk, "5.0", "never starts, on the air only")
    shutil.copy(release, box.root.path / "srv/update.tar")
    box.run("systemd-run", "--no-block", LAUNCHER, "release", "install", "/srv/update.tar")
    eventually(lambda: (shelf / "current").readlink().name == "5.0", 60, "the trial has switched")
    box.kill()
    box.boot()
    assert running(box) == before
    assert box.run(LAUNCHER, "release", "list").stdout.count("was on trial when the trial was cut short") == 1


def test_where_the_one_before_it_does_not_come_back_either_that_is_told(box: Box, desk: Desk) -> None:
    shutil.copy(build_variant(desk, "6.0", "never starts, on the air only"), box.root.path / "srv/update.tar")
    current, config = (box.root.path / path for path in ("opt/edge-runtime/runtime/current", CONFIG_FILE))
    before, good = running(box), config.read_text()
    box.run("systemd-run", "--no-block", "--unit=update", LAUNCHER, "release", "install", "/srv/update.tar")
    try:
        eventually(lambda: current.readlink().name == "6.0", 60, "the trial has switched")
        config.write_text("of no use to any release")
        judged = eventually(lambda: [line for line in told_by_install(box) if "6.0" in line], 60, "it is judged")
    finally:
        config.write_text(good)
    assert len(judged) == 1
    assert judged[0].startswith("runtime 6.0 presents no picture within ")
    back = "and the one before it, started again, ends before its first picture (exit-code)"
    assert judged[0].endswith(f" s, {back}; {before} stays")
    eventually(lambda: box.show(SHOW, "ActiveState") == "active", 60, "with its config the show is back")
    assert running(box) == before


def told_by_install(box: Box) -> list[str]:
    return [str(entry["MESSAGE"]) for entry in box.journal("update.service")]
