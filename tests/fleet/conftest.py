"""Boxes for tests. See `rootfs` and `boot`."""

import fcntl
from collections.abc import Iterator

import pytest

from tests.fleet.rootfs import keep_apart


@pytest.fixture(scope="session")
def box_mounts() -> None:
    """What is mounted for boxes ends with the test run, and what belongs to this machine is out of their reach."""
    keep_apart()


@pytest.fixture(autouse=True)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Shared with the tests of other workers; a test marked `quiet` has it for itself, and they wait at the gate."""
    folder = tmp_path_factory.getbasetemp().parent
    with (folder / "gate.lock").open("w") as gate, (folder / "machine.lock").open("w") as own:
        fcntl.flock(gate, fcntl.LOCK_EX)
        quiet = request.node.get_closest_marker("quiet") is not None
        fcntl.flock(own, fcntl.LOCK_EX if quiet else fcntl.LOCK_SH)
        if not quiet:
            fcntl.flock(gate, fcntl.LOCK_UN)
        yield
