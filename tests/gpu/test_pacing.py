"""Present intervals while the same card is saturated by inference and engine builds."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_runtime.errors import SessionError
from edge_runtime.inference.cuda import cuda
from edge_runtime.inference.tensorrt import library_name

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


def test_pictures_come_in_time_while_the_card_is_saturated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        device, library = cuda().device, library_name()
    except SessionError as error:
        pytest.skip(str(error))
    config, stats = tmp_path / "gpu.toml", tmp_path / "stats.json"
    config.write_text(CONFIG + "".join(MODEL.format(number=number) for number in range(3)))
    ended = threading.Event()

    def build_over_and_over() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            command = ["models", "build", str(MODELS / "stylize"), "--size", "640x360", "--engines"]
            subprocess.run(
                [sys.executable, "-m", "edge_runtime", *command, str(tmp_path / f"engines{number}")],
                check=True,
                capture_output=True,
            )

    builder = threading.Thread(target=build_over_and_over)
    builder.start()
    try:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "edge_runtime",
                "run",
                str(config),
                "--seconds",
                str(SECONDS),
                "--stats",
                str(stats),
            ],
            check=True,
            capture_output=True,
        )
    finally:
        ended.set()
        builder.join()
    seen = json.loads(stats.read_text())
    models = {name: (model["provider"], model["engine"], model["rate_hz"]) for name, model in seen["models"].items()}
    with capsys.disabled():
        print(f"\n{device.name}, {library}: {seen['frames']} {models}")  # noqa: T201
    assert all(provider == "TensorRT" for provider, _, _ in models.values()), models
    assert seen["frames"]["missed"] <= seen["frames"]["presented"] / 1000
