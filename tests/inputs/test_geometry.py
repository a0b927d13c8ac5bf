import numpy as np
import numpy.typing as npt
import pytest

from edge_runtime.errors import InputError
from edge_runtime.inputs.geometry import Geometry, Window, choose_window

WHOLE = (0.0, 0.0, 1.0, 1.0)
RED, GREEN, BLUE, WHITE = (0, 0, 200), (0, 200, 0), (200, 0, 0), (200, 200, 200)


def quarters(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Red and green above, blue and white below."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = BLUE, WHITE
    return picture


def corners(picture: npt.NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Top left, top right, bottom left, bottom right."""
    return [tuple(int(n) for n in picture[y, x]) for y in (0, -1) for x in (0, -1)]


def test_a_picture_that_is_too_high_loses_as_much_above_as_below() -> None:
    assert choose_window((640, 480), (640, 360), WHOLE) == Window(0, 60, 640, 360)


def test_a_picture_that_is_too_wide_loses_as_much_left_as_right() -> None:
    assert choose_window((1920, 1080), (480, 480), WHOLE) == Window(420, 0, 1080, 1080)


def test_a_crop_is_covered_too() -> None:
    assert choose_window((1000, 1000), (200, 100), (0.5, 0.0, 1.0, 1.0)) == Window(500, 375, 500, 250)


@pytest.mark.parametrize("from_px", [(1, 1), (3, 1000), (641, 479), (7, 5)])
@pytest.mark.parametrize("crop", [WHOLE, (0.99, 0.99, 1.0, 1.0), (0.0, 0.3, 0.01, 0.31)])
def test_the_window_is_inside_the_picture_whatever_its_size(
    from_px: tuple[int, int], crop: tuple[float, float, float, float]
) -> None:
    window = choose_window(from_px, (640, 360), crop)
    assert window.width >= 1
    assert window.height >= 1
    assert 0 <= window.left <= from_px[0] - window.width
    assert 0 <= window.top <= from_px[1] - window.height


@pytest.mark.parametrize(
    ("flip", "expected"),
    [
        ("none", [RED, GREEN, BLUE, WHITE]),
        ("horizontal", [GREEN, RED, WHITE, BLUE]),
        ("vertical", [BLUE, WHITE, RED, GREEN]),
        ("both", [WHITE, BLUE, GREEN, RED]),
    ],
)
@pytest.mark.parametrize("from_px", [(64, 36), (1280, 720), (32, 18)], ids=["as it is", "shrunk", "grown"])
def test_flips_are_about_the_axis_they_name(
    from_px: tuple[int, int], flip: str, expected: list[tuple[int, int, int]]
) -> None:
    out = np.full((36, 64, 3), 7, np.uint8)
    Geometry(size_px=(64, 36), flip=flip).fit(quarters(*from_px), out)  # type: ignore[arg-type]
    assert corners(out) == expected


def test_a_crop_keeps_the_part_it_names() -> None:
    out = np.zeros((36, 64, 3), np.uint8)
    Geometry(size_px=(64, 36), crop=(0.5, 0.0, 1.0, 0.5)).fit(quarters(640, 360), out)
    assert corners(out) == [GREEN] * 4


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, ::2] = 200
    out = np.zeros((180, 320, 3), np.uint8)
    Geometry(size_px=(320, 180)).fit(stripes, out)
    assert out.min() == out.max() == 100


def test_a_grey_picture_is_refused_with_its_shape() -> None:
    with pytest.raises(InputError, match=r"\(48, 64\)"):
        Geometry(size_px=(64, 36)).fit(np.zeros((48, 64), np.uint8), np.zeros((36, 64, 3), np.uint8))
