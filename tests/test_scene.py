"""Scenes and the stage: fades that never jump and never go black, layers built bit by bit, addresses."""

import itertools
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from edge_runtime.clock import FrameClock, ManualClock, Timekeeper
from edge_runtime.config import DeviceConfig
from edge_runtime.config.scenes import AnyLayerConfig
from edge_runtime.errors import Refused
from edge_runtime.layers import open_layer
from edge_runtime.layout import board_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.scene import Canvas, Layer, Stage
from edge_runtime.signals import SignalBoard

SIZE_PX = (96, 54)
DARK, LIGHT, RED = [40, 40, 40], [220, 220, 220], [230, 30, 30]


def solid(name: str, colour: list[int], **extra: object) -> dict[str, object]:
    return {"name": name, "layers": [{"kind": "fill", "colours": [colour], **extra}]}


def device(*scenes: Mapping[str, object], seed: int = 0) -> DeviceConfig:
    return DeviceConfig.model_validate({"device_id": "t", "seed": seed, "scenes": list(scenes)})


class Playing:
    """A stage that is played frame by frame at 60 Hz on a canvas of its own."""

    def __init__(self, config: DeviceConfig, *, start: str | None = None) -> None:
        self.opened: list[str] = []
        self.stage = Stage(config, self._open, start=start or config.first_scene)
        self.board = SignalBoard(map_region(create_region("t", board_bytes(20))), config.signal_names)
        self.canvas: Canvas = np.zeros((SIZE_PX[1], SIZE_PX[0], 4), np.uint8)
        self.hidden: frozenset[str] = frozenset()
        self._frames = FrameClock(ManualClock(100.0), rate_hz=60.0)
        self._time = Timekeeper()

    def _open(self, config: AnyLayerConfig, rng: np.random.Generator) -> Layer:
        self.opened.append(config.name)
        return open_layer(config, sources={}, rng=rng)

    def draw(self) -> npt.NDArray[np.float64]:
        """The next frame's mean colour: blue, green, red."""
        timeline = self._time.advance(self._frames.wait())
        self.canvas[...] = 0  # what is not drawn shows as black
        self.stage.render(self.canvas, timeline, self.board.snapshot(timeline.now_s), self.hidden)
        mean: npt.NDArray[np.float64] = self.canvas[..., :3].mean(axis=(0, 1))
        return mean

    def levels(self, frames: int) -> list[float]:
        return [float(self.draw().mean()) for _ in range(frames)]


def test_a_fade_rises_steadily_and_arrives() -> None:
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT)))
    assert play.levels(2)[-1] == pytest.approx(40, abs=1)
    play.stage.switch("light", 0.5)
    levels = play.levels(40)
    steps = np.diff([40.0, *levels])
    assert steps.min() >= 0
    assert steps.max() < 20
    assert levels[-1] == pytest.approx(220, abs=1)
    assert play.stage.current.name == "light"


def test_a_switch_without_a_fade_is_there_in_the_next_frame() -> None:
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT)))
    play.draw()
    play.stage.switch("light", 0.0)
    assert play.levels(1) == [pytest.approx(220, abs=1)]


@pytest.mark.parametrize("to", ["red", "dark"])
def test_a_fade_that_is_cut_short_goes_on_from_what_was_seen(to: str) -> None:
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT), solid("red", RED)))
    play.draw()
    play.stage.switch("light", 0.5)
    before = [play.draw() for _ in range(15)][-1]
    play.stage.switch(to, 0.5)
    after = [play.draw() for _ in range(40)]
    assert np.abs(after[0] - before).max() < 6
    assert max(np.abs(b - a).max() for a, b in itertools.pairwise(after)) < 20
    assert min(float(colour.mean()) for colour in after) > 35
    assert after[-1] == pytest.approx((RED if to == "red" else DARK)[::-1], abs=1)


def test_cut_after_cut_never_jumps() -> None:
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT), solid("red", RED)))
    seen = [play.draw()]
    for name in ["light", "red", "dark", "light", "red"] * 3:
        play.stage.switch(name, 0.4)
        seen += [play.draw() for _ in range(7)]
    assert max(np.abs(b - a).max() for a, b in itertools.pairwise(seen)) < 30
    assert min(float(colour.mean()) for colour in seen) > 35


