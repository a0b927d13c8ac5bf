from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_runtime.inputs.synthetic import ASSETS, CYCLE_S, SyntheticPicture

SIZE_PX = (320, 180)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(cv2.absdiff(one, other)))


def test_same_time_size_and_seed_give_the_same_picture_in_any_order() -> None:
    picture, again = SyntheticPicture(size_px=SIZE_PX, seed=3), SyntheticPicture(size_px=SIZE_PX, seed=3)
    first = [picture.frame(time_s) for time_s in (0.0, 11.3, 17.0, 59.0)]
    second = [again.frame(time_s) for time_s in (59.0, 17.0, 11.3, 0.0)][::-1]
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_picture() -> None:
    one, other = (SyntheticPicture(size_px=SIZE_PX, seed=seed).frame(0.0) for seed in (0, 1))
    assert _difference(one, other) > 10


def test_the_picture_moves_within_a_second() -> None:
    picture = SyntheticPicture(size_px=SIZE_PX, noise_sigma=0)
    assert _difference(picture.frame(0.0), picture.frame(1.0)) > 1


def test_no_jump_between_frames_over_a_whole_cycle_and_across_its_end() -> None:
    picture = SyntheticPicture(size_px=SIZE_PX, noise_sigma=0)
    before = picture.frame(0.0)
    largest = 0.0
    for index in range(1, round(CYCLE_S * 30) + 3):
        now = picture.frame(index / 30)
        largest = max(largest, _difference(before, now))
        before = now
    assert largest < 10  # 8 measured while she walks; another photograph all at once would be 60


def test_the_person_is_there_at_the_start_and_away_while_she_is_out() -> None:
    """Her suit is the only orange in the lower middle of the river picture, and on the left of the white castle."""

    def orange(frame: np.ndarray) -> float:
        hue, saturation, value = cv2.split(cv2.cvtColor(frame, cv2.COLOR_BGR2HSV))
        return float(np.mean((hue < 12) & (saturation > 150) & (value > 120)))

    picture = SyntheticPicture(size_px=SIZE_PX, noise_sigma=0)
    assert orange(picture.frame(0.0)) > 0.08
    assert orange(picture.frame(42.0)) < 0.005


def test_a_still_scene_keeps_its_noise_and_nothing_else_changes() -> None:
    still = SyntheticPicture(size_px=SIZE_PX, still=True, noise_sigma=2.5)
    one, other = still.frame(0.0).astype(np.int16), still.frame(20.0).astype(np.int16)
    inside = (one > 20) & (one < 235)  # where the noise is not cut off
    difference = (one - other)[inside]
    assert 2.5 * 2**0.5 * 0.9 < difference.std() < 2.5 * 2**0.5 * 1.1
    assert abs(difference.mean()) < 0.1

    quiet = SyntheticPicture(size_px=SIZE_PX, still=True, noise_sigma=0)
    np.testing.assert_array_equal(quiet.frame(0.0), quiet.frame(20.0))


def test_no_person_border_shows_above_the_lower_edge_of_the_frame() -> None:
    """The cut-out ends in a straight line below her chest; it must stay out of the frame in every pose."""
    picture = SyntheticPicture(size_px=SIZE_PX, noise_sigma=0)
    for index in range(round(CYCLE_S * 4)):
        frame = picture.frame(index / 4).astype(np.int16)
        # A border would be a line of change between the last rows as wide as she is.
        step = np.abs(frame[-1] - frame[-4]).max(axis=1)
        assert np.mean(step > 60) < 0.25, f"at {index / 4} s"


@pytest.mark.parametrize("size_px", [(640, 360), (1, 1), (33, 17), (181, 321), (1279, 719), (400, 64)])
def test_any_size_works(size_px: tuple[int, int]) -> None:
    picture = SyntheticPicture(size_px=size_px)
    for time_s in (-5.0, 0.0, 11.0, 38.0, 1e9):
        frame = picture.frame(time_s)
        assert frame.shape == (size_px[1], size_px[0], 3)
        assert frame.dtype == np.uint8


def test_it_draws_into_the_buffer_it_is_given() -> None:
    picture = SyntheticPicture(size_px=SIZE_PX)
    buffer = np.zeros((SIZE_PX[1], SIZE_PX[0], 3), np.uint8)
    assert picture.frame(2.0, buffer) is buffer
    np.testing.assert_array_equal(buffer, picture.frame(2.0))


def test_a_buffer_of_another_size_or_layout_is_refused() -> None:
    picture = SyntheticPicture(size_px=SIZE_PX)
    with pytest.raises(ValueError, match="contiguous"):
        picture.frame(0.0, np.zeros((180, 321, 3), np.uint8))
    with pytest.raises(ValueError, match="contiguous"):
        picture.frame(0.0, np.zeros((180, 640, 3), np.uint8)[:, ::2])


@pytest.mark.parametrize(("size_px", "noise_sigma"), [((0, 10), 1.0), ((10, -1), 1.0), ((10, 10), -1.0)])
def test_an_impossible_size_or_noise_is_refused(size_px: tuple[int, int], noise_sigma: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        SyntheticPicture(size_px=size_px, noise_sigma=noise_sigma)


def test_every_picture_is_listed_with_its_source_and_all_are_small() -> None:
    listed = (ASSETS / "SOURCES.md").read_text(encoding="utf-8")
    pictures: list[Path] = [path for path in ASSETS.iterdir() if path.suffix != ".md"]
    assert pictures
    for picture in pictures:
        assert f"`{picture.name}`" in listed, f"{picture.name} has no line in SOURCES.md"
    assert sum(path.stat().st_size for path in pictures) < 1_500_000
