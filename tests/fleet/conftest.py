"""Boxes for tests. See `rootfs` and `boot`."""

import pytest

from tests.fleet.rootfs import own_mounts


@pytest.fixture(scope="session")
def box_mounts() -> None:
    """What is mounted for boxes ends with the test run."""
    own_mounts()
