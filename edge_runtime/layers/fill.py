"""Fill: a colour, a gradient, a slow procedural picture, or a vignette over what is there."""

import cv2
import numpy as np

from edge_runtime.clock import Timeline
from edge_runtime.config.scenes import FillConfig
from edge_runtime.layers.compose import blend, scratch
from edge_runtime.layers.flow import Aurora, Flow, Gradient, Ink
from edge_runtime.scene import Canvas, Layer, Values


class FillLayer:
    """Covers the canvas. Picks one of the styles below; all share the parameters."""

    def __init__(self, config: FillConfig, *, rng: np.random.Generator) -> None:
        self._style: Layer
        match config.style:
            case "solid":
                self._style = _Solid(config)
            case "vignette":
                self._style = _Vignette()
            case "gradient":
                self._style = _Flowing(Flow(Gradient(config.colours), rng))
            case "aurora":
                self._style = _Flowing(Flow(Aurora(), rng))
            case "ink":
                self._style = _Flowing(Flow(Ink(config.colours), rng))

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        self._style.render(canvas, timeline, values)


class _Solid:
    """One colour."""

    def __init__(self, config: FillConfig) -> None:
        red, green, blue = config.colours[0]
        self._bgrx = (blue, green, red, 0)
        self._plate: Canvas | None = None

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        opacity = float(values["opacity"])
        if opacity >= 1.0:
            canvas[:] = self._bgrx
        elif opacity > 0.0:
            if self._plate is None or self._plate.shape != canvas.shape:
                self._plate = np.full(canvas.shape, self._bgrx, np.uint8)
            blend(canvas, self._plate, opacity)


class _Flowing:
    """A procedural picture; moves on while it is not seen."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._picture: Canvas | None = None

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        opacity = float(values["opacity"])
        self._flow.advance(timeline.step_s * float(values["speed"]))
        if opacity <= 0.0:
            return
        energy, warmth = float(values["energy"]), float(values["warmth"])
        if opacity >= 1.0:
            self._flow.draw(canvas, energy=energy, warmth=warmth)
            return
        self._picture = scratch(self._picture, canvas)
        self._flow.draw(self._picture, energy=energy, warmth=warmth)
        blend(canvas, self._picture, opacity)


class _Vignette:
    """Darkens towards the corners, `energy` says how far in. One multiplication by a mask kept from frame to frame."""

    _SMALL_PX = 96

    def __init__(self) -> None:
        self._mask: Canvas | None = None
        self._made_for: tuple[object, ...] = ()

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        opacity, energy = float(values["opacity"]), float(values["energy"])
        if opacity <= 0.0:
            return
        wanted = (canvas.shape, opacity, energy)
        if self._mask is None or self._made_for != wanted:
            self._mask, self._made_for = self._draw_mask(canvas, opacity, energy), wanted
        cv2.multiply(canvas, self._mask, dst=canvas, scale=1.0 / 255.0)

    def _draw_mask(self, canvas: Canvas, opacity: float, energy: float) -> Canvas:
        """(H, W, 4) uint8, 255 where nothing changes."""
        side = np.linspace(-1.0, 1.0, self._SMALL_PX, dtype=np.float32)
        reach = np.hypot(side[None, :], side[:, None]) / np.float32(np.sqrt(2.0))  # 0 centre, 1 corner
        start = 0.75 - 0.55 * energy
        depth = np.clip((reach - start) / (1.0 - start), 0.0, 1.0)
        darkness = opacity * (0.55 + 0.35 * energy) * depth * depth * (3.0 - 2.0 * depth)
        small = (255.0 * (1.0 - darkness) + 0.5).astype(np.uint8)
        mask = cv2.resize(small, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_LINEAR)
        return cv2.cvtColor(mask, cv2.COLOR_GRAY2BGRA)  # type: ignore[return-value]
