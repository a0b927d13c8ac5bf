"""Fifty kills and hundreds of power cuts in the middle of an install: every box that is left works."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_runtime.clock import now_s
from edge_runtime.release.archive import Track, find_damage
from edge_runtime.release.install import Installer
from edge_runtime.release.shelf import LINKS, Shelf
from tests.fixtures.releases import Desk
from tests.fleet.powercut import Node, Replay, copy_linked, cut, read_tree, trace

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(400)]

SEED = 11
KILLS = 50
CUTS = 150
SHOWN_OF_KILLS, SHOWN_OF_CUTS = 10, 6
"""So many boxes also show a picture and take the update once more; the others are looked at file by file."""

CONFIG = """
device_id = "box"
rate_hz = 60
[display]
kind = "headless"
canvas_px = [320, 180]
[[scenes]]
name = "plain"
[[scenes.layers]]
kind = "fill"
"""
RUNTIME: Track = "runtime"
TELLING = ("rename", "symlink", "fsync", "sync", "mkdir", "unlink", "chmod")
"""What names and bytes depend on."""


@dataclass
class Boxes:
    """A box with release 1.0 at work, and 1.1 in a file."""

    folder: Path
    desk: Desk
    update: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def command(self, root: Path, *arguments: str) -> list[str]:
        places = ["--root", str(root), "--policy", str(self.folder / "release.toml")]
        return [str(root / "runtime/current/bin/edge-runtime"), "release", *arguments, *places, *self.config]

    @property
    def config(self) -> list[str]:
        return ["--config", str(self.folder / "device.toml")]

    def shows(self, root: Path) -> bool:
        """The show of a box, as its unit starts it, presents pictures."""
        launcher = root / "runtime/current/bin/edge-runtime"
        arguments = [
            "run",
            str(self.folder / "device.toml"),
            "--rehearsal",
            "--seconds",
            "0.2",
            "--stats",
            "-",
            "--json",
        ]
        folders = {name: str(self.folder / "run") for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY")}
        done = subprocess.run(
            [str(launcher), *arguments], env={**os.environ, **folders}, capture_output=True, text=True, check=True
        )
        statistics = json.loads(done.stdout[done.stdout.index("{\n") :])
        return statistics["start"]["first_picture_s"] is not None


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Boxes:
    folder = tmp_path_factory.mktemp("boxes")
    desk = Desk(folder / "desk")
    desk.write_policy(folder / "release.toml", 'platform = "cpu"', "[gate]", "rehearse_s = 0.2")
    (folder / "device.toml").write_text(CONFIG)
    for version in ("1.0", "1.1"):
        build = [sys.executable, "-m", "edge_runtime", "release", "build", "runtime", "--version", version]
        subprocess.run([*build, "--key", str(desk.key_file), "--out", str(folder / f"{version}.tar")], check=True)
    made = Boxes(folder, desk, folder / "1.1.tar")
    first = [sys.executable, "-m", "edge_runtime", *made.command(made.root, "install", str(folder / "1.0.tar"))[1:]]
    subprocess.run(first, check=True)
    return made


def version_that_works(root: Path) -> str:
    """What a box starts next, after it came up again. Every link leads to a whole release."""
    Installer(root, Desk(root.parent / "nobody").policy(), root / "none").settle()
    shelf = Shelf(root, RUNTIME)
    for link in LINKS:
        release = shelf.linked(link)
        assert release is not None or not (shelf.folder / link).is_symlink(), f"{link} leads nowhere"
        assert release is None or find_damage(release) is None
    current = shelf.linked("current")
    assert current is not None
    assert (current / "environment/bin/python").exists()
    return current.name


def test_fifty_installs_killed_at_any_moment_leave_fifty_boxes_that_work(
    boxes: Boxes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half at a moment, half at a system call: names change in microseconds, which no clock would hit."""
    luck = random.Random(SEED)
    whole, log = copy_linked(boxes.root, tmp_path / "whole"), tmp_path / "trace"
    started_s = now_s()
    strace = ["strace", "-e", f"trace={','.join(TELLING)}", "-o", str(log)]
    subprocess.run([*strace, *boxes.command(whole, "install", str(boxes.update))], check=True, capture_output=True)
    takes_s = now_s() - started_s
    assert version_that_works(whole) == "1.1"
    calls = Counter(line.partition("(")[0] for line in log.read_text().splitlines() if line.startswith(TELLING))
    seen: Counter[str] = Counter()
    for number in range(KILLS):
        root = copy_linked(boxes.root, tmp_path / f"box{number}")
        install = boxes.command(root, "install", str(boxes.update))
        if number % 2:
            name = luck.choice(sorted(calls))
            which = luck.randint(max(1, calls[name] - 20), calls[name])
            install = ["strace", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={which}", *install]
        with subprocess.Popen(install, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(60 if number % 2 else luck.uniform(0, takes_s))
            except subprocess.TimeoutExpired:
                process.kill()
        seen[f"{version_that_works(root)}, {'killed' if process.returncode else 'done'}"] += 1
        if number % (KILLS // SHOWN_OF_KILLS) == 0:
            assert boxes.shows(root)
            subprocess.run(boxes.command(root, "install", str(boxes.update)), check=True, capture_output=True)
            assert version_that_works(root) == "1.1"
    with capsys.disabled():
        print(f"\n{KILLS} installs of {takes_s:.1f} s, killed with seed {SEED}: {dict(seen)}")
    assert seen.total() == KILLS
    assert sum(count for what, count in seen.items() if "killed" in what) > KILLS / 2


def test_a_power_cut_at_any_moment_of_an_install_leaves_a_box_that_works(
    boxes: Boxes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    luck = random.Random(SEED)
    root, before = copy_linked(boxes.root, tmp_path / "root"), copy_linked(boxes.root, tmp_path / "before")
    log = tmp_path / "trace"
    trace(boxes.command(root, "install", str(boxes.update)), log)
    first = Replay(root, at_rest(before))
    calls = list(first.follow(log))
    assert sum(name.startswith("rename") for name in calls) >= 3, "the release, and two links"
    switching = [number for number, name in enumerate(calls) if name != "write"]
    moments = Counter(luck.choices(switching, k=CUTS) + switching[-CUTS:])
    replay, seen = Replay(root, at_rest(before), first.finals), Counter[str]()
    for number, _ in enumerate(replay.follow(log)):
        for _ in range(moments[number]):
            left = tmp_path / "left"
            cut(replay.tree, left, luck, luck.choice([0.0, 0.5, 1.0]))
            (left / "environments").symlink_to(before / "environments")
            seen[version_that_works(left)] += 1
            if seen.total() % (moments.total() // SHOWN_OF_CUTS) == 0:
                assert boxes.shows(left)
                subprocess.run(boxes.command(left, "install", str(boxes.update)), check=True, capture_output=True)
                assert version_that_works(left) == "1.1"
            shutil.rmtree(left)
    with capsys.disabled():
        print(f"\n{len(calls)} changes, {moments.total()} power cuts with seed {SEED}: {dict(seen)}")
    assert set(seen) == {"1.0", "1.1"}


def at_rest(root: Path) -> Node:
    """A box before the update, without its environments: this update brings none."""
    tree = read_tree(root)
    for entries in (tree.entries, tree.lasting_entries):
        del entries["environments"]
    return tree
