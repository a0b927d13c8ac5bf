"""Pictures out of nothing: flowing fields, computed small and scaled up.

A field is a few thousand cells of float32, so it costs the same on any screen; the cubic scaling makes it smooth,
a dither that changes every frame keeps its slow gradients free of bands. All motion is phases that advance by
`step * speed`, so a change of speed never makes the picture leap, and wrap, so that it runs for months.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.layers.colours import PALETTE_SIZE, Floats, Rgb, Tint, Tones, oklab_from_rgb, palette
from edge_runtime.scene import Canvas

_NOISE_PX = 512
_TURN = 2.0 * math.pi
_CELL = np.ones((1, 1), np.float32)


class Painter(Protocol):
    """One procedural style: turns phases and parameters into a small picture."""

    RATES: ClassVar[tuple[float, ...]]
    """Turns a second of each phase, at speed 1."""
    CELLS: ClassVar[int]
    """Cells of its field: enough for its finest detail. Source: looked at on 1920x1080."""
    STRETCH: ClassVar[float]
    """Height of a cell, of its width."""

    def paint(self, grid: "Grid", phases: list[float], energy: float, warmth: float) -> Floats:
        """(3, h, w) float32 planes B, G, R, 0-255. `phases` are turns, 0-1; they begin again without a seam."""
        ...


class Grid:
    """The cells of one canvas shape. `x` (1, w) runs from 0 to the aspect ratio, `y` (h, 1) from 0 at the top to 1."""

    def __init__(self, width_px: int, height_px: int, *, cells: int, stretch: float) -> None:
        self.aspect = width_px / height_px
        self.rows = max(2, round(math.sqrt(cells / self.aspect / stretch)))
        self.columns = max(2, round(cells / self.rows))
        self.x = np.linspace(0.0, self.aspect, self.columns, dtype=np.float32)[None, :]
        self.y = np.linspace(0.0, 1.0, self.rows, dtype=np.float32)[:, None]


@cache
def cloud_noise(seed: int, octaves: int, falloff: float) -> Floats:
    """(512, 512) float32 noise that tiles, mean 0, deviation 1: `octaves` sizes, each finer one weaker by `falloff`.

    Shared by all layers of the process: the painting is the same, each layer enters it elsewhere.
    """
    rng = np.random.default_rng(seed)
    total, share = np.zeros((4, 4), np.float32), 1.0
    for octave in range(
        octaves
    ):  # every octave is scaled up with those below it, so all cost little more than the last
        total = _enlarge(total, 2) if octave else total
        total += share * rng.standard_normal(total.shape, dtype=np.float32)
        share *= falloff
    total = _enlarge(total, _NOISE_PX // total.shape[0])
    normal: Floats = (total - total.mean()) / total.std()
    return normal


def _enlarge(tile: Floats, scale: int) -> Floats:
    """Scale a tile up so that it still tiles."""
    border = 3  # cubic scaling looks two cells beyond the edge
    wrapped = np.pad(tile, border, mode="wrap")
    larger = np.asarray(cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.float32)
    cut, size = border * scale, tile.shape[0] * scale
    return larger[cut : cut + size, cut : cut + size]


@cache
def _dither() -> Floats:
    """(512, 512) float32, even between 0 and 1."""
    return np.random.default_rng(0).random((_NOISE_PX, _NOISE_PX), dtype=np.float32)


def sample(noise: Floats, x: Floats, y: Floats) -> Floats:
    """`noise` at places in turns of its period; x and y are broadcast against each other."""
    x, y = np.broadcast_arrays(x * np.float32(_NOISE_PX), y * np.float32(_NOISE_PX))
    return cv2.remap(  # type: ignore[return-value]
        noise, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )


def shade(lookup: Floats, field: npt.NDArray[np.floating[Any]]) -> Floats:
    """(3, h, w) colours of a (h, w) field of 0-1. Planes, because weighing them by a field is four times faster."""
    index = np.clip(field * (PALETTE_SIZE - 1), 0, PALETTE_SIZE - 1).astype(np.intp)
    planes: Floats = np.take(lookup, index, axis=1)
    return planes


class _Curtain(NamedTuple):
    foot: float
    """Height of its lower edge: 0 top, 1 bottom."""
    wave: float
    reach: float
    """Height of its rays."""
    brightness: float
    offset: float
    """Turns by which it differs from the others."""


class Aurora:
    """Northern lights over still water: curtains of rays that wave, lean and breathe, and their reflection."""

    RATES: ClassVar[tuple[float, ...]] = (0.011, 0.017, 0.023, 0.0041, 0.0067, 0.031, 0.047)
    CELLS: ClassVar[int] = 17_000
    STRETCH: ClassVar[float] = 2.0  # rays are fine across and soft along: cells are higher than wide
    _SKIES: Tones = (
        ((2, 4, 14), (5, 14, 36), (12, 44, 66)),
        ((5, 3, 18), (14, 12, 46), (50, 34, 82)),
        ((12, 4, 16), (36, 10, 34), (96, 36, 40)),
    )
    _RAYS: Tones = (
        ((150, 255, 190), (36, 236, 150), (10, 160, 170), (40, 80, 190), (64, 32, 130)),
        ((120, 250, 206), (50, 214, 196), (70, 130, 235), (140, 70, 220), (120, 28, 130)),
        ((255, 232, 160), (255, 160, 70), (240, 76, 86), (180, 42, 130), (84, 26, 110)),
    )
    _CURTAINS = (
        _Curtain(0.64, 0.050, 0.34, 1.0, 0.0),
        _Curtain(0.52, 0.065, 0.30, 0.72, 0.27),
        _Curtain(0.40, 0.070, 0.34, 0.5, 0.54),
    )
    _SHORE = 0.77

    def __init__(self) -> None:
        self._rays = cloud_noise(1, 6, 0.78)
        self._cloud = cloud_noise(2, 3, 0.5)
        self._sky, self._ray = Tint(self._SKIES), Tint(self._RAYS)

    def paint(self, grid: Grid, phases: list[float], energy: float, warmth: float) -> Floats:
        wet = grid.y[:, 0] > self._SHORE
        depth = grid.y[wet] - self._SHORE  # (n, 1), below the water line
        ripple = sample(self._cloud, grid.x * 0.5 + phases[6], grid.y[wet] * 6.0 - phases[5])
        height = np.repeat(grid.y, grid.columns, axis=1)  # (h, w): where in the sky each cell looks
        height[wet] = self._SHORE - (1.45 + 0.30 * ripple) * depth
        light = shade(self._sky.at(warmth), np.maximum(height, 0.0) ** 2 * 1.6) * np.float32(1.0 / 255.0)
        for curtain in self._CURTAINS:
            above = self._above(curtain, grid.x, height, phases, energy)
            strength = self._strength(curtain, grid.x, above, phases, energy)
            light += shade(self._ray.at(warmth), above * (0.5 / curtain.reach)) * strength
        light[:, wet] *= 0.62 * np.exp(-2.6 * depth)
        shown: Floats = 255.0 * (1.0 - np.exp(-light))
        return shown

    def _above(self, curtain: _Curtain, x: Floats, y: Floats, phases: list[float], energy: float) -> Floats:
        """(h, w) height over the curtain's foot, in canvas heights; negative below it."""
        turn = [_TURN * (phase + curtain.offset) for phase in phases]
        swell = np.sin(2.3 * x + turn[0]) + 0.55 * np.sin(5.2 * x - turn[1] + 1.3) + 0.3 * np.sin(9.7 * x + turn[2])
        swell += 0.9 * sample(self._cloud, x * 0.2 + (phases[3] + curtain.offset), _CELL * (phases[4] + curtain.offset))
        above: Floats = (curtain.foot + curtain.wave * (0.5 + 0.8 * energy) * swell) - y
        return above

    def _strength(self, curtain: _Curtain, x: Floats, above: Floats, phases: list[float], energy: float) -> Floats:
        """(h, w) light: a sharp foot, rays above it that lean and fade."""
        shift = phases[3] + curtain.offset
        lean = np.asarray(x * 0.36 + shift + above * (x - 0.9) * 0.05, np.float32)
        ray = sample(self._rays, lean, above * 0.015 + (phases[5] + curtain.offset))
        glow = sample(self._cloud, x * 0.26 - shift, _CELL * (2.0 * phases[3] + 1.4 * curtain.offset))
        fall = np.maximum(above, 0.0) * (np.exp(-0.25 * glow) / (curtain.reach * (0.5 + 0.6 * energy)))
        strength = np.exp((0.25 + 0.30 * energy) * ray - fall + (0.5 * glow - 0.30))
        level = curtain.brightness * (0.35 + 0.75 * energy) / 255.0
        lit: Floats = strength * (level / (1.0 + np.exp(np.clip(above, -0.25, 0.25) * -70.0)))
        return lit


