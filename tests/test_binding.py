"""Bindings: what a signal does to a parameter, and what its silence does."""

import pytest

from edge_runtime.binding import Parameters
from edge_runtime.config import BindingConfig, DeviceConfig
from edge_runtime.errors import Refused
from edge_runtime.layout import board_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.signals import SignalBoard, Value

CONFIG = DeviceConfig.model_validate(
    {
        "device_id": "test",
        "signals": [
            {"name": "rain", "mqtt": "w", "range": [0, 10], "stale_after_s": 5, "fallback": 2.0},
            {"name": "words", "mqtt": "w", "type": "text", "fallback": "nothing said"},
        ],
        "scenes": [{"name": "s", "layers": [{"kind": "fill"}]}],
    }
)
RANGES = {"rate": (0.0, 100.0), "text": None}
STEP_S = 1 / 60


class Bench:
    """One bound parameter with a real board, and time in our hands."""

    def __init__(self, **binding: object) -> None:
        self.board = SignalBoard(
            map_region(create_region("board", board_bytes(len(CONFIG.signal_names)))), CONFIG.signal_names
        )
        self.now_s = 100.0
        bind = BindingConfig.model_validate({"signal": "rain", **binding})
        name = "text" if bind.signal == "words" else "rate"
        self.parameters = Parameters.build(RANGES, {"rate": 7.0, "text": "fixed"}, {name: bind}, CONFIG)

    def put(self, value: Value, signal: str = "rain") -> None:
        self.board.put(signal, value, self.now_s)

    def after(self, seconds: float, name: str = "rate") -> float | str:
        for _ in range(max(1, round(seconds / STEP_S))):
            self.now_s += STEP_S
            values = self.parameters.update(self.board.snapshot(self.now_s), STEP_S)
        return values[name]

    def why(self, name: str = "rate") -> dict[str, object]:
        return self.parameters.why(name, self.board.snapshot(self.now_s))


def test_a_signal_is_mapped_from_its_range_to_the_parameters_range() -> None:
    bench = Bench()
    bench.put(2.5)
    assert bench.after(0.1) == pytest.approx(25.0)


def test_values_outside_the_range_are_clamped_and_a_range_may_run_backwards() -> None:
    bench = Bench(to=[80, 20])
    bench.put(99.0)
    assert bench.after(0.1) == pytest.approx(20.0)


def test_no_config_drives_a_parameter_out_of_its_limits() -> None:
    bench = Bench(to=[-50, 500], fallback=900.0)
    assert bench.after(0.1) == 100.0
    bench.put(10.0)
    assert bench.after(0.1) == 100.0
    bench.put(0.0)
    assert bench.after(0.1) == 0.0


@pytest.mark.parametrize(("curve", "value"), [("linear", 25.0), ("smooth", 15.625), ("square", 6.25), ("root", 50.0)])
def test_curves_bend_between_the_same_ends(curve: str, value: float) -> None:
    bench = Bench(curve=curve)
    bench.put(2.5)
    assert bench.after(0.1) == pytest.approx(value)


def test_smoothing_reaches_two_thirds_in_its_time_constant_whatever_the_frame_rate() -> None:
    bench = Bench(smooth_s=1.0)
    bench.put(0.0)
    bench.after(0.1)
    bench.put(10.0)
    assert bench.after(1.0) == pytest.approx(63.2, abs=1.5)


def test_the_first_value_shows_at_once_although_it_is_smoothed() -> None:
    bench = Bench(smooth_s=10.0)
    bench.put(10.0)
    assert bench.after(STEP_S) == pytest.approx(100.0)


def test_a_rate_limit_bounds_every_step() -> None:
    bench = Bench(rate_limit=10.0)
    bench.put(0.0)
    bench.after(0.1)
    bench.put(10.0)
    assert bench.after(1.0) == pytest.approx(10.0, abs=0.5)


def test_hysteresis_ignores_trembling_and_follows_a_real_change() -> None:
    bench = Bench(hysteresis=5.0)
    bench.put(5.0)
    bench.after(0.1)
    bench.put(5.4)
    assert bench.after(0.1) == pytest.approx(50.0)
    bench.put(6.0)
    assert bench.after(0.1) == pytest.approx(60.0)


