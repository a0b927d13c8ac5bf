"""The backdrop that ships: what it is told is seen, and it walks without a jump."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pytest

from edge_runtime.config import ModelConfig, bundle_folders
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task


@pytest.fixture(params=["fp16", "int8"])
def task(request: pytest.FixtureRequest) -> Iterator[Task]:
    model = ModelConfig(name="b", bundle="backdrop", precision=request.param)
    task = open_task(model, open_bundle("backdrop", bundle_folders()), (320, 180))
    with task.session:
        yield task


def painted(task: Task, at_s: float, *, size_px: tuple[int, int] = (320, 180), said: Mapping[str, float]) -> FrameBgr:
    out = np.zeros((size_px[1], size_px[0], 3), np.uint8)
    values = {**task.defaults, **said}
    task.run(Work([], values, at_s=at_s), out)
    return out


def test_night_is_dark_a_field_is_green_and_dusk_is_warm(task: Task) -> None:
    looks = {}
    for name, said in {
        "day": {"time.day": 1.0, "weather.sun": 1.0, "place.field": 1.0, "mood.joyful": 0.8},
        "night": {"time.night": 1.0, "weather.cloud": 1.0},
        "dusk": {"time.dusk": 1.0, "weather.sun": 1.0, "place.sea": 1.0},
    }.items():
        task.reset()
        looks[name] = painted(task, 0.0, said=said).astype(float)
    assert looks["night"].mean() < 0.6 * looks["day"].mean()
    blue, green, red = looks["day"][140:].mean(axis=(0, 1))
    assert green > blue + 10
    blue, green, red = looks["dusk"].mean(axis=(0, 1))
    assert red > blue + 15


def test_it_walks_on_without_a_jump_and_follows_what_it_is_told_gently(task: Task) -> None:
    pictures = [
        painted(task, number / 15, said={"drift": 1.0, "weather.sun": 1.0}).astype(float) for number in range(30)
    ]
    steps = [np.abs(b - a).mean() for a, b in pairwise(pictures)]
    assert min(steps) > 0.02
    assert max(steps) < 3.5
    assert np.abs(pictures[-1] - pictures[0]).mean() > 3 * max(steps)
    told = [
        painted(task, 2 + number / 15, said={"drift": 1.0, "weather.snow": 1.0}).astype(float) for number in range(30)
    ]
    changes = [np.abs(b - a).mean() for a, b in pairwise([pictures[-1], *told])]
    assert max(changes) < 8.0
    assert np.abs(told[-1] - pictures[-1]).mean() > 8.0


def test_it_needs_no_camera_and_follows_the_size_it_is_given(task: Task) -> None:
    assert task.continuous
    for size_px in ((320, 180), (160, 90), (640, 360)):
        assert painted(task, 1.0, size_px=size_px, said={}).std() > 5
