import itertools
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.config import ModelConfig
from edge_runtime.inference.tasks import FrameBgr, Work, open_task
from edge_runtime.inference.tasks.stylize import mix_styles
from tests.fixtures.bundles import opened, write_styled


@pytest.mark.parametrize(
    ("weights", "mix"),
    [
        ([0, 0, 0], [1, 0, 0]),
        ([0, 1, 0], [0, 1, 0]),
        ([0, 0.4, 0], [0, 1, 0]),
        ([0, 1, 1], [0, 0.5, 0.5]),
        ([0.2, 0.2, 0.4], [0.25, 0.25, 0.5]),
        ([0, 0.05, 0], [0.5, 0.5, 0]),
        ([0, 7, -3], [0, 1, 0]),
    ],
)
def test_weights_become_a_mix_that_sums_to_one(weights: list[float], mix: list[float]) -> None:
    assert mix_styles(weights) == pytest.approx(mix)


def test_fading_the_last_style_out_glides_into_the_default() -> None:
    mixes = [mix_styles([0, weight, 0]) for weight in np.linspace(0.2, 0.0, 41)]
    assert max(np.abs(b - a).max() for a, b in itertools.pairwise(mixes)) < 0.06
    assert mixes[-1] == pytest.approx([1, 0, 0])


def colours() -> FrameBgr:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :32], frame[:, 32:] = (200, 100, 20), (10, 60, 220)
    return frame


@pytest.mark.parametrize(
    ("styles", "expected"),
    [
        ({}, colours()),
        ({"style.plain": 1.0}, colours()),
        ({"style.negative": 1.0}, 255 - colours()),
        ({"style.mirrored": 0.7}, colours()[:, ::-1]),
        ({"style.plain": 1.0, "style.negative": 1.0}, np.full_like(colours(), 127)),
    ],
)
def test_colours_and_weights_reach_the_network_in_its_own_order(
    tmp_path: Path, styles: dict[str, float], expected: FrameBgr
) -> None:
    task = open_task(ModelConfig(name="m", bundle="styled"), opened(write_styled(tmp_path)), (64, 48))
    out = np.empty((48, 64, 3), np.uint8)
    with task.session:
        task.run(Work([colours()], {**task.defaults, **styles}), out)
    assert np.abs(out.astype(int) - expected).max() <= 1