def test_one_euro_is_steady_at_rest_and_quick_on_a_jump() -> None:
    bench = Bench(one_euro={"min_cutoff_hz": 0.5, "beta": 0.5})
    bench.put(5.0)
    bench.after(0.5)
    trembles = []
    for frame in range(60):
        bench.put(5.0 + 0.05 * (-1) ** frame)
        trembles.append(bench.after(STEP_S))
    assert max(trembles) - min(trembles) < 0.5  # type: ignore[operator]
    bench.put(10.0)
    assert bench.after(0.5) > 85.0  # type: ignore[operator]


def test_a_stale_signal_gives_way_to_its_fallback_and_comes_back() -> None:
    bench = Bench()
    bench.put(9.0)
    assert bench.after(1.0) == pytest.approx(90.0)
    assert bench.after(6.0) == pytest.approx(20.0)  # the signal's own, 2.0, mapped
    bench.put(9.0)
    assert bench.after(0.1) == pytest.approx(90.0)


def test_the_bindings_fallback_is_in_the_parameters_unit_and_wins() -> None:
    assert Bench(fallback=42.0).after(0.1) == pytest.approx(42.0)


def test_words_go_through_their_format_and_fall_back() -> None:
    bench = Bench(signal="words", format="«{}»")
    assert bench.after(0.1, "text") == "nothing said"
    bench.put("hello", "words")
    assert bench.after(0.1, "text") == "«hello»"


@pytest.mark.parametrize("template", ["{:.1f}", "{", "{rain}", "{1}", "{0.size}", "{0[rain]}"])
def test_a_format_that_does_not_fit_shows_the_value_plainly(template: str) -> None:
    bench = Bench(signal="words", format=template)
    bench.put("hello", "words")
    assert bench.after(0.1, "text") == "hello"


def test_a_hold_wins_until_it_is_released_or_its_time_is_up() -> None:
    bench = Bench()
    bench.put(5.0)
    bench.parameters.hold("rate", 99.0, None)
    assert bench.after(0.1) == 99.0
    assert bench.why()["by"] == "held"
    bench.parameters.hold("rate", None, None)
    assert bench.after(0.1) == pytest.approx(50.0)
    bench.parameters.hold("rate", 99.0, bench.now_s + 1.0)
    assert bench.after(0.5) == 99.0
    assert bench.after(1.0) == pytest.approx(50.0)


def test_a_released_hold_on_an_unbound_parameter_leaves_its_fixed_value() -> None:
    bench = Bench()
    bench.parameters.hold("text", "held", None)
    assert bench.after(0.1, "text") == "held"
    bench.parameters.hold("text", None, None)
    assert bench.after(0.1, "text") == "fixed"


@pytest.mark.parametrize(("name", "value"), [("rate", 101.0), ("rate", "much"), ("text", 3.0), ("colour", 1.0)])
def test_a_hold_that_cannot_be_is_refused(name: str, value: float | str) -> None:
    with pytest.raises(Refused):
        Bench().parameters.hold(name, value, None)


def test_why_tells_signal_value_age_and_what_it_became() -> None:
    bench = Bench()
    assert bench.why()["by"] == "fallback" or bench.why()["raw"] is None
    bench.put(2.5)
    bench.after(1.0)
    why = bench.why()
    assert (why["by"], why["signal"], why["raw"], why["mapped"]) == ("signal", "rain", 2.5, 25.0)
    assert why["age_s"] == pytest.approx(1.0, abs=0.05)


def test_why_tells_what_keeps_a_value_from_following_at_once() -> None:
    bench = Bench(smooth_s=3.0, hysteresis=0.5, rate_limit=20.0)
    bench.put(2.5)
    bench.after(0.1)
    assert bench.why()["filters"] == ["smoothing 3 s", "changes below 0.5 ignored", "at most 20 a second"]
    bench = Bench(one_euro={"min_cutoff_hz": 0.5})
    bench.put(2.5)
    bench.after(0.1)
    assert bench.why()["filters"] == ["One-Euro filter of 0.5 Hz"]
