"""What every task promises."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config import ModelConfig
from edge_runtime.errors import SessionError
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task
from tests.fixtures.bundles import opened, write_copying, write_null, write_styled

SIZE_PX = (64, 48)
WRITERS: dict[str, Callable[[Path], Path]] = {
    "passthrough over onnx": write_copying,
    "passthrough over null": write_null,
    "stylize over onnx": write_styled,
}
MODEL = ModelConfig(name="tried", bundle="any")


@pytest.fixture(params=list(WRITERS))
def task(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Task]:
    task = open_task(MODEL, opened(WRITERS[request.param](tmp_path)), SIZE_PX)
    with task.session:
        yield task


def frame(seed: int = 0, *, size_px: tuple[int, int] = (128, 96)) -> FrameBgr:
    """A smooth picture: what cameras see."""
    width, height = size_px
    xs, ys = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = [np.sin(6.0 * xs * (i + 1) + seed) * np.cos(5.0 * ys + i) for i in range(3)]
    return np.asarray(127.5 + 120.0 * np.dstack(planes), np.uint8)


def painted(task: Task, *frames: FrameBgr, size_px: tuple[int, int] = SIZE_PX, fill: int = 0) -> FrameBgr:
    out = np.full((size_px[1], size_px[0], 3), fill, np.uint8)
    for one in frames:
        task.run(Work([one], task.defaults), out)
    return out


def test_a_task_fills_the_whole_picture(task: Task) -> None:
    black = painted(task, frame(), fill=0)
    task.reset()
    assert np.array_equal(black, painted(task, frame(), fill=255))
    assert black.std() > 10


def test_a_task_takes_frames_of_any_size_and_leaves_them_alone(task: Task) -> None:
    for size_px in ((64, 48), (321, 179), (16, 16)):
        given = frame(size_px=size_px)
        painted(task, given)
        assert np.array_equal(given, frame(size_px=size_px))


def test_a_task_follows_the_size_of_the_picture_it_fills(task: Task) -> None:
    for size_px in ((64, 48), (32, 24), (128, 96), (64, 48)):
        assert painted(task, frame(), size_px=size_px).std() > 10


def test_a_task_that_was_reset_remembers_nothing(task: Task) -> None:
    first = painted(task, frame(0))
    painted(task, frame(1), frame(2))
    task.reset()
    assert np.array_equal(painted(task, frame(0)), first)


def test_every_parameter_has_a_default_within_its_range(task: Task) -> None:
    assert set(task.defaults) == set(task.parameters)
    assert all(
        isinstance(task.defaults[name], str) if limits is None else limits[0] <= float(task.defaults[name]) <= limits[1]
        for name, limits in task.parameters.items()
    )


def test_a_size_that_the_bundle_does_not_allow_is_refused_at_opening(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"multiples of 4, nearest \[64, 48\]"):
        open_task(MODEL, opened(write_styled(tmp_path)), (66, 50))
