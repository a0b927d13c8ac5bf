"""ONNX Runtime with CUDA, the rung between TensorRT and the CPU: every shipped bundle, right and timed."""

import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.cli.models import shapes_seen
from edge_runtime.errors import SessionError
from edge_runtime.inference.cuda import cuda
from edge_runtime.inference.engines import TOLERANCE, check_parity, precision_for_engine, proof_inputs
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.onnx import CPU, CUDA, OnnxSession
from edge_runtime.inference.session import Session

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]
MODELS = Path(__file__).parents[2] / "models"
BUNDLES = sorted({path.parent.name for path in MODELS.glob("*/*.onnx")})
SIZE_PX = (480, 272)
_ROWS: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def gpu(request: pytest.FixtureRequest) -> Iterator[None]:
    try:
        device = cuda().device
    except SessionError as error:
        pytest.skip(str(error))
    yield
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{device.name}, compute {device.compute_capability}, {device.driver}")  # noqa: T201
        print("\n".join(_ROWS))  # noqa: T201


def median_ms(session: Session, inputs: object, runs: int) -> float:
    taken = []
    for _ in range(runs):
        session.run(inputs)  # type: ignore[arg-type]
        taken.append(1e3 * session.run_s)
    return statistics.median(taken[5:])


@pytest.mark.parametrize("wanted", ["fp32", "fp16"])
@pytest.mark.parametrize("name", BUNDLES)
def test_cuda_answers_as_the_cpu_does(name: str, wanted: str) -> None:
    bundle = open_bundle(name, [MODELS])
    precision = precision_for_engine(bundle, wanted)
    inputs = proof_inputs(bundle.manifest, shapes_seen(bundle, SIZE_PX))
    with (
        OnnxSession(bundle, precision=precision, providers=[CUDA, CPU]) as session,
        OnnxSession(bundle, providers=[CPU]) as below,
    ):
        assert session.provider == CUDA
        error = check_parity(name, below.run(inputs), session.run(inputs), TOLERANCE[precision])
        fast, slow = median_ms(session, inputs, 40), median_ms(below, inputs, 12)
    _ROWS.append(
        f"{name:14} {precision:9} CUDA {fast:7.3f} ms  CPU {slow:8.2f} ms  x{slow / fast:6.1f}  error {error:.4f}"
    )
