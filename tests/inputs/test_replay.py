from collections import Counter
from pathlib import Path

import pytest

from edge_runtime.errors import InputError
from edge_runtime.inputs.replay import Recorded, Replay, load_replay

EVENING = Path(__file__).resolve().parents[2] / "device_configs" / "replays" / "evening.jsonl"
HEADER = '{"format": "edge-runtime-replay", "version": 1, "loop_s": 10}'
LINE = '{"at_s": 1.0, "topic": "venue/weather", "payload": {"rain_mm_h": 2}}'


def played(replay: Replay, *, until_s: float, step_s: float) -> list[str]:
    """What comes out when somebody asks every `step_s`."""
    topics: list[str] = []
    for step in range(round(until_s / step_s)):
        topics += [message.topic for message in replay.due(step * step_s, (step + 1) * step_s)]
    return topics


def letters(*, loop: bool = True, speed: float = 1.0) -> Replay:
    messages = [Recorded(at_s, topic, None) for at_s, topic in ((0.0, "a"), (1.5, "b"), (1.5, "c"), (3.9, "d"))]
    return Replay(messages, loop_s=4.0, loop=loop, speed=speed)


@pytest.mark.parametrize("step_s", [0.1, 0.25, 0.5, 1.0, 4.0])
def test_every_message_comes_once_a_round_however_often_somebody_asks(step_s: float) -> None:
    assert "".join(played(letters(), until_s=8.0, step_s=step_s)) == "abcdabcd"


def test_without_a_loop_it_ends() -> None:
    assert "".join(played(letters(loop=False), until_s=12.0, step_s=0.5)) == "abcd"


def test_at_twice_the_speed_a_round_takes_half_the_time() -> None:
    assert "".join(played(letters(speed=2.0), until_s=4.0, step_s=0.25)) == "abcdabcd"


def test_a_span_across_the_seam_gives_the_end_and_then_the_beginning() -> None:
    assert [message.topic for message in letters().due(3.5, 4.5)] == ["d", "a"]


def test_a_box_that_slept_for_a_day_gets_one_round_and_no_more() -> None:
    assert Counter(message.topic for message in letters().due(0.0, 86_400.0)) == Counter("abcd")


def test_nothing_is_due_in_no_time() -> None:
    assert letters().due(1.5, 1.5) == []


def test_a_file_with_a_header_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"{HEADER}\n{LINE}\n\n")
    replay = load_replay(file, speed=2.0)
    assert replay.loop_s == 10.0
    assert replay.due(0.0, 1.0) == [Recorded(1.0, "venue/weather", {"rain_mm_h": 2})]


def test_without_a_header_the_round_ends_a_second_after_the_last_message(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(LINE)
    assert load_replay(file).loop_s == 2.0


@pytest.mark.parametrize(
    ("lines", "number", "reason"),
    [
        ([HEADER, "{"], 2, "not JSON"),
        ([HEADER, "[1, 2]"], 2, "expected an object"),
        ([LINE, HEADER], 2, "first line only"),
        ([HEADER.replace("1,", "2,", 1), LINE], 1, "version 2"),
        ([HEADER.replace("runtime", "walk"), LINE], 1, "edge-walk-replay"),
        ([HEADER.replace("10", "-1"), LINE], 1, "loop_s = -1"),
        ([LINE, LINE.replace("1.0", "0.5")], 2, "sort the file"),
        ([LINE.replace("1.0", '"1"')], 1, "at_s = '1'"),
        ([LINE.replace("1.0", "NaN")], 1, "at_s = nan"),
        ([LINE.replace("venue/weather", "venue/#")], 1, "wildcards"),
        (['{"at_s": 1, "topic": "a"}'], 1, "payload missing"),
    ],
)
def test_a_fault_is_told_with_file_line_and_reason(tmp_path: Path, lines: list[str], number: int, reason: str) -> None:
    file = tmp_path / "fault.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        load_replay(file)
    assert f"fault.jsonl: line {number}: " in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "holds no message"), (HEADER, "holds no message"), (HEADER.replace("10", "1") + "\n" + LINE, "ends before")],
)
def test_a_file_without_a_round_to_play_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(text)
    with pytest.raises(InputError, match=reason):
        load_replay(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl"):
        load_replay(tmp_path / "absent.jsonl")


def test_the_evening_we_ship_meets_itself_without_a_jump() -> None:
    replay = load_replay(EVENING)
    assert replay.loop_s == 120.0
    largest = {"rain_mm_h": 8.0, "wind": 2.0, "temperature_c": 10.0, "cloud": 1.0, "energy": 1.0, "count": 12.0}
    last: dict[str, float] = {}
    for message in replay.due(0.0, 120.0) + replay.due(0.0, 30.0):
        for name, value in message.payload.items():
            if isinstance(value, str):
                continue
            step = abs(value - last.get(name, value)) / largest.get(name, 1.0)
            assert step <= 0.25, f"{name} leaps by {step:.0%} of its range at {message.at_s} s"
            last[name] = value


def test_the_evening_we_ship_has_weather_votes_a_crowd_and_prompts() -> None:
    messages = load_replay(EVENING).due(0.0, 120.0)
    topics = Counter(message.topic for message in messages)
    assert set(topics) == {"venue/weather", "venue/votes", "venue/crowd", "venue/prompt"}
    assert topics["venue/prompt"] >= 3
    rain = [m.payload["rain_mm_h"] for m in messages if m.topic == "venue/weather"]
    assert min(rain) == 0
    assert 6 < max(rain) <= 8
    leaders = {max(m.payload, key=m.payload.__getitem__) for m in messages if m.topic == "venue/votes"}
    assert len(leaders) == 6
    shares = [sum(m.payload.values()) for m in messages if m.topic == "venue/votes"]
    assert all(total == pytest.approx(1.0, abs=0.01) for total in shares)
