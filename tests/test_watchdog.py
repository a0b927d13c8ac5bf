"""Restart budgets: at once at first, then ever slower, forgiven after a healthy while."""

from edge_runtime.watchdog import (
    FAILED_AFTER,
    HEALTHY_S,
    LONGEST_WAIT_S,
    QUICK_RESTARTS,
    LeakRule,
    RestartBudget,
    Weight,
)


def test_the_first_failures_are_answered_at_once_and_the_next_ones_wait_ever_longer() -> None:
    budget = RestartBudget()
    waits = [budget.ended(float(second)) for second in range(8)]
    assert waits[:QUICK_RESTARTS] == [0.0] * QUICK_RESTARTS
    assert waits[QUICK_RESTARTS:] == sorted(waits[QUICK_RESTARTS:])
    assert waits[QUICK_RESTARTS] > 0


def test_healthy_seconds_make_it_forget_but_not_uncount() -> None:
    budget = RestartBudget()
    for _ in range(6):
        budget.ended(0.0)
    budget.up(10.0)
    assert budget.ended(10.0 + HEALTHY_S) == 0.0
    assert budget.restarts == 7


def test_a_part_that_comes_up_and_dies_at_once_is_not_healthy() -> None:
    budget = RestartBudget()
    for second in range(QUICK_RESTARTS + 1):
        budget.up(float(second))
        wait_s = budget.ended(second + 0.1)
    assert wait_s > 0


def test_a_part_that_never_stays_counts_as_failed_and_is_still_tried() -> None:
    budget = RestartBudget()
    waits = [budget.ended(0.0) for _ in range(FAILED_AFTER + 10)]
    assert budget.failed
    assert waits[-1] == LONGEST_WAIT_S


def test_a_part_leaks_when_it_is_large_and_three_times_what_it_weighed_after_a_minute() -> None:
    weight = Weight(LeakRule())
    assert weight.leaks(9000.0, 0.0) is None  # nothing is known before it is up
    weight.up(10.0)
    assert weight.leaks(9000.0, 69.0) is None  # models are loaded
    assert weight.leaks(400.0, 71.0) is None
    assert weight.leaks(1200.0, 200.0) is None
    assert weight.leaks(1201.0, 300.0) == 1200.0
    weight.up(400.0)
    assert weight.leaks(100.0, 461.0) is None
    assert weight.leaks(1000.0, 500.0) is None  # ten times as much, and still not large
    assert weight.leaks(1100.0, 600.0) == 1024.0
