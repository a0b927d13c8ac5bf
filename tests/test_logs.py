"""The log: JSON lines, a budget for what repeats, and no reader can hold up the writer."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime import __version__
from edge_runtime.clock import now_s
from edge_runtime.logs import EVENTS_PER_MINUTE, Budget, LogWriter, boot_id


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for end in (read_end, write_end):
        try:
            os.close(end)
        except OSError:
            continue


def test_an_event_that_repeats_is_held_back_and_counted_in_the_next_line_of_it() -> None:
    budget = Budget()
    admitted = [budget.admit("hub", "camera_lost", float(second)) for second in range(10)]
    assert admitted == [0] * EVENTS_PER_MINUTE + [None] * (10 - EVENTS_PER_MINUTE)
    assert budget.admit("hub", "camera_lost", 61.0) == 10 - EVENTS_PER_MINUTE
    assert budget.admit("hub", "camera_lost", 62.0) == 0


def test_one_part_that_repeats_itself_does_not_silence_another() -> None:
    budget = Budget()
    for second in range(100):
        budget.admit("camera:main", "part_ended", float(second))
    assert budget.admit("show", "part_ended", 100.0) == 0
    assert budget.admit("camera:main", "part_back", 100.0) == 0


def test_a_line_says_when_where_who_and_what(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno(), device_id="foyer")
        log.write({"part": "show", "event": "first_picture", "level": "info", "display": "größer"})
        log.close()
    (line,) = (tmp_path / "log").read_text().splitlines()
    event = json.loads(line)
    assert event.pop("at") > 0
    assert (event.pop("version"), event.pop("boot")) == (__version__, boot_id())
    assert event == {
        "device_id": "foyer",
        "part": "show",
        "event": "first_picture",
        "level": "info",
        "display": "größer",
    }


def test_what_the_supervisor_says_of_one_part_leaves_room_for_the_others(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno())
        for name in ["camera:main"] * 50 + ["show"]:
            log.write({"part": "supervisor", "event": "part_ended", "level": "warning", "name": name})
        log.close()
    names = [json.loads(line)["name"] for line in (tmp_path / "log").read_text().splitlines()]
    assert names == ["camera:main"] * EVENTS_PER_MINUTE + ["show"]


def test_every_line_tells_which_version_in_which_boot_wrote_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno(), device_id="foyer")
        log.write({"part": "show", "event": "first_picture", "level": "info"})
        log.close()
    line = json.loads((tmp_path / "log").read_text())
    assert (line["device_id"], line["version"]) == ("foyer", __version__)
    assert Path("/proc/sys/kernel/random/boot_id").read_text().startswith(line["boot"])
    assert len(line["boot"]) == 8


def test_a_person_is_shown_the_level_the_part_and_the_fields(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = LogWriter(file.fileno(), human=True)
        log.write({"part": "show", "event": "rung_changed", "level": "warning", "rung": "light"})
        log.close()
    assert (tmp_path / "log").read_text().split() == ["!", "show", "rung_changed", "rung=light"]


def test_a_reader_that_stands_still_holds_up_neither_the_writer_nor_its_end(pipe: tuple[int, int]) -> None:
    log = LogWriter(pipe[1])
    begun_s = now_s()
    for number in range(5000):
        log.write({"part": "show", "event": f"event_{number}", "level": "info", "text": "x" * 200})
    log.close()
    assert now_s() - begun_s < 3.0
    os.close(pipe[0])  # lets the thread go


def test_a_reader_that_went_away_is_no_fault(pipe: tuple[int, int]) -> None:
    log = LogWriter(pipe[1])
    os.close(pipe[0])
    log.write({"part": "show", "event": "one", "level": "info"})
    log.write({"part": "show", "event": "two", "level": "info"})
    log.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "log" and thread.is_alive()]


def test_a_terminal_that_somebody_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    log = LogWriter(pipe[1])
    for number in range(900):
        log.write({"part": "show", "event": f"event_{number}", "level": "info", "text": "x" * 200})
    seen = b""
    while seen.count(b"\n") < 900:
        seen += os.read(pipe[0], 65536)
    log.close()
    assert [json.loads(line)["event"] for line in seen.splitlines()] == [f"event_{number}" for number in range(900)]
