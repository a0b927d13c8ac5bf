"""Restart budgets: at once at first, then ever slower, forgiven after a healthy while."""

from edge_runtime.watchdog import FAILED_AFTER, HEALTHY_S, LONGEST_WAIT_S, QUICK_RESTARTS, RestartBudget


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
