"""Counts of a run in which the show died: nothing is lost, nothing is counted twice, darkness counts as missed."""

from edge_runtime.report import EndedShows

FIRST = {"due": 100, "presented": 98, "missed": 2, "late_by_us": 2, "late_by_world": 0, "interval_ms": {"p50": 16.7}}
SECOND = {"due": 50, "presented": 50, "missed": 0, "late_by_us": 0, "late_by_world": 0, "interval_ms": {"p50": 16.6}}


def test_a_run_without_a_death_is_told_as_its_show_tells_it() -> None:
    assert EndedShows().added_to(FIRST) == FIRST
    assert EndedShows().added_to({}) == {}


def test_the_counts_of_a_show_that_died_and_the_darkness_after_it_are_part_of_the_run() -> None:
    ended = EndedShows()
    left = ended.ended(FIRST, 10.0)
    assert ended.added_to(left) == FIRST  # while the next one starts
    left = ended.ended(left, 10.0)  # which dies before its first picture
    ended.presents(11.0, 60.0)
    total = ended.added_to(SECOND)
    assert (total["due"], total["presented"], total["missed"]) == (100 + 59 + 50, 98 + 50, 2 + 59)
    assert (total["late_by_us"], total["late_by_world"]) == (2, 59)
    assert total["due"] == total["presented"] + total["missed"]
    assert total["interval_ms"] == {"p50": 16.6}
    assert left["interval_ms"] == {"p50": 16.7}


def test_the_first_show_of_a_run_owes_nothing_for_the_time_before_it() -> None:
    ended = EndedShows()
    ended.presents(5.0, 60.0)
    assert ended.added_to(SECOND) == SECOND