@pytest.mark.parametrize("cut", [False, True])
def test_a_canvas_that_changes_its_size_in_a_fade_does_not_go_black(cut: bool) -> None:  # noqa: FBT001
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT), solid("red", RED)))
    play.draw()
    play.stage.switch("red", 0.5)
    play.levels(15)
    if cut:
        play.stage.switch("light", 0.5)
        play.levels(2)
    before = play.draw()
    play.canvas = np.zeros((SIZE_PX[1] // 2, SIZE_PX[0] // 2, 4), np.uint8)
    assert np.abs(play.draw() - before).max() < 20


def test_asking_for_the_scene_that_is_on_changes_nothing() -> None:
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT)))
    play.draw()
    play.stage.switch("light", 0.5)
    play.levels(10)
    level = play.levels(1)[0]
    play.stage.switch("light", 0.5)
    assert 0 <= play.levels(1)[0] - level < 20
    assert play.levels(30)[-1] == pytest.approx(220, abs=1)


def test_only_the_first_scene_is_built_before_the_first_picture_and_the_rest_one_layer_a_call() -> None:
    scenes = [
        {"name": name, "layers": [{"kind": "fill", "name": f"{name}{i}"} for i in range(3)]} for name in ("a", "b", "c")
    ]
    play = Playing(device(*scenes), start="b")
    assert play.opened == ["b0", "b1", "b2"]
    counts = []
    while play.stage.build_more():
        counts.append(len(play.opened))
    assert play.opened == ["b0", "b1", "b2", "a0", "a1", "a2", "c0", "c1", "c2"]
    assert all(after - before <= 1 for before, after in itertools.pairwise(counts))
    assert not play.stage.build_more()


def test_a_scene_that_is_asked_for_before_it_is_built_is_built_then() -> None:
    play = Playing(device(solid("dark", DARK), solid("red", RED), solid("light", LIGHT)))
    play.stage.switch("light", 0.0)
    assert play.levels(1) == [pytest.approx(220, abs=1)]
    while play.stage.build_more():
        pass
    assert len(play.opened) == 3


def test_addresses_that_lead_nowhere_are_refused_with_what_is_known() -> None:
    play = Playing(device(solid("dark", DARK), solid("light", LIGHT)))
    parameters, name = play.stage.parameters("light/fill.opacity")
    assert name == "opacity"
    assert parameters is play.stage.parameters("light/fill.speed")[0]
    with pytest.raises(Refused, match="no scene in 'nowhere/fill"):
        play.stage.parameters("nowhere/fill.opacity")
    with pytest.raises(Refused, match="no scene in ''"):
        play.stage.parameters("")
    with pytest.raises(Refused, match="no layer 'rain' in scene 'light'; known: fill"):
        play.stage.parameters("light/rain.rate")
    with pytest.raises(Refused, match="no scene 'nowhere'; known: dark, light"):
        play.stage.switch("nowhere", 1.0)


def test_a_hidden_layer_is_not_drawn_and_its_parameters_go_on() -> None:
    scene = {"name": "a", "layers": [{"kind": "fill", "colours": [DARK]}, {"kind": "fill", "colours": [LIGHT]}]}
    play = Playing(device(scene))
    assert play.levels(1) == [pytest.approx(220, abs=1)]
    play.hidden = frozenset({"a/fill-2"})
    parameters, name = play.stage.parameters("a/fill-2.opacity")
    parameters.hold(name, 0.5, None)
    assert play.levels(1) == [pytest.approx(40, abs=1)]
    assert parameters.why(name, play.board.snapshot(100.0))["value"] == 0.5
    play.hidden = frozenset()
    assert play.levels(1) == [pytest.approx(130, abs=2)]


MOVING = {
    "name": "moving",
    "layers": [
        {"kind": "picture", "source": "procedural"},
        {"kind": "fill", "style": "ink", "opacity": 0.5},
        {"kind": "particles", "preset": "snow", "rate": 400},
        {"kind": "text", "text": "words"},
    ],
}


def test_equal_seeds_give_equal_pixels_and_others_do_not() -> None:
    def pixels(seed: int) -> Canvas:
        play = Playing(device(MOVING, seed=seed))
        play.levels(30)
        return play.canvas

    assert np.array_equal(pixels(3), pixels(3))
    assert not np.array_equal(pixels(3), pixels(4))


def test_two_layers_of_a_kind_do_not_fall_in_step() -> None:
    snow = {"kind": "particles", "preset": "snow", "rate": 400}
    play = Playing(device({"name": "a", "layers": [snow]}, {"name": "b", "layers": [snow]}))
    play.levels(30)
    first = play.canvas.copy()
    other = Playing(device({"name": "b", "layers": [snow]}))
    other.levels(30)
    assert not np.array_equal(first, other.canvas)
