"""The configs of real hardware: right, limited, and honest about whether anybody has run them."""

from itertools import pairwise
from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.config import DeviceConfig, RungConfig, load
from tests.fixtures.device import REPOSITORY

FOLDER = REPOSITORY / "device_configs"
BOXES = ("laptop", "desktop-rtx", "jetson-orin-nano", "jetson-agx-orin", "jetson-thor")
SCREENS = ("kiosk-portrait", "billboard-wide", "projection", "two-screens")
UNTRIED = "# Not yet run on this hardware: figures are estimates until a bench report exists in docs/gpu/."


def each(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", names)


def cost(config: DeviceConfig, rung: RungConfig) -> dict[str, float]:
    """Pixels a second of the canvas and of every model on a rung, and the layers that are drawn."""
    cost = {"canvas": rung.canvas_scale, "layers": -len(rung.hide)}
    for model in config.models:
        change = rung.models.get(model.name)
        width, height = (change and change.size_px) or model.size_px
        cost[model.name] = width * height * ((change and change.rate_hz) or model.rate_hz)
    return cost


@each(*BOXES, *SCREENS)
def test_check_has_nothing_to_say_about_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(FOLDER / f"{name}.toml")]) == 0
    assert capsys.readouterr().err == ""


@each(*BOXES[1:], *SCREENS)
def test_it_says_that_nobody_has_run_it_until_there_is_a_report(name: str) -> None:
    first = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
    reported = (REPOSITORY / "docs" / "gpu" / f"{name}.md").is_file()
    assert (first == UNTRIED) is not reported


@each(*BOXES, *SCREENS)
def test_every_rung_costs_less_than_the_one_above_and_nothing_more(name: str) -> None:
    config = load(FOLDER / f"{name}.toml")
    assert len(config.ladder) >= 3
    costs = [cost(config, rung) for rung in config.ladder]
    for above, below in pairwise(costs):
        assert all(below[what] <= above[what] for what in above), (above, below)
        assert below != above


@each(*BOXES, *SCREENS)
def test_it_gives_way_before_the_hardware_throttles_or_swaps(name: str) -> None:
    governor = load(FOLDER / f"{name}.toml").governor
    assert governor.max_temperature_c is not None
    assert 70 <= governor.max_temperature_c <= 95
    assert governor.min_memory_free_mb is not None
    assert (governor.min_vram_free_mb is not None) == (name == "desktop-rtx")


@each(*BOXES, *SCREENS)
def test_pictures_have_the_shape_of_the_canvas_they_fill(name: str) -> None:
    config = load(FOLDER / f"{name}.toml")
    screens = 2 if name == "two-screens" else 1
    canvas = config.display.canvas_px[0] / screens / config.display.canvas_px[1]
    for source, ((width, height), _) in config.sources.items():
        assert width / height == pytest.approx(canvas, rel=0.02), source


def test_every_file_that_we_ship_is_looked_at() -> None:
    others = {"bench", "demo", "showcase"}
    assert {path.stem for path in Path(FOLDER).glob("*.toml")} == {*BOXES, *SCREENS, *others}
