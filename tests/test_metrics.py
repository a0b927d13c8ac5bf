"""The statistics object as metrics: what becomes of nulls, words and units."""

from typing import Any

import pytest

from edge_runtime.metrics import Release, of_box, of_show

QUIET: dict[str, Any] = {  # of a box whose parts have not reported yet
    "schema": 1,
    "version": "1.1.0",
    "device_id": "foyer-left",
    "seconds": 0.0,
    **{name: {} for name in ("display", "scene", "frames", "latency_ms", "models", "cameras", "governor", "signals")},
    "mqtt": {},
    "parts": {"show": {"state": "starting", "restarts": 0, "pid": 7}},
    "start": {"first_picture_s": None, "first_model_frame_s": None},
    "memory_mb": {"show": 0.0, "parts": {}},
}


def samples(told: dict[str, Any] | None) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name.removeprefix("edge_runtime_"), frozenset(sample.labels.items())): sample.value
        for family in of_show(told)
        for sample in family.samples
    }


def test_a_show_that_does_not_answer_is_told_and_nothing_else_is() -> None:
    assert samples(None) == {("up", frozenset()): 0.0}


def test_a_box_whose_parts_have_not_reported_yet_tells_what_it_knows() -> None:
    told = samples(QUIET)
    assert told["up", frozenset()] == 1.0
    assert told["part_state", frozenset({("part", "show"), ("state", "starting")})] == 1.0
    assert sum(value for (name, _), value in told.items() if name == "part_state") == 1.0
    assert "start_first_picture_seconds" not in {name for name, _ in told}


def test_a_text_never_leaves_and_a_signal_that_never_came_has_no_age() -> None:
    signals = {
        "prompt.text": {"value": "a sentence of a visitor", "age_s": 3.0, "stale": False},
        "door.open": {"value": True, "age_s": 1.5, "stale": False},
        "people.where": {"value": [0.1, 0.2], "age_s": 1.5, "stale": False},
        "weather.rain": {"value": None, "age_s": None, "stale": True},
    }
    families = list(of_show({**QUIET, "signals": signals}))
    told = {
        (s.name.removeprefix("edge_runtime_signal_"), s.labels.get("signal")): s.value
        for f in families
        for s in f.samples
    }
    assert "visitor" not in str(families)
    assert told["value", "door.open"] == 1.0
    assert [signal for name, signal in told if name == "value"] == ["door.open"]
    assert [signal for name, signal in told if name == "age_seconds"] == ["prompt.text", "door.open", "people.where"]
    assert told["stale", "weather.rain"] == 1.0


@pytest.mark.parametrize(
    ("signal", "value", "metric", "expected"),
    [
        ("device.temperature_c", 71.5, "temperature_celsius", 71.5),
        ("device.memory_free_mb", 2.0, "memory_available_bytes", 2 * 1024**2),
        ("device.vram_free_mb", 1.0, "vram_free_bytes", 1024**2),
        ("governor.rung", 2.0, "governor_rung", 2.0),
    ],
)
def test_what_the_box_measures_of_itself_comes_in_base_units(
    signal: str, value: float, metric: str, expected: float
) -> None:
    told = samples({**QUIET, "signals": {signal: {"value": value, "age_s": 0.1, "stale": False}}})
    assert told[metric, frozenset()] == expected
    assert not [name for name, _ in told if name.startswith("signal_")]


def test_releases_and_certificates_are_told_whether_or_not_the_show_runs() -> None:
    releases = [Release("runtime", "1.1.0", link="current"), Release("runtime", "1.2.0", rejected_s=1.79e9)]
    told = {s.name: (s.labels, s.value) for family in of_box(releases, {"box.crt": 1.8e9}) for s in family.samples}
    assert told == {
        "edge_runtime_release_info": ({"track": "runtime", "release": "1.1.0", "link": "current"}, 1.0),
        "edge_runtime_release_rejected_timestamp_seconds": ({"track": "runtime", "release": "1.2.0"}, 1.79e9),
        "edge_runtime_certificate_expiry_timestamp_seconds": ({"file": "box.crt"}, 1.8e9),
    }
