"""The task that runs anybody's network: everything it knows is the manifest."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_runtime.config import ModelConfig
from edge_runtime.errors import BundleError
from edge_runtime.inference.manifest import TensorSpec
from edge_runtime.inference.ports import layout
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task
from tests.fixtures.bundles import HEAD, opened

TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16}
Size = int | str
SIZE_PX = (16, 8)


def spec(what: str, name: str, shape: list[Size], dtype: str = "float32", more: str = "") -> str:
    return f'\n[[{what}]]\nname = "{name}"\ndtype = "{dtype}"\nshape = {shape!r}\n{more}\n'


def write(
    folder: Path, nodes: list[onnx.NodeProto], manifest: str, tensors: list[onnx.ValueInfoProto], ins: int
) -> Path:
    """A bundle of the task `image`; the first `ins` tensors go in."""
    graph = helper.make_graph(nodes, "own", tensors[:ins], tensors[ins:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    head = HEAD.format(name="own", task="image", session="onnx", multiple=1)
    file = f'\n[[files]]\npath = "model.onnx"\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n'
    (folder / "manifest.toml").write_text(head + file + manifest, encoding="utf-8")
    return folder


def tensor(name: str, shape: list[Size], dtype: str = "float32") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TYPES[dtype], shape)


def wire(folder: Path, shape: list[Size], dtype: str, more: str) -> Task:
    """A network that gives back the very picture it was given."""
    manifest = spec("inputs", "a", shape, dtype, more) + spec("outputs", "b", shape, dtype, more)
    nodes = [helper.make_node("Identity", ["a"], ["b"])]
    path = write(folder, nodes, manifest, [tensor("a", shape, dtype), tensor("b", shape, dtype)], 1)
    return open_task(ModelConfig(name="m", bundle="own"), opened(path), SIZE_PX)


def colours() -> FrameBgr:
    frame = np.zeros((8, 16, 3), np.uint8)
    frame[:, :8], frame[:, 8:], frame[:2] = (200, 100, 20), (10, 60, 220), (255, 0, 128)
    return frame


@pytest.mark.parametrize("more", ["", 'order = "bgr"'])
@pytest.mark.parametrize(
    ("shape", "dtype", "limits"),
    [
        ([1, 3, "h", "w"], "float32", ""),
        ([1, 3, "h", "w"], "float32", "range = [-1, 1]"),
        ([1, "h", "w", 3], "float32", "range = [0, 255]"),
        (["h", "w", 3], "uint8", ""),
        ([3, "h", "w"], "float16", "range = [-1, 1]"),
        ([1, 3, 8, 16], "float32", ""),
    ],
)
def test_a_picture_comes_back_as_it_went_in_whatever_the_network_wants(
    tmp_path: Path, shape: list[Size], dtype: str, limits: str, more: str
) -> None:
    task = wire(tmp_path, shape, dtype, f"{limits}\n{more}")
    out = np.zeros((8, 16, 3), np.uint8)
    with task.session:
        task.run(Work([colours()], {}), out)
    assert np.abs(out.astype(int) - colours()).max() <= 1


@pytest.mark.parametrize(("order", "first"), [("rgb", 20), ("bgr", 200)])
def test_the_network_is_given_its_own_order_and_range(tmp_path: Path, order: str, first: int) -> None:
    manifest = (
        '[[readings]]\nname = "first"\nrange = [-1, 1]\n'
        + spec("inputs", "a", [1, 3, "h", "w"], more=f'range = [-1, 1]\norder = "{order}"')
        + spec("outputs", "first", [1])
    )
    nodes = [
        helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("", TensorProto.INT64, [1], [0])),
        helper.make_node("Constant", [], ["one"], value=helper.make_tensor("", TensorProto.INT64, [1], [1])),
        helper.make_node("Constant", [], ["axis"], value=helper.make_tensor("", TensorProto.INT64, [1], [1])),
        helper.make_node("Slice", ["a", "zero", "one", "axis"], ["channel"]),
        helper.make_node("ReduceMean", ["channel"], ["mean"], keepdims=1),
        helper.make_node("Reshape", ["mean", "one"], ["first"]),
    ]
    path = write(tmp_path, nodes, manifest, [tensor("a", [1, 3, "h", "w"]), tensor("first", [1])], 1)
    task = open_task(ModelConfig(name="m", bundle="own"), opened(path), SIZE_PX)
    plain = np.full((8, 16, 3), (200, 100, 20), np.uint8)
    with task.session:
        told = task.run(Work([plain], {}), np.empty((8, 16, 3), np.uint8))
    assert told["first"] == pytest.approx(first / 127.5 - 1, abs=1e-3)


def test_a_mask_cuts_out_the_last_frame(tmp_path: Path) -> None:
    manifest = (
        spec("inputs", "a", [1, 1, "h", "w"]) + spec("inputs", "b", [1, 3, "h", "w"]) + spec("outputs", "m", ["h", "w"])
    )
    nodes = [
        helper.make_node("Constant", [], ["axes"], value=helper.make_tensor("", TensorProto.INT64, [2], [0, 1])),
        helper.make_node("Squeeze", ["a", "axes"], ["m"]),
    ]
    tensors = [tensor("a", [1, 1, "h", "w"]), tensor("b", [1, 3, "h", "w"]), tensor("m", ["h", "w"])]
    task = open_task(ModelConfig(name="m", bundle="own"), opened(write(tmp_path, nodes, manifest, tensors, 2)), SIZE_PX)
    ramp = np.repeat(np.arange(16, dtype=np.uint8)[None, :, None] * 17, 8, axis=0).repeat(3, axis=2)
    out = np.zeros((8, 16, 4), np.uint8)
    with task.session:
        assert task.channels == 4
        task.run(Work([ramp, colours()], {}), out)
    assert np.array_equal(out[:, :, :3], colours())
    assert np.abs(out[:, :, 3].astype(int) - ramp[:, :, 0]).max() <= 1


def test_numbers_go_in_by_parameter_and_come_out_by_reading_and_no_picture_is_needed(tmp_path: Path) -> None:
    manifest = (
        '[[parameters]]\nname = "mood.calm"\nrange = [0, 5]\n[[parameters]]\nname = "mood.wild"\nrange = [0, 5]\n'
        '[[readings]]\nname = "says.a"\n[[readings]]\nname = "says.b"\n'
        + spec("inputs", "mood", [1, 2])
        + spec("outputs", "says", [2])
    )
    nodes = [
        helper.make_node("Constant", [], ["two"], value=helper.make_tensor("", TensorProto.INT64, [1], [2])),
        helper.make_node("Reshape", ["mood", "two"], ["says"]),
    ]
    path = write(tmp_path, nodes, manifest, [tensor("mood", [1, 2]), tensor("says", [2])], 1)
    task = open_task(ModelConfig(name="m", bundle="own"), opened(path), SIZE_PX)
    out = np.full((8, 16, 3), 7, np.uint8)
    with task.session:
        assert task.continuous
        assert task.run(Work([], {"mood.calm": 2.0, "mood.wild": 3.5}), out) == {"says.a": 2.0, "says.b": 3.5}
    assert (out == 7).all()


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (spec("inputs", "mood", [2]) + spec("outputs", "b", ["h", "w", 3]), ["input 'mood'", "[[parameters]]"]),
        (spec("inputs", "a", ["h", "w", 3]) + spec("outputs", "b", ["n"]), ["output 'b'", "fixed size"]),
        (
            spec("inputs", "a", ["h", "w", 3]) + spec("outputs", "b", ["h", "w", 3]) + spec("outputs", "c", ["h", "w"]),
            ["'b' and 'c' are both pictures"],
        ),
        (
            '[[readings]]\nname = "light"\n' + spec("inputs", "a", ["h", "w", 3]) + spec("outputs", "b", ["h", "w", 3]),
            ["reading 'light' comes from no output"],
        ),
        (
            spec("inputs", "a", ["h", "w", 3], more="range = [1, 1]") + spec("outputs", "b", ["h", "w", 3]),
            ["below the second"],
        ),
    ],
)
def test_a_manifest_that_leaves_a_tensor_unexplained_is_refused(
    tmp_path: Path, manifest: str, words: list[str]
) -> None:
    path = write(tmp_path, [helper.make_node("Identity", ["a"], ["b"])], manifest, [tensor("a", ["n"])], 1)
    with pytest.raises(BundleError) as raised:
        opened(path)
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((1, 3, "h", "w"), (3, True, (None, None))),
        ((1, 128, 96, 3), (3, False, (96, 128))),
        ((1, 3, 8, 3), (3, False, (8, 3))),
        (("n", 3, 8, 16), (3, True, (16, 8))),
        ((5,), None),
        ((1, 2), None),
    ],
)
def test_a_shape_says_whether_it_is_a_picture(shape: tuple[Size, ...], seen: object) -> None:
    found = layout(TensorSpec(name="t", dtype="float32", shape=shape))
    assert (found and (found.channels, found.first, found.size_px)) == seen
