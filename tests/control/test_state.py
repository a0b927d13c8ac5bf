import json
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.control.state import WRITE_EVERY_S, StateFile, fresh_state, load_state, write_atomically


def test_what_was_said_survives_and_what_was_not_is_left_to_the_config(tmp_path: Path) -> None:
    path = tmp_path / "state" / "state.json"
    file = StateFile(path)
    assert file.state == fresh_state()
    file.state["scene"] = "night"
    file.state["blackout"] = True
    file.tend(0.0)
    assert load_state(path) == {"scene": "night", "blackout": True, "revision": -1, "session": 0}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"null", b"[" * 100_000])
def test_a_corrupt_file_is_a_fresh_box_and_an_event(
    tmp_path: Path, events: list[dict[str, Any]], content: bytes
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert load_state(path) == fresh_state()
    assert [line["event"] for line in events] == ["state_unreadable"]


def test_values_that_make_no_sense_are_left_out_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"scene": 5, "blackout": "yes", "brightness": NaN, "revision": 1.5, "session": 9, "more": 1}')
    assert load_state(path) == {**fresh_state(), "session": 9}
    path.write_text('{"scene": "night", "blackout": true, "brightness": 250, "revision": 4, "session": true}')
    assert load_state(path) == {"scene": "night", "blackout": True, "brightness": 100.0, "revision": 4, "session": 0}


def test_a_slider_writes_once_a_second_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    file = StateFile(path)
    writes = 0
    for step in range(100):  # ten seconds of dragging
        file.state["brightness"] = float(step)
        before = path.stat().st_ino if path.exists() else None
        file.tend(step * 0.1)
        writes += before != path.stat().st_ino
    assert writes <= 10 / WRITE_EVERY_S + 1
    file.tend(9.95, at_once=True)
    assert json.loads(path.read_text())["brightness"] == 99.0
    assert not file.due(1000.0)


def test_a_write_that_fails_leaves_the_old_file_whole_and_is_told_once(
    tmp_path: Path, events: list[dict[str, Any]]
) -> None:
    path = tmp_path / "state.json"
    file = StateFile(path)
    file.tend(0.0)
    in_the_way = tmp_path / ".state.json.partial"
    in_the_way.mkdir()
    file.state["blackout"] = True
    for second in range(1, 4):
        file.tend(float(second))
    assert load_state(path)["blackout"] is False
    assert [line["event"] for line in events] == ["state_not_written"]
    in_the_way.rmdir()
    file.tend(10.0)
    assert load_state(path)["blackout"] is True
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]


def test_an_atomic_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    write_atomically(path, b"a long first picture")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
