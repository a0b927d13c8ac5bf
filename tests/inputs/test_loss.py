import itertools
import random

import pytest

from edge_runtime.inputs.loss import FROZEN_MAX_S, FROZEN_S, BackOff, FreezeWatch


def test_pauses_double_from_a_quarter_of_a_second_to_four_and_stay_there() -> None:
    back_off = BackOff(random.Random(1))
    pauses_s = [back_off.take_s() for _ in range(8)]
    for pause_s, nominal_s in zip(pauses_s, [0.25, 0.5, 1, 2, 4, 4, 4, 4], strict=True):
        assert pause_s == pytest.approx(nominal_s, rel=0.25)


def test_two_boxes_do_not_knock_at_the_same_moment() -> None:
    assert BackOff(random.Random(1)).take_s() != BackOff(random.Random(2)).take_s()


def test_after_a_reset_the_pauses_are_short_again() -> None:
    back_off = BackOff(random.Random(1))
    for _ in range(6):
        back_off.take_s()
    back_off.reset()
    assert back_off.take_s() < 0.35


def reopenings(seconds: int, *, watch: FreezeWatch, rate_hz: int = 10) -> list[float]:
    times_s = [frame / rate_hz for frame in range(seconds * rate_hz)]
    return [time_s for time_s in times_s if watch.frozen(same=True, now_s=time_s)]


def test_a_picture_that_stands_still_is_noticed_after_two_seconds() -> None:
    assert reopenings(3, watch=FreezeWatch()) == [pytest.approx(FROZEN_S + 0.1)]


def test_a_picture_that_changes_now_and_then_is_left_alone() -> None:
    watch = FreezeWatch()
    assert not any(watch.frozen(same=frame % 15 != 0, now_s=frame / 10) for frame in range(1000))


def test_reopening_a_source_that_truly_stands_still_gets_rarer() -> None:
    times_s = reopenings(400, watch=FreezeWatch())
    gaps_s = [round(after_s - before_s) for before_s, after_s in itertools.pairwise(times_s)]
    assert gaps_s == sorted(gaps_s)
    assert gaps_s[-1] == FROZEN_MAX_S
    assert len(times_s) < 12


def test_a_picture_that_moves_again_gets_the_short_patience_back() -> None:
    watch = FreezeWatch()
    reopenings(60, watch=watch)
    assert not watch.frozen(same=False, now_s=0.0)
    assert reopenings(3, watch=watch) == [pytest.approx(FROZEN_S + 0.1)]
