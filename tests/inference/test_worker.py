"""The worker, as a real process; the test is camera, hub and governor."""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.clock import now_s
from edge_runtime.config import DeviceConfig
from edge_runtime.slots import SlotFrame, SlotReader, SlotWriter
from tests.fixtures.bundles import write_copying, write_null, write_styled
from tests.fixtures.device import REPOSITORY
from tests.fixtures.parts import Memory, RunningPart
from tests.fixtures.waiting import eventually

CAMERA_PX = (64, 48)
STYLED = {"bundle": "styled", "output": "picture.look", "size_px": [64, 48], "rate_hz": 240, "stabilise": 0.0}
IDLE = {"bundle": "idle", "output": "picture.look", "size_px": [64, 48], "rate_hz": 240}


def device(*models: dict[str, Any], **sections: Any) -> DeviceConfig:
    return DeviceConfig.model_validate(
        {
            "device_id": "test",
            "cameras": [{"name": "main", "source": "synthetic", "size_px": CAMERA_PX}],
            "signals": [{"name": "votes", "mqtt": "votes"}],
            "models": [{"name": "m", "input": "camera.main", **model} for model in models],
            "scenes": [{"name": "s", "layers": [{"kind": "fill"}]}],
            **sections,
        }
    )


class Camera:
    """Writes pictures whose every pixel is the number of the frame, from 1 on."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._writer: SlotWriter = memory.writer("camera.main")
        self.number = 0

    def shoot(self, captured_s: float | None = None) -> int:
        self.number += 1
        at_s = now_s()
        picture = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), self.number % 256, np.uint8)
        self._writer.write(picture, captured_s or at_s, at_s)
        self._memory.bell.ring()
        return self.number

    @contextmanager
    def rolling(self, rate_hz: float) -> Iterator[None]:
        """Shoot on a thread until the end of the block."""
        stop = threading.Event()

        def roll() -> None:
            while not stop.wait(1.0 / rate_hz):
                self.shoot()

        thread = threading.Thread(target=roll)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def working(config: DeviceConfig, folder: Path) -> Iterator[tuple[RunningPart, Camera]]:
    with RunningPart("worker:main", config, folder, model_folders=[folder]) as worker:
        yield worker, Camera(worker.memory)


def shown(reader: SlotReader) -> int:
    """The number painted into the newest picture; 0 before any."""
    frame = reader.latest()
    return 0 if frame is None else int(frame.array[0, 0, 0])


def await_number(reader: SlotReader, number: int, within_s: float = 5.0) -> None:
    eventually(lambda: shown(reader) == number % 256, within_s, f"picture {number}")


def await_change(look: Callable[[], object], becomes: object) -> None:
    eventually(lambda: look() == becomes, 5.0, f"a change to {becomes}")


def latest(reader: SlotReader) -> SlotFrame:
    frame = reader.latest()
    assert frame is not None
    return frame


def test_a_worker_of_two_cameras_is_up_while_one_of_them_is_absent(tmp_path: Path) -> None:
    write_null(tmp_path)
    cameras = [{"name": name, "source": "synthetic", "size_px": CAMERA_PX} for name in ("main", "side")]
    config = device({**IDLE, "input": ["camera.main", "camera.side"]}, cameras=cameras)
    with working(config, tmp_path) as (worker, camera):
        camera.shoot()
        eventually(lambda: worker.messages("ready"), 5.0, "the worker says it is ready")


def test_a_number_painted_into_the_camera_picture_comes_out_with_its_time(tmp_path: Path) -> None:
    write_copying(tmp_path)
    with working(device({**IDLE, "bundle": "copying"}), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        start_s = now_s()
        number = camera.shoot(captured_s=12.5)
        eventually(lambda: shown(reader) == number, 5.0, "the first picture")
        assert now_s() - start_s < 3.0
        assert latest(reader).captured_s == 12.5
        eventually(lambda: worker.messages("ready"), 2.0, "the worker says it is ready")
        assert worker.stop() == 0
    assert worker.stderr.read_text() == ""


def test_a_worker_without_a_picture_to_work_on_is_ready_and_beats(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device(IDLE), tmp_path) as (worker, _):
        eventually(lambda: worker.messages("ready"), 5.0, "ready without input")
        promised_s = worker.pulse.promised_s(worker.name)
        eventually(lambda: worker.pulse.promised_s(worker.name) > promised_s + 0.2, 2.0, "it goes on beating")
        assert worker.reader("picture.look").latest() is None
        assert worker.pulse.count(worker.name) == 0


def test_a_slow_model_takes_the_newest_frame_and_leaves_out_the_rest(tmp_path: Path) -> None:
    write_null(tmp_path, cost_ms=40)
    with working(device(IDLE), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        with camera.rolling(100):
            eventually(lambda: shown(reader) > 0, 5.0, "a first picture")
            first = camera.number
            eventually(lambda: camera.number > first + 80, 5.0, "80 more frames")
            runs = latest(reader).sequence
        last = camera.number
        eventually(lambda: shown(reader) == last % 256, 1.0, "the last frame is worked on")
        stats = eventually(lambda: (worker.stats() or {}).get("models", {}).get("m"), 2.0, "a report")
        assert runs < 40  # of more than 80 frames: no queue
        assert stats["provider"] == "null"
        assert stats["run_ms"]["p50"] >= 40
        # A frame waits for the run before it at most; a queue of 80 frames would make it wait for seconds.
        assert stats["age_ms"]["p50"] < 2 * stats["task_ms"]["p95"] + 30


def test_a_model_runs_once_a_frame_and_not_again(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device(IDLE), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        for _ in range(5):
            number = camera.shoot()
            await_number(reader, number)
        eventually(lambda: len(worker.messages("report")) > 1, 3.0, "time passes")
        assert latest(reader).sequence == 5
        assert worker.pulse.count(worker.name) == 5


def test_the_ceiling_holds(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device({**IDLE, "rate_hz": 20}), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        with camera.rolling(100):
            eventually(lambda: shown(reader) > 0, 5.0, "a first picture")
            start_s, start = now_s(), latest(reader).sequence
            eventually(lambda: latest(reader).sequence >= start + 20, 5.0, "20 more runs")
            assert 0.9 < now_s() - start_s < 2.0


def test_a_model_without_input_runs_at_its_rate(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device({**IDLE, "input": [], "rate_hz": 25}), tmp_path) as (worker, _):
        reader = worker.reader("picture.look")
        eventually(reader.latest, 5.0, "a first picture")
        start_s, start = now_s(), latest(reader).sequence
        eventually(lambda: latest(reader).sequence >= start + 20, 5.0, "20 more runs")
        assert 0.7 < now_s() - start_s < 1.6


def test_models_in_a_chain_hand_on_the_time_of_the_light(tmp_path: Path) -> None:
    write_null(tmp_path)
    second = {**IDLE, "name": "second", "input": "picture.look", "output": "picture.end", "size_px": [32, 24]}
    with working(device(IDLE, second), tmp_path) as (worker, camera):
        reader = worker.reader("picture.end")
        for captured_s in (1.5, 2.5):
            number = camera.shoot(captured_s)
            await_number(reader, number)
            assert latest(reader).captured_s == captured_s
            assert latest(reader).array.shape == (24, 32, 3)


def test_a_changed_parameter_alone_makes_a_new_picture(tmp_path: Path) -> None:
    write_styled(tmp_path)
    bind = {"style.negative": {"signal": "votes"}}
    with working(device({**STYLED, "bind": bind, "set": {"style.plain": 0.001}}), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        camera.shoot()
        await_number(reader, 1)
        worker.board.put("votes", 1.0, now_s())
        worker.bell.ring()
        await_number(reader, 254, 1.0)
        assert latest(reader).sequence == 2


def test_a_held_parameter_is_shown_explained_and_released(tmp_path: Path) -> None:
    write_styled(tmp_path)
    with working(device(STYLED), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        camera.shoot()
        await_number(reader, 1)
        hold = {"model": "m", "parameter": "style.negative", "until_s": None}
        worker.send("hold", **hold, value=1.0)
        await_number(reader, 254, 1.0)
        worker.send("why", parameter="models.m.style.negative", request=7)
        reply = eventually(lambda: worker.messages("reply"), 1.0, "an answer")[0]
        assert reply["request"] == 7
        assert reply["result"] == {"ok": True, "result": {"value": 1.0, "by": "held", "left_s": None}}
        worker.send("hold", **hold, value=None)
        await_number(reader, 1, 1.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "m", "parameter": "style.negativ"}, "no parameter 'style.negativ'"),
        ({"model": "n", "parameter": "style.negative"}, "no model 'n' in worker:main; known: m"),
        ({"parameter": "negative"}, "no model"),
        ({"model": "m", "parameter": "style.negative", "value": 2.0}, "not within 0 to 1"),
    ],
)
def test_what_it_cannot_hold_is_refused_with_the_reason(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    write_styled(tmp_path)
    with working(device(STYLED), tmp_path) as (worker, _):
        worker.send("hold", **{"value": 1.0, "until_s": None, "request": 1, **fields})
        reply = eventually(lambda: worker.messages("reply"), 5.0, "an answer")[0]
        assert reply["result"]["ok"] is False
        assert words in reply["result"]["reason"]


def test_a_rung_of_the_ladder_changes_size_and_rate_while_it_runs(tmp_path: Path) -> None:
    write_styled(tmp_path)
    ladder = [{"name": "full"}, {"name": "light", "models": {"m": {"size_px": [32, 24], "rate_hz": 10}}}]
    with working(device({**STYLED, "stabilise": 1.0}, ladder=ladder), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        with camera.rolling(60):
            await_change(lambda: reader.latest() is not None, True)
            for rung, shape in ((0.0, (48, 64, 3)), (1.0, (24, 32, 3)), (0.0, (48, 64, 3)), (9.0, (24, 32, 3))):
                worker.board.put("governor.rung", rung, now_s())
                await_change(lambda: latest(reader).array.shape, shape)
            start_s, start = now_s(), latest(reader).sequence
            eventually(lambda: latest(reader).sequence >= start + 5, 5.0, "5 more runs")
            assert 0.4 < now_s() - start_s < 1.0
        assert not worker.events("model_failed")


def test_a_model_that_no_scene_on_screen_uses_rests_once_it_has_proved_itself(tmp_path: Path) -> None:
    write_null(tmp_path)
    scenes = [
        {"name": "mirror", "layers": [{"kind": "picture", "source": "picture.look"}]},
        {"name": "night", "layers": [{"kind": "fill"}]},
    ]
    with working(device(IDLE, scenes=scenes), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        worker.board.put("show.scenes", "night", now_s())
        await_number(reader, camera.shoot())  # the first run warms it up
        at_rest = latest(reader).sequence
        with camera.rolling(60):
            eventually(lambda: camera.number > 30, 5.0, "half a second of frames")
            assert latest(reader).sequence == at_rest
            worker.board.put("show.scenes", "night,mirror", now_s())  # it fades in
            eventually(lambda: latest(reader).sequence > at_rest + 5, 5.0, "it works again")


def test_killed_and_started_again_it_goes_on_and_readers_never_lose_the_picture(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device(IDLE), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        with camera.rolling(60):
            for _ in range(2):
                eventually(lambda: shown(reader) > 0, 5.0, "a picture")
                worker.kill()
                ring, last = latest(reader).ring, shown(reader)
                worker.start()
                assert shown(reader) == last  # the predecessor's, until there is a newer one
                await_change(lambda: latest(reader).ring, 1 - ring)


def test_a_frame_the_model_cannot_take_is_told_once_and_five_end_the_part(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device(IDLE), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        camera.shoot()
        await_number(reader, 1)
        odd = worker.memory.writer("camera.main")
        for i in range(5):
            count = worker.pulse.count(worker.name)
            odd.write(np.zeros((8, 8), np.float64), now_s(), now_s())
            worker.bell.ring()
            if i < 4:
                await_change(lambda: worker.pulse.count(worker.name), count + 1)
        eventually(lambda: worker.exit_code == 1, 3.0, "it gives up")
        assert len(worker.events("model_failed")) == 1
        assert "failed 5 times in a row" in worker.events("part_failed")[0]["reason"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({**IDLE, "bundle": "gone"}, "no bundle 'gone'"),
        ({**STYLED, "size_px": [66, 48]}, "multiples of 4"),
        ({**STYLED, "set": {"style.none": 1.0}}, "'style.none' is no parameter"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_part_with_one_line(
    tmp_path: Path, model: dict[str, Any], words: str
) -> None:
    write_styled(tmp_path)
    with working(device(model), tmp_path) as (worker, _):
        eventually(lambda: worker.exit_code == 1, 5.0, "it ends")
        assert words in worker.events("part_failed")[0]["reason"]


def test_it_stops_when_the_supervisor_is_gone(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device(IDLE), tmp_path) as (worker, _):
        eventually(lambda: worker.messages("ready"), 5.0, "ready")
        worker.hang_up()
        eventually(lambda: worker.exit_code == 0, 2.0, "it stops")


def test_a_worker_that_was_stopped_and_continued_works_on_the_newest_frame(tmp_path: Path) -> None:
    write_null(tmp_path)
    with working(device(IDLE), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        camera.shoot()
        await_number(reader, 1)
        worker.signal(signal.SIGSTOP)
        for _ in range(20):
            camera.shoot()
        worker.signal(signal.SIGCONT)
        eventually(lambda: shown(reader) == camera.number, 1.0, "the newest frame")
        assert latest(reader).sequence <= 3


def test_a_task_that_goes_on_by_itself_stops_when_its_input_has_ended_so_that_a_fallback_can_show(
    tmp_path: Path,
) -> None:
    shutil.copytree(REPOSITORY / "models" / "interpolate", tmp_path / "interpolate")
    between = {"bundle": "interpolate", "output": "picture.look", "size_px": [64, 64], "rate_hz": 60}
    with working(device(between), tmp_path) as (worker, camera):
        reader = worker.reader("picture.look")
        with camera.rolling(12.0):
            eventually(lambda: shown(reader) > 3, 5.0, "in-between pictures")

        def is_silent() -> bool:
            frame = reader.latest()
            return frame is not None and now_s() - frame.published_s > 0.7

        eventually(is_silent, 5.0, "nothing new is published")
        number = camera.shoot()
        await_number(reader, number)
