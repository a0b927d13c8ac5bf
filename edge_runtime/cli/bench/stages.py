"""What the bench puts on: the device configs that it writes, and the model that costs what a real one does."""

import os
import re
from pathlib import Path

from edge_runtime.cli.bench.painting import camera_argv
from edge_runtime.config import DeviceConfig, load
from edge_runtime.config.load import REPOSITORY, SHIPPED
from edge_runtime.errors import EdgeError

CONFIG = SHIPPED / "bench.toml"
CAMERA_PX = (640, 360)
CAMERA_HZ = 30.0
STYLE = "midnight_silk"
"""Far from the default style on a grey picture, so that the change is seen at once."""


def open_config(path: Path | None) -> tuple[Path, DeviceConfig]:
    """The config to measure with.

    Raises:
        EdgeError: it has no camera or no model to measure.
    """
    path = (path or CONFIG).resolve()
    config = load(path)
    if not config.cameras or not config.models:
        raise EdgeError(f"{path}: the bench needs at least one camera and one model in it")
    return path, config


def plain(path: Path) -> str:
    """The config as it is."""
    return f'include = ["{path}"]\n'


def busy(path: Path, config: DeviceConfig) -> str:
    """The config with its first model in as many workers as there are cores, so that every core has work."""
    model = config.models[0]
    copies = [
        f"""
[[models]]
name = "copy-{i}"
worker = "copy-{i}"
bundle = "{model.bundle}"
input = "camera.{config.cameras[0].name}"
output = "picture.copy-{i}"
size_px = {list(model.size_px)}
rate_hz = {model.rate_hz}
threads = {model.threads}
"""
        for i in range(len(config.workers), cores())
    ]
    return "".join([plain(path), *copies])


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


_SCREEN = """
device_id = "bench-glass"
rate_hz = 60
[display]
kind = "surface"
canvas_px = [1280, 720]
[label]
enabled = false                 # nothing on the glass but what is measured
[[cameras]]
name = "main"
pipe = {argv}
size_px = {camera_px}
rate_hz = {camera_hz}
[[models]]
name = "model"
bundle = "{bundle}"
input = "camera.main"
output = "picture.model"
size_px = [480, 272]
rate_hz = 60
[[scenes]]
name = "picture"
[[scenes.layers]]
kind = "picture"
source = "picture.model"
fallback = ["camera.main"]
fade_s = 0.0
stale_after_s = {stale_after_s}
[[scenes]]
name = "flash"
[[scenes.layers]]
kind = "fill"
name = "black"
colours = [[0, 0, 0]]
[[scenes.layers]]
kind = "fill"
name = "white"
colours = [[255, 255, 255]]
opacity = 0.0
"""


def on_glass(bundle: str, log: Path, *, stale_after_s: float, still: bool = False) -> str:
    """A device whose camera shows numbers (`still`: grey), through one model, on a screen."""
    argv = camera_argv(log, size_px=CAMERA_PX, rate_hz=CAMERA_HZ, still=still)
    return _SCREEN.format(
        argv=argv,
        camera_px=list(CAMERA_PX),
        camera_hz=CAMERA_HZ,
        bundle=bundle,
        stale_after_s=stale_after_s,
    )


def as_costly(folder: Path, cost_ms: float) -> Path:
    """A folder of bundles in which `null` costs as much as measured."""
    source = REPOSITORY / "models" / "null" / "manifest.toml"
    manifest = folder / "null" / "manifest.toml"
    manifest.parent.mkdir(parents=True)
    text, count = re.subn(r"cost_ms = [\d.]+", f"cost_ms = {cost_ms:.1f}", source.read_text(encoding="utf-8"))
    if count != 1:
        raise EdgeError(f"{source}: has no cost_ms to set")
    manifest.write_text(text, encoding="utf-8")
    return folder
