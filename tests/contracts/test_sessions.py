"""What every session promises."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import SessionError
from edge_runtime.inference.session import Session, open_session
from edge_runtime.slots import Array
from tests.fixtures.bundles import opened, write_copying, write_null

OUTPUT = {"onnx": "copy", "null": "image"}


@pytest.fixture(params=["onnx", "null"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def session(kind: str, tmp_path: Path) -> Iterator[Session]:
    write: Callable[[Path], Path] = write_copying if kind == "onnx" else write_null
    with open_session(opened(write(tmp_path))) as session:
        yield session


def picture(seed: int = 0, shape: tuple[int, ...] = (24, 32, 3)) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_a_session_gives_every_output_of_its_manifest(session: Session, kind: str) -> None:
    outputs = session.run({"image": picture()})
    assert set(outputs) == {OUTPUT[kind]}
    assert np.array_equal(outputs[OUTPUT[kind]], picture())


def test_a_session_takes_every_size_its_manifest_leaves_open(session: Session, kind: str) -> None:
    for shape in ((24, 32, 3), (48, 16, 3), (24, 32, 3)):
        assert session.run({"image": picture(shape=shape)})[OUTPUT[kind]].shape == shape


def test_a_result_outlives_the_next_run(session: Session, kind: str) -> None:
    first = session.run({"image": picture(1)})[OUTPUT[kind]]
    session.run({"image": picture(2)})
    assert np.array_equal(first, picture(1))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, ["'image'", "missing", "uint8 [h, w, 3]"]),
        ({"image": picture().astype(np.float32)}, ["'image'", "float32 [24, 32, 3]", "uint8 [h, w, 3]"]),
        ({"image": picture(shape=(24, 32, 4))}, ["'image'", "uint8 [24, 32, 4]", "uint8 [h, w, 3]"]),
        ({"image": picture(shape=(24, 32))}, ["'image'", "uint8 [24, 32]", "uint8 [h, w, 3]"]),
        ({"image": picture(), "sound": picture()}, ["'sound'", "'image'"]),
    ],
)
def test_an_input_that_does_not_fit_is_refused_by_name_and_the_session_goes_on(
    session: Session, kind: str, inputs: dict[str, Array], words: list[str]
) -> None:
    with pytest.raises(SessionError) as refusal:
        session.run(inputs)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert OUTPUT[kind] in session.run({"image": picture()})


def test_a_session_says_what_runs_it(session: Session, kind: str) -> None:
    assert session.provider == {"onnx": "CPUExecutionProvider", "null": "null"}[kind]


def test_a_session_times_its_last_run(session: Session) -> None:
    assert session.run_s == 0.0
    session.run({"image": picture()})
    assert 0.0 < session.run_s < 1.0


def test_a_session_may_be_closed_twice(session: Session) -> None:
    session.close()
    session.close()
