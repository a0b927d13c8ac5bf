import random

from edge_runtime.control.backoff import CAP_S, FIRST_S, STABLE_S, Backoff


def test_waits_grow_are_capped_and_are_spread_over_their_whole_range_above_the_floor() -> None:
    ceilings_s = [max(waits) for waits in zip(*(first_waits_s(seed) for seed in range(400)), strict=True)]
    floors_s = [min(waits) for waits in zip(*(first_waits_s(seed) for seed in range(400)), strict=True)]
    for ceiling_s, floor_s, expected_s in zip(ceilings_s, floors_s, [1, 2, 4, 8, 16, CAP_S, CAP_S, CAP_S], strict=True):
        assert 0.97 * expected_s < ceiling_s - FIRST_S <= expected_s
        assert 0.0 <= floor_s - FIRST_S < 0.03 * expected_s


def first_waits_s(seed: int) -> list[float]:
    backoff = Backoff(random.Random(seed))
    return [backoff.lost(0.0) for _ in range(8)]


def test_a_broker_that_drops_us_at_once_is_met_with_growing_waits() -> None:
    backoff = Backoff(random.Random(1))
    waits_s = []
    for attempt in range(60):
        backoff.connected(attempt * 10.0)
        waits_s.append(backoff.lost(attempt * 10.0 + STABLE_S / 2))
    assert max(waits_s[:3]) <= FIRST_S + 4.0
    assert max(waits_s) > CAP_S / 2


def test_only_a_stable_minute_forgives() -> None:
    rng = random.Random(2)
    backoff = Backoff(rng)
    for _ in range(10):
        backoff.lost(0.0)
    backoff.connected(100.0)
    assert backoff.lost(100.0 + STABLE_S) <= 2 * FIRST_S
    for _ in range(10):
        backoff.lost(200.0)
    assert max(backoff.lost(300.0) for _ in range(20)) > 5.0  # a connection long ago does not forgive again


def test_a_year_of_attempts_does_not_overflow() -> None:
    backoff = Backoff(random.Random(3))
    assert all(backoff.lost(0.0) <= FIRST_S + CAP_S for _ in range(5000))
