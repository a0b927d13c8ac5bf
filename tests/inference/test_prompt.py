"""The prompt that ships: what is said, what is not said, and what nobody can know."""

from collections.abc import Iterator

import numpy as np
import pytest

from edge_runtime.config import ModelConfig, bundle_folders
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import Task, Work, open_task
from edge_runtime.inference.tasks.words import UNKNOWN, Words

LINES = ("[UNK]", "rain", "##ing", "##y", "over", "cafe", "sea", "side", "##side", ",", "!")


@pytest.fixture(scope="module")
def task() -> Iterator[Task]:
    model = ModelConfig(name="prompt", bundle="prompt")
    task = open_task(model, open_bundle("prompt", bundle_folders()), (64, 64))
    with task.session:
        yield task


def said(task: Task, text: str, **outside: float) -> dict[str, float]:
    values = {**task.defaults, "text": text}
    values |= {f"outside.{name.replace('_', '.')}": value for name, value in outside.items()}
    readings = task.run(Work([], values, at_s=0.0), np.zeros((64, 64, 3), np.uint8))
    return {name: float(value) for name, value in readings.items()}  # type: ignore[arg-type] # all are numbers


def first(readings: dict[str, float], group: str) -> str:
    of_group = {name: value for name, value in readings.items() if name.startswith(f"{group}.")}
    best = max(of_group, key=lambda name: of_group[name])
    return best.removeprefix(f"{group}.") if of_group[best] > 0.5 else "-"


@pytest.mark.parametrize(
    ("text", "weather", "time", "place", "mood"),
    [
        ("thunderstorm over the harbour at midnight", "storm", "night", "sea", "dramatic"),
        ("a gentle snowfall in the forest", "snow", "-", "forest", "calm"),
        ("sunny meadow at noon, everyone is happy", "sun", "day", "field", "joyful"),
        ("Nebel? No: FOG, at DAWN.", "fog", "dawn", "-", "-"),
        ("the city in the rain", "rain", "-", "city", "-"),
    ],
)
def test_a_sentence_says_what_it_says_and_no_more(
    task: Task, text: str, weather: str, time: str, place: str, mood: str
) -> None:
    readings = said(task, text)
    assert [first(readings, group) for group in ("weather", "time", "place", "mood")] == [weather, time, place, mood]
    assert readings["known"] > 0.9


@pytest.mark.parametrize("text", ["", "   ", "table for two, please", "qwxz vbnm", "\x00\udcff🙂"])
def test_words_that_say_nothing_leave_the_venue_as_it_is(task: Task, text: str) -> None:
    readings = said(task, text, weather_rain=0.7, time_dusk=0.9, energy=0.8)
    assert readings["known"] < 0.5
    assert readings["weather.rain"] == pytest.approx(0.7, abs=0.15)
    assert readings["time.dusk"] == pytest.approx(0.9, abs=0.15)
    assert readings["energy"] == pytest.approx(0.8, abs=0.15)


def test_what_is_said_goes_before_what_is_outside(task: Task) -> None:
    readings = said(task, "snow in the mountains", weather_rain=1.0, time_dusk=0.9, place_sea=1.0)
    assert readings["weather.snow"] > 0.9
    assert readings["weather.rain"] < 0.1
    assert readings["place.sea"] < 0.1
    assert readings["time.dusk"] == pytest.approx(0.9, abs=0.15)


def test_a_colour_becomes_a_palette_and_a_painter_a_style(task: Task) -> None:
    readings = said(task, "in deep blue, like van gogh")
    assert readings["palette.strength"] > 0.8
    assert readings["palette.sky_b"] > readings["palette.sky_r"] + 0.3
    assert first(readings, "style") == "night_swirls"
    assert said(task, "a night at sea")["palette.strength"] < 0.3


def test_a_very_long_text_costs_no_more_than_its_beginning(task: Task) -> None:
    assert said(task, "rain " * 20 + "snow " * 5000) == said(task, "rain " * 20 + "snow " * 12)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("raining", [1, 2]),
        ("Rainy, OVER the café!", [1, 3, 9, 4, 0, 5, 10]),
        ("seaside", [6, 8]),
        ("rainx", [UNKNOWN]),
        ("r" * 100, [UNKNOWN]),
        ("", []),
    ],
)
def test_words_are_spelt_by_the_longest_pieces(text: str, numbers: list[int]) -> None:
    assert Words(LINES).numbers(text, 32) == numbers
