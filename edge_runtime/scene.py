"""Scenes: a stack of layers on one canvas, and the fade from one scene to the next."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.binding import Parameters
from edge_runtime.clock import Timeline
from edge_runtime.config import DeviceConfig, FillConfig, LayerConfig, PictureConfig, SceneConfig
from edge_runtime.config.scenes import AnyLayerConfig
from edge_runtime.errors import Refused
from edge_runtime.signals import Snapshot

Canvas = npt.NDArray[np.uint8]
"""(H, W, 4) uint8, blue green red and one unused byte: the layout of the screen's own memory."""
Values = Mapping[str, float | str]
"""A layer's parameters for one frame, after bindings, smoothing and holds."""


class Layer(Protocol):
    """One visual. Draws on top of what is there; used from the show's one thread."""

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        """Draw one frame in place. `values` holds every name of the config class's `PARAMETERS`.

        The canvas may change its size from one frame to the next: never keep it.
        """
        ...


OpenLayer = Callable[[AnyLayerConfig, np.random.Generator], Layer]


@dataclass(frozen=True, slots=True)
class Entry:
    """A layer with what drives it."""

    name: str
    layer: Layer
    parameters: Parameters
    covers: bool
    """At full opacity it leaves no pixel of what is beneath."""


class Scene:
    """Layers, bottom first."""

    def __init__(self, name: str, entries: list[Entry]) -> None:
        self.name = name
        self.entries = entries

    def render(self, canvas: Canvas, timeline: Timeline, signals: Snapshot, hidden: frozenset[str]) -> None:
        """Draw every layer that this rung does not hide; black where no layer covers the canvas."""
        covered = False
        for entry in self.entries:
            values = entry.parameters.update(signals, timeline.step_s)
            if f"{self.name}/{entry.name}" in hidden:
                continue
            if not covered and not (entry.covers and float(values["opacity"]) >= 1.0):
                canvas.fill(0)  # it holds pixels of some earlier frame
            covered = True
            entry.layer.render(canvas, timeline, values)
        if not covered:
            canvas.fill(0)


def build_scene(scene: SceneConfig, config: DeviceConfig, open_layer: OpenLayer) -> Iterator[Scene | None]:
    """Build a scene one layer a step, so that a running show can do it in its slack; the last item is the scene."""
    entries: list[Entry] = []
    for layer in scene.layers:
        seed = [config.seed, zlib.crc32(f"{scene.name}/{layer.name}".encode())]
        opened = open_layer(layer, np.random.default_rng(seed))
        entries.append(Entry(layer.name, opened, _parameters(layer, config), covers=_covers(layer)))
        yield None
    yield Scene(scene.name, entries)


def _covers(layer: AnyLayerConfig) -> bool:
    match layer:
        case PictureConfig():
            return layer.box == (0.0, 0.0, 1.0, 1.0)
        case FillConfig():
            return layer.style != "vignette"
        case _:
            return False


def _parameters(layer: LayerConfig, config: DeviceConfig) -> Parameters:
    defaults = {name: layer.default(name) for name in layer.PARAMETERS}
    return Parameters.build(layer.PARAMETERS, defaults, layer.bind, config)


class Stage:
    """The scene that is shown, the one that fades in, and those that are being built. Used from the show."""

    def __init__(self, config: DeviceConfig, open_layer: OpenLayer, *, start: str) -> None:
        self._config, self._open_layer = config, open_layer
        self._scenes: dict[str, Scene] = {}
        self._building = self._build([start, *(scene.name for scene in config.scenes if scene.name != start)])
        while start not in self._scenes:
            next(self._building)
        self.current = self._scenes[start]
        self._leaving: Scene | None = None  # plays on while it fades out
        self._left: Canvas | None = None  # what is faded from
        self._mixed: Canvas | None = None  # the last picture of a fade: where the next one starts if it is cut short
        self._fade_s = self._faded_s = 0.0

    def _build(self, names: list[str]) -> Iterator[None]:
        for name in names:
            scene = self._config.scene(name)
            assert scene is not None
            for built in build_scene(scene, self._config, self._open_layer):
                if built is not None:
                    self._scenes[name] = built
                yield

    def build_more(self) -> bool:
        """Build one more layer of a scene that is not ready; False when all are. Called in the slack of a frame."""
        return next(self._building, self) is None

    def switch(self, name: str, fade_s: float) -> None:
        """Fade to a scene. The one that leaves plays on meanwhile; a fade that is cut short stands still instead.

        Raises:
            Refused: no such scene.
        """
        if self._config.scene(name) is None:
            raise Refused(f"no scene {name!r}; known: {', '.join(scene.name for scene in self._config.scenes)}")
        while name not in self._scenes:
            next(self._building)
        if name == self.current.name:
            return
        self._leaving = self.current if self._mixed is None else None
        self._left, self._mixed = self._mixed, None
        self.current = self._scenes[name]
        self._fade_s, self._faded_s = fade_s, 0.0

    @property
    def on_air(self) -> tuple[str, ...]:
        """The scenes that are drawn now: two while one fades into the other."""
        return (self.current.name,) if self._leaving is None else (self.current.name, self._leaving.name)

    def render(self, canvas: Canvas, timeline: Timeline, signals: Snapshot, hidden: frozenset[str]) -> None:
        """Draw the frame, every pixel of it."""
        self.current.render(canvas, timeline, signals, hidden)
        if self._fade_s <= 0.0:
            return
        self._faded_s += timeline.step_s
        share = min(1.0, self._faded_s / self._fade_s)
        left = np.zeros_like(canvas) if self._left is None else self._left
        if left.shape != canvas.shape:  # a rung was taken meanwhile
            left = np.asarray(cv2.resize(left, (canvas.shape[1], canvas.shape[0])), np.uint8)
        if self._leaving is not None:
            self._leaving.render(left, timeline, signals, hidden)
        weight = 1.0 - share * share * (3.0 - 2.0 * share)
        cv2.addWeighted(left, weight, canvas, 1.0 - weight, 0.0, dst=canvas)
        self._left = left
        self._mixed = canvas.copy()
        if share >= 1.0:
            self._fade_s, self._left, self._mixed, self._leaving = 0.0, None, None, None

    def parameters(self, address: str) -> tuple[Parameters, str]:
        """The parameters of a layer and the parameter's own name, for `scene/layer.parameter`.

        Raises:
            Refused: no such scene or layer.
        """
        scene_name, _, rest = address.partition("/")
        layer_name, _, parameter = rest.partition(".")
        if self._config.scene(scene_name) is None:
            raise Refused(f"no scene in {address!r}; addresses are scene/layer.parameter or models.NAME.parameter")
        while scene_name not in self._scenes:
            next(self._building)
        for entry in self._scenes[scene_name].entries:
            if entry.name == layer_name:
                return entry.parameters, parameter
        known = ", ".join(entry.name for entry in self._scenes[scene_name].entries)
        raise Refused(f"no layer {layer_name!r} in scene {scene_name!r}; known: {known}")
