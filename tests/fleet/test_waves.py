"""update.yml on boxes that are up: canaries first, then everybody, and nobody after the first that does not do."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fleet.boot import Box
from tests.fleet.playbooks import Run, VenueOfRoots, by_nsenter
from tests.fleet.product import Release, configure, equipped, install, make_release
from tests.fleet.rootfs import lent
from tests.fleet.test_update import CONFIG, SHOW, running
from tests.fleet.variants import build_variant

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(600), pytest.mark.usefixtures("box_mounts")]

CANARY, OTHER = "bench", "foyer-left"
GATE = {"rehearse_within_s": 15, "watch_s": 2, "missed_share": 0.5, "first_picture_s": 15, "dark_s": 60}
"""Patient: here it is about who comes when."""


class Fleet:
    """Two boxes, one of them a canary, all on release 1.0."""

    def __init__(self, folder: Path, release: Release, boxes: dict[str, Box]) -> None:
        self.boxes = boxes
        self._venue = VenueOfRoots(
            folder,
            {name: box.root.path for name, box in boxes.items()},
            {
                "edge_runtime_trusted_keys": [release.desk.public_key.hex()],
                "edge_runtime_platform": "cpu",
                "edge_runtime_gate": GATE,
            },
            {"canaries": [CANARY]},
            {name: by_nsenter(box, folder / name) for name, box in boxes.items()},
        )

    def update(self, file: Path) -> Run:
        return self._venue.play("update.yml", "--tags", "runtime", "-e", f"edge_runtime_release={file}", check=False)

    def running(self) -> dict[str, str]:
        return {name: running(box) for name, box in self.boxes.items()}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def fleet(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder, boxes = tmp_path_factory.mktemp("fleet"), {}
    with ExitStack() as stack:
        for name in (CANARY, OTHER):
            root = stack.enter_context(lent(equipped(), folder / f"{name}-root"))
            install(root, release)
            configure(root, CONFIG.replace("rate_hz = 60", "rate_hz = 20"))
            boxes[name] = stack.enter_context(Box(root))
        yield Fleet(folder, release, boxes)


def test_a_release_that_the_canary_rejects_reaches_nobody_else(fleet: Fleet, release: Release) -> None:
    before = fleet.running()
    pids = {name: box.show(SHOW, "MainPID") for name, box in fleet.boxes.items()}
    run = fleet.update(build_variant(release.desk, "4.0", "crashes at start"))
    assert run.code != 0
    assert run.failed == {CANARY: 1}, "the other one was not even asked"
    assert re.search(r"runtime 4\.0 .* rehearsal", run.text)
    assert fleet.running() == before
    assert {name: box.show(SHOW, "MainPID") for name, box in fleet.boxes.items()} == pids


def test_a_release_that_nobody_signed_reaches_nobody(fleet: Fleet, release: Release) -> None:
    before = fleet.running()
    run = fleet.update(release.desk.build("5.0", track="runtime", signed=False))
    assert run.failed == {CANARY: 1}
    assert "is not signed and this box requires it" in run.text
    assert fleet.running() == before


def test_a_good_release_reaches_the_canary_first_and_then_everybody(fleet: Fleet, release: Release) -> None:
    run = fleet.update(build_variant(release.desk, "3.0"))
    assert run.code == 0, run.text[-3000:]
    assert set(fleet.running().values()) == {"3.0"}
    task = r"TASK \[edge_runtime : The release of runtime\].*?changed: \[([\w-]+)\]"
    assert re.findall(task, run.text, re.DOTALL) == [CANARY, OTHER]