class Ink:
    """Ink spreading in water: a field bent by fields that are bent themselves.

    Source: Inigo Quilez, "Domain warping", 2002.
    """

    RATES: ClassVar[tuple[float, ...]] = (0.0031, 0.0023, 0.0043, 0.0037, 0.0019)
    CELLS: ClassVar[int] = 26_000
    STRETCH: ClassVar[float] = 1.0
    _TONES: Tones = (
        ((3, 6, 18), (8, 22, 54), (14, 70, 108), (50, 146, 160), (170, 212, 204), (246, 242, 228)),
        ((8, 5, 22), (34, 16, 66), (96, 36, 116), (196, 80, 124), (246, 168, 142), (255, 238, 214)),
        ((16, 5, 12), (58, 12, 30), (140, 30, 40), (226, 92, 50), (246, 178, 112), (255, 240, 214)),
    )

    def __init__(self, colours: Sequence[Rgb] = ()) -> None:
        self._noise = cloud_noise(3, 5, 0.42)
        self._soft = cloud_noise(4, 2, 0.4)
        self._tint = Tint((colours,) if len(colours) > 1 else self._TONES)

    def paint(self, grid: Grid, phases: list[float], energy: float, warmth: float) -> Floats:
        a, b, c, d, e = phases
        x, y = grid.x * 0.30, grid.y * 0.30
        bend = 0.055 + 0.045 * energy
        q_x = sample(self._soft, x + a, y + b)
        q_y = sample(self._soft, x + (0.41 - c), y + (a + 0.17))
        x, y = x + bend * q_x, y + bend * q_y
        r_x = sample(self._soft, x + d, y)
        r_y = sample(self._soft, x + 0.73, y + (0.31 - b))
        body = sample(self._noise, x + bend * r_x, y + (bend * r_y + e))
        thread = np.exp(-2.6 * np.abs(body - 0.3 * r_x)) * (0.3 + 0.7 * np.abs(r_y))
        value = 0.33 + 0.14 * body + 0.09 * q_x * r_y + (0.10 + 0.12 * energy) * thread
        soft: Floats = cv2.GaussianBlur(value, (3, 3), 0.0)  # type: ignore[assignment] # a finer thread would show the cells
        return shade(self._tint.at(warmth), soft)


