"""The governor: falls at once, climbs slowly, remembers a climb that failed."""

from edge_runtime.config.device import GovernorConfig
from edge_runtime.governor import Change, Governor, Machine

CONFIG = GovernorConfig(
    window_frames=10,
    budget=0.8,
    headroom=0.5,
    max_missed=1,
    climb_windows=2,
    max_temperature_c=85,
    min_memory_free_mb=200,
    min_vram_free_mb=300,
)
FINE = Machine(temperature_c=50.0, memory_free_mb=1000.0, vram_free_mb=1000.0)


def observe(
    governor: Governor, cost_s: float, *, windows: int = 1, missed: int = 0, machine: Machine = FINE
) -> list[Change]:
    changes = []
    for frame in range(windows * 10):
        change = governor.observe(cost_s, missed if frame == 0 else 0, machine)
        changes += [change] if change else []
    return changes


def governor(rungs: int = 3) -> Governor:
    return Governor(CONFIG, rungs=rungs, period_s=0.010)


def test_one_slow_window_is_enough_to_fall_and_one_easy_window_not_to_climb() -> None:
    subject = governor()
    (fall,) = observe(subject, 0.009)
    assert (fall.rung, fall.was, fall.reason) == (1, 0, "slow")
    assert observe(subject, 0.002) == []
    (climb,) = observe(subject, 0.002)
    assert (climb.rung, climb.reason) == (0, "easy")


def test_between_the_thresholds_nothing_changes() -> None:
    subject = governor()
    observe(subject, 0.009)
    assert observe(subject, 0.006, windows=50) == []


def test_missed_deadlines_make_it_fall_before_the_window_is_full() -> None:
    subject = governor()
    change = subject.observe(0.001, 2, FINE)
    assert change is not None
    assert change.reason == "missed"


def test_heat_and_lack_of_memory_make_it_fall_although_frames_are_easy() -> None:
    strained = {
        "hot": Machine(90.0, 1000.0, 1000.0),
        "memory": Machine(50.0, 100.0),
        "vram": Machine(50.0, 1000.0, 299.0),
    }
    for reason, machine in strained.items():
        (change,) = observe(governor(), 0.001, machine=machine)
        assert change.reason == reason


def test_what_cannot_be_read_forces_nothing() -> None:
    assert observe(governor(), 0.004, machine=Machine(None, None)) == []


def test_it_stays_on_the_ladder_at_both_ends() -> None:
    subject = governor(rungs=2)
    assert len(observe(subject, 0.009, windows=5)) == 1
    assert subject.rung == 1
    observe(subject, 0.001, windows=20)
    assert subject.rung == 0


def test_a_climb_that_had_to_be_taken_back_makes_the_next_one_wait_twice_as_long() -> None:
    subject = governor()
    observe(subject, 0.009)
    observe(subject, 0.001, windows=2)  # climbs
    observe(subject, 0.009)  # and falls again
    assert observe(subject, 0.001, windows=3) == []
    assert len(observe(subject, 0.001)) == 1
