from pathlib import Path

import pytest

from edge_runtime.clock import ManualClock
from edge_runtime.errors import InputError
from edge_runtime.inputs.paced import FileSource, SyntheticSource
from edge_runtime.inputs.source import Frame
from tests.fixtures.films import write_film
from tests.fixtures.mjpeg import read_number


def play(source: FileSource, frames: int) -> list[tuple[int, float]]:
    """Number and capture time of the next frames."""
    shown: list[tuple[int, float]] = []
    while len(shown) < frames:
        frame = source.read()
        if frame is not None:
            shown.append((read_number(frame.bgr_hwc), frame.captured_s))
    return shown


@pytest.mark.parametrize("rate_hz", [8.0, 25.0, 60.0])
def test_a_film_plays_at_its_own_rate_and_begins_again_without_a_gap(tmp_path: Path, rate_hz: float) -> None:
    film = FileSource(write_film(tmp_path / "a.mp4", frames=10, rate_hz=rate_hz), clock=ManualClock(100.0))
    shown = play(film, 25)
    film.close()
    assert [number for number, _ in shown] == [*range(1, 11), *range(1, 11), *range(1, 6)]
    assert [time_s for _, time_s in shown] == pytest.approx([100.0 + n / rate_hz for n in range(25)], abs=0.002)


def test_a_slow_film_gives_control_back_while_it_waits(tmp_path: Path) -> None:
    clock = ManualClock(0.0)
    film = FileSource(write_film(tmp_path / "a.mp4", frames=4, rate_hz=1), clock=clock)
    assert isinstance(film.read(), Frame)
    waits = 0
    while film.read() is None:
        waits += 1
    film.close()
    assert waits in {9, 10}  # tenths of a second do not add up exactly
    assert clock.now_s() == pytest.approx(1.0)


def test_a_film_that_was_held_up_goes_on_from_where_it_stands(tmp_path: Path) -> None:
    clock = ManualClock(0.0)
    film = FileSource(write_film(tmp_path / "a.mp4", frames=10, rate_hz=25), clock=clock)
    play(film, 3)
    clock.advance(5.0)
    shown = play(film, 3)
    film.close()
    assert [number for number, _ in shown] == [4, 5, 6]
    held_up_s = 0.08 + 5.0
    assert [time_s for _, time_s in shown] == pytest.approx([held_up_s, held_up_s + 0.04, held_up_s + 0.08], abs=0.002)


def test_a_film_that_is_cut_short_is_an_input_error(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", frames=10, rate_hz=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(InputError, match=r"a\.mp4"):
        FileSource(path).read()


def test_the_synthetic_picture_keeps_to_a_grid_of_deadlines() -> None:
    source = SyntheticSource(size_px=(64, 36), rate_hz=50)
    times_s = [frame.captured_s for _ in range(5) if (frame := source.read())]
    assert [time_s - times_s[0] for time_s in times_s] == pytest.approx([n * 0.02 for n in range(5)], abs=1e-6)
