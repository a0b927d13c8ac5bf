"""One device for the tests that hurt parts of it: what they do to it must not matter to the next one."""

from collections.abc import Iterator

import pytest

from tests.fixtures.device import RunningDevice, crew


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDevice]:
    with RunningDevice(crew(), tmp_path_factory.mktemp("crew")) as running:
        running.wait_up()
        yield running
