"""docs/models.md, followed to the letter: what it tells an artist to type is typed, and the picture is looked at."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.slots import Array
from tests.fixtures.device import REPOSITORY, RunningDevice
from tests.fixtures.waiting import eventually

GUIDE = (REPOSITORY / "docs" / "models.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', GUIDE, re.DOTALL))
DARK, LIGHT = np.array([0.32, 0.05, 0.13]) * 255, np.array([0.55, 0.82, 1.0]) * 255
"""The two inks of the guide, BGR."""


def follow(folder: Path, script: str) -> None:
    """Save every file where the guide says, run the script, seal and check."""
    for name, text in BLOCKS.items():
        if "." in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    quiet = [sys.executable, "-W", "ignore", script]
    for command in (quiet, ["sh", "-ec", BLOCKS["seal"]], ["sh", "-ec", BLOCKS["look"]]):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr


def shown(folder: Path, amount: float | None = None) -> tuple[Array, float]:
    """A picture that the device made of the guide's config, and what it told of the light."""
    text = (folder / "device.toml").read_text(encoding="utf-8")
    if amount is not None:
        text = text.replace("[[signals]]", f'[models.set]\n"amount" = {amount}\n\n[[signals]]', 1)
    config = folder / "run.toml"
    config.write_text(text, encoding="utf-8")
    with RunningDevice(config, folder, options=("--headless", "--models", str(folder / "bundles"))) as device:
        device.wait_up()
        reader = device.reader("picture.duotone")
        frame = eventually(reader.latest, 10.0, "a picture of the model")
        light = eventually(lambda: device.value_of("room.light"), 10.0, "the model's reading on the board")
        return frame.array.copy(), float(light)


def off_the_ramp(picture: Array) -> float:
    """How far the picture's pixels are from the line between the two inks, of 255."""
    along = (LIGHT - DARK) / np.linalg.norm(LIGHT - DARK)
    offset = picture.reshape(-1, 3) - DARK
    return float(np.linalg.norm(offset - np.outer(offset @ along, along), axis=1).mean())


def test_the_guide_without_torch_leads_to_a_picture_in_two_inks(tmp_path: Path) -> None:
    follow(tmp_path, "duotone_by_hand.py")
    picture, light = shown(tmp_path)
    assert picture.shape == (180, 320, 3)
    assert off_the_ramp(picture) < 1.0
    assert picture.std() > 8
    assert 0.02 < light < 0.98


def test_a_parameter_set_in_the_config_reaches_the_network(tmp_path: Path) -> None:
    follow(tmp_path, "duotone_by_hand.py")
    picture, _ = shown(tmp_path, amount=0.0)
    assert off_the_ramp(picture) > 5.0


def test_the_guide_with_torch_makes_the_same_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import onnxruntime as ort

    given = {
        "image": np.random.default_rng(1).random((1, 3, 20, 30), dtype=np.float32),
        "amount": np.full(1, 0.7, np.float32),
    }
    results = []
    for script in ("duotone.py", "duotone_by_hand.py"):
        follow(tmp_path, script)
        network = ort.InferenceSession(str(tmp_path / "bundles/duotone/model.onnx"))
        results.append(network.run(["painted", "lightness"], given))
    for by_torch, by_hand in zip(*results, strict=True):
        assert by_torch == pytest.approx(by_hand, abs=1e-5)
