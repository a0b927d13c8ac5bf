"""The engine ladder and its cache, with builders that take their time, crash, cheat and are cut short."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime import logs
from edge_runtime.errors import DeviceLostError, SessionError
from edge_runtime.inference.engines import STRIKES, EngineKey, EngineShelf, precision_for_engine
from edge_runtime.inference.ladder import MAX_ATTEMPTS, RETRY_S, LadderSession, open_ladder
from edge_runtime.inference.onnx import OnnxSession
from edge_runtime.slots import Array
from tests.fixtures.builder import PLAN, FakeToolkit
from tests.fixtures.bundles import opened, write_copying
from tests.fixtures.waiting import eventually

PICTURE = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)
SHAPES = {"image": PICTURE.shape}
Climb = Callable[..., LadderSession]
"""Opens a ladder; `retry_s` says how long after a failure it is tried again."""


@pytest.fixture
def events() -> Iterator[list[logs.Event]]:
    seen: list[logs.Event] = []
    before = logs._sink
    logs.route_events("test", seen.append)
    yield seen
    logs.route_events("", before)


@pytest.fixture
def toolkit(tmp_path: Path) -> FakeToolkit:
    return FakeToolkit(opened(write_copying(tmp_path)), tmp_path)


@pytest.fixture
def climb(toolkit: FakeToolkit, tmp_path: Path) -> Iterator[Climb]:
    open_ones: list[LadderSession] = []

    def start(retry_s: float = RETRY_S) -> LadderSession:
        below, shelf = OnnxSession(toolkit.bundle), EngineShelf(tmp_path / "engines")
        open_ones.append(LadderSession(toolkit.bundle, below, shelf, toolkit, retry_s=retry_s))
        return open_ones[-1]

    yield start
    for session in open_ones:
        session.close()


def run(session: LadderSession, picture: Array = PICTURE) -> str:
    """Run once, see the right picture, tell what ran it."""
    assert np.array_equal(session.run({"image": picture})["copy"], picture)
    return session.provider


def on_engine(session: LadderSession, picture: Array = PICTURE) -> None:
    eventually(lambda: run(session, picture) == "TensorRT", 20, "the engine is in use")


def named(events: list[logs.Event], name: str) -> list[logs.Event]:
    return [event for event in events if event["event"] == name]


def test_the_rung_below_runs_at_once_while_an_engine_is_built_and_it_tells_how_far(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event]
) -> None:
    toolkit.way = "slowly"
    session = climb()
    assert run(session) == "CPUExecutionProvider"
    eventually(lambda: session.engine == "building 40 %", 20, "progress is told")
    for _ in range(20):
        assert run(session) == "CPUExecutionProvider"
    toolkit.gate.write_bytes(b"go")
    on_engine(session)
    assert session.engine == "in use"
    assert [event["event"] for event in events] == ["engine_building", "engine_built", "engine_in_use"]


def test_an_engine_that_is_there_is_used_again_and_not_built(toolkit: FakeToolkit, climb: Climb) -> None:
    on_engine(climb())
    toolkit.way = "crashing"
    on_engine(climb())
    assert toolkit.commands == 1


def test_every_shape_has_an_engine_of_its_own(toolkit: FakeToolkit, climb: Climb) -> None:
    session, small = climb(), PICTURE[:16, :16].copy()
    on_engine(session)
    toolkit.way = "slowly"
    assert run(session, small) == "CPUExecutionProvider"
    assert run(session) == "TensorRT"
    toolkit.gate.write_bytes(b"go")
    on_engine(session, small)
    assert run(session) == "TensorRT"
    assert toolkit.commands == 2


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("crashing", "was ended by SIGABRT"),
        ("failing", "ended with exit code 2: edge-runtime: out of memory"),
        ("nothing", "left no engine"),
        ("cut short", "is cut short"),
        ("wrongly", "standard deviations"),
    ],
)
def test_a_builder_that_fails_costs_one_line_and_the_show_goes_on_below(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event], way: str, words: str
) -> None:
    toolkit.way = way
    session = climb()

    def failed() -> list[logs.Event]:
        assert run(session) == "CPUExecutionProvider"
        return named(events, "engine_build_failed")

    assert words in eventually(failed, 20, "the failure is told")[0]["reason"]
    for _ in range(20):
        assert run(session) == "CPUExecutionProvider"
    assert len(named(events, "engine_build_failed")) == 1
    assert toolkit.commands == 1, "it is not tried again at once"


def test_a_builder_that_is_killed_is_told(toolkit: FakeToolkit, climb: Climb, events: list[logs.Event]) -> None:
    toolkit.way = "slowly"
    session = climb()
    run(session)
    builder = eventually(lambda: session._maker._builder, 20, "the builder runs")
    os.kill(builder.pid, signal.SIGKILL)
    eventually(lambda: run(session) and named(events, "engine_build_failed"), 20, "the failure is told")
    assert "SIGKILL" in named(events, "engine_build_failed")[0]["reason"]


def test_closing_ends_the_builder(toolkit: FakeToolkit, climb: Climb) -> None:
    toolkit.way = "slowly"
    session = climb()
    run(session)
    builder = eventually(lambda: session._maker._builder, 20, "the builder runs")
    session.close()
    assert builder.returncode is not None


def test_a_tampered_engine_is_refused_and_built_anew(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event], tmp_path: Path
) -> None:
    on_engine(climb())
    path = next((tmp_path / "engines").glob("*.engine"))
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    on_engine(climb())
    assert "was altered" in named(events, "engine_refused")[0]["reason"]
    assert toolkit.commands == 2


def test_an_engine_of_another_build_of_tensorrt_is_refused_and_built_anew(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event]
) -> None:
    on_engine(climb())
    toolkit.library = "tensorrt 11.4.0.106"
    on_engine(climb())
    reason = named(events, "engine_refused")[0]["reason"]
    assert "library is 'tensorrt 10.16.2.10', here 'tensorrt 11.4.0.106'" in reason


def test_an_engine_that_fails_at_work_loses_no_picture(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event]
) -> None:
    session = climb()
    on_engine(session)
    toolkit.broken = SessionError("CUDA: cuMemAlloc_v2: out of memory (2)")
    assert run(session) == "CPUExecutionProvider"
    assert "out of memory" in named(events, "engine_failed")[0]["reason"]
    assert session.engine.startswith("none: CUDA: cuMemAlloc_v2")


def test_an_engine_that_fails_again_and_again_is_given_up(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event]
) -> None:
    session = climb(retry_s=0.0)
    toolkit.broken = SessionError("CUDA: cuGraphLaunch: invalid argument (1)")

    def given_up() -> bool:
        assert run(session) == "CPUExecutionProvider"
        return len(named(events, "engine_failed")) == MAX_ATTEMPTS

    eventually(given_up, 30, "three failures")
    for _ in range(20):
        run(session)
    assert len(named(events, "engine_failed")) == MAX_ATTEMPTS


def test_a_gpu_that_is_lost_ends_the_part_instead_of_leaving_it_on_the_cpu_for_months(
    toolkit: FakeToolkit, climb: Climb
) -> None:
    session = climb()
    on_engine(session)
    toolkit.broken = DeviceLostError("CUDA: cuStreamSynchronize: an illegal memory access was encountered (700)")
    with pytest.raises(DeviceLostError):
        session.run({"image": PICTURE})


def test_an_engine_that_is_whole_and_refused_is_built_anew(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event]
) -> None:
    toolkit.way = "refused"
    session = climb()
    eventually(lambda: run(session) and named(events, "engine_build_failed"), 20, "the refusal is told")
    session.close()
    toolkit.way = "well"
    on_engine(climb())
    assert "bad magic" in named(events, "engine_refused")[0]["reason"]


def test_what_nobody_foresaw_ends_no_ladder(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> EngineKey:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toolkit, "key", full)
    session = climb(retry_s=0.0)
    eventually(lambda: run(session) and named(events, "engine_build_failed"), 20, "the failure is told")
    assert "No space left" in named(events, "engine_build_failed")[0]["reason"]
    monkeypatch.undo()
    on_engine(session)


def test_an_engine_that_ended_three_processes_is_not_tried_again(
    toolkit: FakeToolkit, climb: Climb, events: list[logs.Event], tmp_path: Path
) -> None:
    on_engine(climb())
    folder = tmp_path / "engines"
    dying = (
        "import os, sys; from pathlib import Path\n"
        "from edge_runtime.inference.engines import Engine, EngineShelf\n"
        "shelf = EngineShelf(Path(sys.argv[1])); engine = Engine(next(shelf.folder.glob('*.engine')), b'', {})\n"
        "with shelf.trying(engine): os.abort()\n"
    )
    for _ in range(2):  # twice may be the power, or a stop
        assert subprocess.run([sys.executable, "-c", dying, str(folder)], check=False).returncode == -signal.SIGABRT
        assert EngineShelf(folder).read(toolkit.bundle.manifest.name, toolkit.key_of(SHAPES))
    assert subprocess.run([sys.executable, "-c", dying, str(folder)], check=False).returncode == -signal.SIGABRT
    session = climb()
    eventually(lambda: run(session) and named(events, "engine_build_failed"), 20, "the refusal is told")
    assert "ended the process" in named(events, "engine_build_failed")[0]["reason"]
    assert toolkit.commands == 1
    next(folder.glob("*.bad")).unlink()
    on_engine(climb())


def test_an_engine_that_worked_in_between_has_no_strikes(toolkit: FakeToolkit, tmp_path: Path) -> None:
    shelf, key = EngineShelf(tmp_path / "engines"), toolkit.key_of(SHAPES)
    path = shelf.write("copy", key, PLAN, {"copy": PICTURE})
    for _ in range(2 * STRIKES):
        path.with_name(f"{path.name}.trying-1-1-00000000").touch()  # of a process before the last reboot
        engine = shelf.read("copy", key)
        assert engine is not None
        with shelf.trying(engine):
            pass


def test_every_byte_of_an_engine_counts(toolkit: FakeToolkit, tmp_path: Path) -> None:
    shelf, key = EngineShelf(tmp_path / "engines"), toolkit.key_of(SHAPES)
    path = shelf.write("copy", key, PLAN, {"copy": PICTURE[:4, :4]})
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(SessionError, match=path.name):
            shelf.read("copy", key)


@pytest.mark.parametrize("cut", [0, 1, 40, 300, -1])
def test_a_file_of_any_length_is_an_engine_or_a_clear_refusal(toolkit: FakeToolkit, tmp_path: Path, cut: int) -> None:
    shelf, key = EngineShelf(tmp_path / "engines"), toolkit.key_of(SHAPES)
    path = shelf.write("copy", key, PLAN, {"copy": PICTURE})
    engine = shelf.read("copy", key)
    assert engine is not None
    assert engine.plan == PLAN
    assert np.array_equal(engine.expected["copy"], PICTURE)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SessionError, match=path.name):
        shelf.read("copy", key)


def test_the_file_for_an_engine_is_one_that_tensorrt_can_read(toolkit: FakeToolkit) -> None:
    models = Path(__file__).parents[2] / "models"
    stylize, matte = opened(models / "stylize"), opened(models / "matte")
    assert precision_for_engine(stylize, None) == "fp16"
    assert precision_for_engine(stylize, "int8") == "int8-trt"
    assert precision_for_engine(matte, "int8") == "fp16"
    assert precision_for_engine(toolkit.bundle, None) == "fp32"


def test_without_a_gpu_the_session_is_what_it_was_and_one_line_says_why_where_an_engine_was_asked_for(
    toolkit: FakeToolkit, events: list[logs.Event], tmp_path: Path
) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("there is a GPU here")
    with OnnxSession(toolkit.bundle) as below:
        assert open_ladder(toolkit.bundle, below, tmp_path, None, insist=False) is below
        assert events == []
        assert open_ladder(toolkit.bundle, below, tmp_path, None, insist=True) is below
    assert [(event["event"], event["runs_on"]) for event in events] == [
        ("engine_unavailable", "CPUExecutionProvider"),
    ]
    assert "no NVIDIA driver" in events[0]["reason"]
