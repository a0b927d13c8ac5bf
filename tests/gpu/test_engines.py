"""TensorRT on a real GPU: every shipped bundle as an engine, right and fast; prints a table."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.cli.models import shapes_seen
from edge_runtime.errors import SessionError
from edge_runtime.inference.cuda import cuda
from edge_runtime.inference.engines import (
    TOLERANCE,
    EngineShelf,
    build_engine,
    check_parity,
    precision_for_engine,
    proof_inputs,
    shapes_text,
)
from edge_runtime.inference.ladder import LadderSession, TensorRtToolkit
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.onnx import CPU, OnnxSession
from edge_runtime.inference.session import Session
from edge_runtime.inference.tensorrt import TensorRtSession, library_for
from tests.fixtures.waiting import eventually

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]
MODELS = Path(__file__).parents[2] / "models"
BUNDLES = sorted({path.parent.name for path in MODELS.glob("*/*.onnx")})
SIZE_PX = (480, 272)
_ROWS: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def gpu(request: pytest.FixtureRequest) -> Iterator[None]:
    try:
        device = cuda().device
        library = library_for(device)
    except SessionError as error:
        pytest.skip(str(error))
    yield
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{device.name}, compute {device.compute_capability}, {device.driver}, {library}")  # noqa: T201
        print("\n".join(_ROWS))  # noqa: T201


def median_ms(session: Session, inputs: object, runs: int = 50) -> float:
    taken = []
    for _ in range(runs):
        session.run(inputs)  # type: ignore[arg-type]
        taken.append(1e3 * session.run_s)
    return statistics.median(taken[5:])


@pytest.mark.parametrize("wanted", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", BUNDLES)
def test_an_engine_answers_as_the_cpu_does(name: str, wanted: str, tmp_path: Path) -> None:
    bundle = open_bundle(name, [MODELS])
    precision = precision_for_engine(bundle, wanted)
    shapes = shapes_seen(bundle, SIZE_PX)
    key, shelf = TensorRtToolkit().key(bundle, precision, shapes_text(shapes)), EngineShelf(tmp_path)
    with shelf.building():
        build_engine(bundle, key, shelf)
    engine = shelf.read(name, key)
    assert engine is not None
    inputs = proof_inputs(bundle.manifest, shapes)
    with TensorRtSession(bundle.manifest, engine.plan) as session, OnnxSession(bundle, providers=[CPU]) as below:
        error = check_parity(name, engine.expected, session.run(inputs), TOLERANCE[precision])
        again = check_parity(name, engine.expected, session.run(inputs), TOLERANCE[precision])
        assert again == pytest.approx(error, abs=0.01), "the recorded graph answers as the plain run did"
        fast, slow = median_ms(session, inputs), median_ms(below, inputs, 12)
        _ROWS.append(
            f"{name:14} {precision:9} engine {len(engine.plan) / 1e6:6.1f} MB  TensorRT {fast:7.3f} ms  "
            f"CPU {slow:8.2f} ms  x{slow / fast:6.1f}  error {error:.4f}  graph {session._graph is not None}"
        )


def test_the_ladder_changes_over_from_the_cpu_to_an_engine_and_loses_no_run(tmp_path: Path) -> None:
    bundle = open_bundle("stylize-lite", [MODELS])
    inputs = proof_inputs(bundle.manifest, shapes_seen(bundle, SIZE_PX))
    below = OnnxSession(bundle, providers=[CPU])
    with LadderSession(bundle, below, EngineShelf(tmp_path), TensorRtToolkit()) as session:
        first = session.run(inputs)
        assert session.provider == CPU
        eventually(lambda: session.run(inputs) and session.provider == "TensorRT", 600, "the engine is in use")
        check_parity("stylize-lite", first, session.run(inputs), TOLERANCE["fp16"])


def test_an_engine_that_is_cut_short_is_refused_without_ending_the_process(tmp_path: Path) -> None:
    bundle = open_bundle("face", [MODELS])
    shapes = shapes_seen(bundle, SIZE_PX)
    key, shelf = TensorRtToolkit().key(bundle, "fp16", shapes_text(shapes)), EngineShelf(tmp_path)
    with shelf.building():
        build_engine(bundle, key, shelf)
    engine = shelf.read("face", key)
    assert engine is not None
    with pytest.raises(SessionError):
        TensorRtSession(bundle.manifest, engine.plan[: len(engine.plan) // 2])
