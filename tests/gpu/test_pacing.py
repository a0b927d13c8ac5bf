"""Present intervals while the same card is saturated by inference, and engines are built where TensorRT runs on it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from edge_runtime.errors import SessionError
from edge_runtime.inference.cuda import cuda
from edge_runtime.inference.onnx import CUDA
from edge_runtime.inference.tensorrt import library_for

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]
SECONDS = 30
MODELS = Path(__file__).parents[2] / "models"
CONFIG = """
device_id = "gpu"
rate_hz = 60
start_scene = "stage"

[display]
kind = "headless"
canvas_px = [1280, 720]

[[cameras]]
name = "main"
source = "synthetic"
size_px = [1280, 720]

[[scenes]]
name = "stage"
[[scenes.layers]]
kind = "picture"
source = "picture.m0"
"""
MODEL = """
[[models]]
name = "m{number}"
bundle = "stylize"
worker = "w{number}"
input = "camera.main"
output = "picture.m{number}"
size_px = [1280, 720]
rate_hz = 240
rest = "never"
"""


@contextmanager
def building_over_and_over(folder: Path) -> Iterator[None]:
    """While engines are built one after the other, as at the first start of a box."""
    ended = threading.Event()

    def build() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            command = ["models", "build", str(MODELS / "stylize"), "--size", "640x360", "--engines"]
            subprocess.run(
                [sys.executable, "-m", "edge_runtime", *command, str(folder / f"engines{number}")],
                check=True,
                capture_output=True,
            )

    builder = threading.Thread(target=build)
    builder.start()
    try:
        yield
    finally:
        ended.set()
        builder.join()


def test_pictures_come_in_time_while_the_card_is_saturated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        device = cuda().device
    except SessionError as error:
        pytest.skip(str(error))
    load: AbstractContextManager[None] = nullcontext()
    try:
        best, library = "TensorRT", library_for(device)
        load = building_over_and_over(tmp_path)
    except SessionError as error:
        best, library = CUDA, str(error)
    config, stats = tmp_path / "gpu.toml", tmp_path / "stats.json"
    config.write_text(CONFIG + "".join(MODEL.format(number=number) for number in range(3)))
    command = ["run", str(config), "--seconds", str(SECONDS), "--stats", str(stats)]
    with load:
        subprocess.run([sys.executable, "-m", "edge_runtime", *command], check=True, capture_output=True)
    seen = json.loads(stats.read_text())
    models = {name: (model["provider"], model["engine"], model["rate_hz"]) for name, model in seen["models"].items()}
    with capsys.disabled():
        print(f"\n{device.name}, {library}: {seen['frames']} {models}")  # noqa: T201
    assert all(provider == best for provider, _, _ in models.values()), models
    assert seen["frames"]["missed"] <= seen["frames"]["presented"] / 1000
