"""Fixtures of the control room."""

from collections.abc import Iterator
from typing import Any

import pytest

from edge_runtime import logs


@pytest.fixture
def events() -> Iterator[list[dict[str, Any]]]:
    """The events of this process, while the test runs."""
    before = logs._part, logs._sink
    lines: list[dict[str, Any]] = []
    logs.route_events("test", lines.append)
    yield lines
    logs.route_events(*before)
