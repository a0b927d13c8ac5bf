"""Boxes for tests. See `rootfs` and `boot`."""

import pytest

from tests.fleet.rootfs import keep_apart


@pytest.fixture(scope="session")
def box_mounts() -> None:
    """What is mounted for boxes ends with the test run, and what belongs to this machine is out of their reach."""
    keep_apart()
