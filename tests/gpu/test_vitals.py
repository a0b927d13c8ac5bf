"""What a real card tells of itself."""

import pytest

from edge_runtime.clock import now_s
from edge_runtime.control.gpu import GpuProbe
from edge_runtime.errors import SessionError
from edge_runtime.inference.cuda import cuda
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.gpu


def test_a_card_tells_how_warm_it_is_and_how_much_memory_is_left() -> None:
    try:
        cuda()
    except SessionError as error:
        pytest.skip(str(error))
    with GpuProbe() as probe:
        temperature_c = eventually(lambda: probe.read(now_s()).temperature_c, 20.0, "the driver's own program answers")
        assert 10 < temperature_c < 110
        assert (probe.read(now_s()).memory_free_mb or 0.0) > 100
