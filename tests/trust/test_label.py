import numpy as np
import pytest

from edge_runtime.config.device import LabelConfig
from edge_runtime.trust.label import Label
from tests.layers.stage import blank

CORNERS = ("bottom-right", "bottom-left", "top-right", "top-left")


def drawn(
    config: LabelConfig, level: int, size: tuple[int, int] = (640, 360)
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    canvas = blank(*size, level)
    Label(config).render(canvas)
    return canvas[..., 0].astype(int)


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("level", [0, 90, 160, 255])
def test_the_label_is_in_its_corner_and_readable_over_any_picture(corner: str, level: int) -> None:
    picture = drawn(LabelConfig.model_validate({"corner": corner}), level)
    rows, columns = np.nonzero(picture != level)
    assert rows.size > 100
    vertical, _, horizontal = corner.partition("-")
    assert (rows.min() > 270) if vertical == "bottom" else (rows.max() < 90)
    assert (columns.min() > 400) if horizontal == "right" else (columns.max() < 240)
    inside = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert inside.max() - inside.min() > 100


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (321, 181), (3840, 540)])
def test_the_label_keeps_its_share_of_every_canvas(size: tuple[int, int]) -> None:
    picture = drawn(LabelConfig(), 0, size)
    rows, columns = np.nonzero(picture)
    side_px = min(size)
    assert 0.012 * side_px < np.ptp(rows) < 0.06 * side_px + 8
    assert columns.max() < size[0]
    assert size[0] - columns.max() < 0.12 * side_px


def test_a_change_of_size_sets_the_label_anew() -> None:
    label = Label(LabelConfig())
    small, large = blank(640, 360, 200), blank(1280, 720, 200)
    label.render(small)
    label.render(large)
    assert (large != 200).sum() > 2.5 * (small != 200).sum()


def test_the_label_does_not_add_up_over_frames() -> None:
    label = Label(LabelConfig())
    pictures = []
    for _ in range(2):
        canvas = blank(640, 360, 120)
        label.render(canvas)
        pictures.append(canvas)
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_a_label_that_is_off_draws_nothing() -> None:
    assert (drawn(LabelConfig(enabled=False), 77) == 77).all()


def test_a_label_wider_than_the_canvas_begins_at_its_edge() -> None:
    picture = drawn(LabelConfig(text="a label of many words, far too long for this"), 0, (60, 40))
    assert (picture[:, :6] > 0).any()
