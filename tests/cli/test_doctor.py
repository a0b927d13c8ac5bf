"""`doctor`: what is missing on this machine is named with its remedy."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CONFIG = """
device_id = "sick"
[display]
kind = "surface"
[mqtt]
url = "mqtt://127.0.0.1:9"
[[cameras]]
source = "rtsp://user:secret@127.0.0.1:9/stream"
[[models]]
name = "m"
bundle = "gone"
input = "camera.main"
output = "picture.m"
[[scenes]]
name = "s"
[[scenes.layers]]
kind = "fill"
"""


def doctor(*arguments: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    kept = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    command = [sys.executable, "-m", "edge_runtime", "doctor", "--json", *arguments]
    done = subprocess.run(command, env={**kept, **environment}, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, {answer["name"]: answer for answer in json.loads(done.stdout)}


def test_a_machine_without_anything_wrong_is_told_so() -> None:
    code, answers = doctor("device_configs/laptop.toml")
    assert code == 0, answers
    assert {
        "python",
        "onnx",
        "gpu",
        "screen",
        "realtime",
        "camera",
        "broker",
        "clock",
        "memory",
        "config",
    } <= answers.keys()
    assert answers["onnx"]["level"] == "ok"
    assert "640x360" in answers["camera"]["text"]


def test_two_onnxruntimes_are_an_error_with_the_line_that_mends_it(tmp_path: Path) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / f"{name}-1.30.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.30.0\n")
    code, answers = doctor(PYTHONPATH=str(tmp_path))
    assert code == 1
    assert "pip uninstall" in answers["onnx"]["remedy"]


def test_what_an_installation_lacks_is_named_without_its_secrets(tmp_path: Path) -> None:
    config = tmp_path / "sick.toml"
    config.write_text(CONFIG)
    code, answers = doctor(str(config))
    assert code == 1
    assert answers["screen"]["level"] == "error"
    assert answers["camera"]["level"] == "warning"
    assert answers["broker"]["level"] == "warning"
    assert "gone" in answers["config"]["text"]
    assert "secret" not in json.dumps(answers)
