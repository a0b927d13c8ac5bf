"""Regions of shared memory: nobody can pull them out from under those who have them mapped."""

import os

import pytest

from edge_runtime.memory import create_region, map_region


@pytest.mark.parametrize("size_bytes", [0, 100, 1 << 20])
def test_the_size_of_a_region_can_never_change(size_bytes: int) -> None:
    descriptor = create_region("test", 4096)
    try:
        region = map_region(descriptor)
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, size_bytes)
        region[:3] = b"abc"
        assert map_region(descriptor)[:3] == b"abc"
    finally:
        os.close(descriptor)