class Gradient:
    """Colours that blend across the canvas; the direction wanders."""

    RATES: ClassVar[tuple[float, ...]] = (0.008, 0.013)
    CELLS: ClassVar[int] = 14_000
    STRETCH: ClassVar[float] = 1.0

    def __init__(self, colours: Sequence[Rgb]) -> None:
        lab = oklab_from_rgb(colours)
        deeper = lab * (0.45, 0.8, 0.8)  # what a single colour runs to
        self._palette = palette(lab if len(lab) > 1 else np.concatenate([deeper, lab]))

    def paint(self, grid: Grid, phases: list[float], energy: float, warmth: float) -> Floats:
        turn = [_TURN * phase for phase in phases]
        angle = math.pi / 2 + (0.3 + 0.9 * energy) * math.sin(turn[0])
        across, down = math.cos(angle), math.sin(angle)
        x, y = grid.x * (1.0 / grid.aspect) - 0.5, grid.y - 0.5
        along = (across * x + down * y) * (1.0 / (abs(across) + abs(down)))
        along += 0.10 * energy * np.sin(2.6 * (down * x - across * y) + turn[1])
        return shade(self._palette, 0.5 + along)


class Flow:
    """A painter in motion: keeps its phases, has it paint the small picture, scales that onto the canvas."""

    def __init__(self, painter: Painter, rng: np.random.Generator) -> None:
        self._painter = painter
        self._rates = np.array(painter.RATES)
        self._phases = rng.random(len(self._rates))
        self._rng = rng
        self._grid: Grid | None = None
        self._shape = (0, 0)

    def advance(self, step_s: float) -> None:
        """Let `step_s` pass: the frame's step times the speed."""
        self._phases = (self._phases + self._rates * step_s) % 1.0

    def draw(self, canvas: Canvas, *, energy: float, warmth: float) -> None:
        """Cover the whole canvas."""
        if self._grid is None or self._shape != canvas.shape[:2]:
            self._shape = canvas.shape[:2]
            painter = self._painter
            self._grid = Grid(canvas.shape[1], canvas.shape[0], cells=painter.CELLS, stretch=painter.STRETCH)
        phases: list[float] = self._phases.tolist()
        planes = self._painter.paint(self._grid, phases, energy, warmth)
        size = (canvas.shape[1], canvas.shape[0])
        cv2.resize(self._quantise(planes), size, dst=canvas, interpolation=cv2.INTER_CUBIC)

    def _quantise(self, planes: Floats) -> Canvas:
        """(h, w, 4) uint8, rounded up or down by chance, anew every frame: the eye averages the steps away."""
        _, rows, columns = planes.shape
        top, left = (int(n) for n in self._rng.integers(0, _NOISE_PX // 4, 2))
        noise = _dither()[top : top + rows, left : left + columns]
        if noise.shape != (rows, columns):  # a canvas far wider or taller than any screen
            noise = np.resize(_dither(), (rows, columns))
        blue, green, red = np.clip(planes + noise, 0.0, 255.0).astype(np.uint8)
        return np.asarray(cv2.merge([blue, green, red, red]), np.uint8)
