"""Pictures out of nothing: flowing fields, computed small and scaled up.

A field is a few thousand cells of float32, so it costs the same on any screen; the cubic scaling makes it smooth,
a dither that changes every frame keeps its slow gradients free of bands. All motion is phases that advance by
`step * speed`, so a change of speed never makes the picture leap, and wrap, so that it runs for months.
"""

import math
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.layers.colours import PALETTE_SIZE, Floats, Rgb, mix, oklab_from_rgb, palette
from edge_runtime.scene import Canvas

CELLS = 25_000
"""Cells of a field. Source: a taste; twice as many look the same after scaling to 1920x1080."""
_NOISE_PX = 512
_TURN = 2.0 * math.pi


class Painter(Protocol):
    """One procedural style: turns phases and parameters into a small picture."""

    RATES: tuple[float, ...]
    """Turns a second of each phase, at speed 1."""

    def paint(self, grid: "Grid", phases: npt.NDArray[np.float64], energy: float, warmth: float) -> Floats:
        """(h, w, 3) float32 BGR 0-255 on the grid."""
        ...


class Grid:
    """The cells of one canvas shape. `x` (1, w) runs from 0 to the aspect ratio, `y` (h, 1) from 0 at the top to 1."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.aspect = width_px / height_px
        self.rows = max(2, round(math.sqrt(CELLS / self.aspect)))
        self.columns = max(2, round(CELLS / self.rows))
        self.x = np.linspace(0.0, self.aspect, self.columns, dtype=np.float32)[None, :]
        self.y = np.linspace(0.0, 1.0, self.rows, dtype=np.float32)[:, None]


def cloud_noise(rng: np.random.Generator, octaves: int, falloff: float) -> Floats:
    """(512, 512) float32 noise that tiles, mean 0 and deviation 1: `octaves` sizes, each finer one weaker by `falloff`."""
    total = np.zeros((_NOISE_PX, _NOISE_PX), np.float32)
    for octave in range(octaves):
        cells = 4 << octave
        coarse = rng.standard_normal((cells, cells), dtype=np.float32)
        border = 3  # cubic scaling looks two cells beyond the edge
        wrapped = np.pad(coarse, border, mode="wrap")
        scale = _NOISE_PX // cells
        fine = cv2.resize(wrapped, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        cut = border * scale
        total += falloff**octave * fine[cut : cut + _NOISE_PX, cut : cut + _NOISE_PX]
    normal: Floats = (total - total.mean()) / total.std()
    return normal


def sample(noise: Floats, x: Floats, y: Floats) -> Floats:
    """`noise` at places in turns of its period; x and y are broadcast against each other."""
    x, y = np.broadcast_arrays(x * np.float32(_NOISE_PX), y * np.float32(_NOISE_PX))
    return cv2.remap(  # type: ignore[return-value]
        noise, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )


def shade(lookup: Floats, field: Floats) -> Floats:
    """(h, w, 3) colours of a (h, w) field of 0-1."""
    index = np.clip(field * (PALETTE_SIZE - 1), 0, PALETTE_SIZE - 1).astype(np.intp)
    return np.take(lookup, index, axis=0)


class Aurora:
    """Northern lights over a night sky: curtains of rays that wave, fold and breathe."""

    RATES = (0.011, 0.017, 0.023, 0.0041, 0.0067, 0.031)
    _SKY_COLD: tuple[Rgb, ...] = ((3, 5, 16), (6, 14, 34), (10, 32, 52))
    _SKY_WARM: tuple[Rgb, ...] = ((9, 4, 18), (26, 9, 34), (58, 20, 36))
    _RAY_COLD: tuple[Rgb, ...] = ((150, 255, 190), (40, 230, 150), (20, 150, 170), (70, 70, 190), (90, 30, 130))
    _RAY_WARM: tuple[Rgb, ...] = ((255, 226, 150), (255, 150, 70), (236, 70, 90), (170, 40, 130), (80, 26, 110))
    _CURTAINS = ((0.60, 0.085, 0.36, 1.0), (0.74, 0.06, 0.26, 0.75), (0.46, 0.07, 0.30, 0.55))
    """Foot (0 top, 1 bottom), how far it waves, how high the rays reach, brightness; the nearest first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rays = cloud_noise(rng, 5, 0.72)
        self._cloud = cloud_noise(rng, 3, 0.5)
        self._warmth = -1.0

    def paint(self, grid: Grid, phases: npt.NDArray[np.float64], energy: float, warmth: float) -> Floats:
        self._choose_colours(warmth)
        light = np.log1p(shade(self._sky, np.broadcast_to(grid.y**1.6, (grid.rows, grid.columns))) / 255.0)
        for number, curtain in enumerate(self._CURTAINS):
            light += self._curtain(grid, phases, energy, number, curtain)
        return 255.0 * (1.0 - np.exp(-light))

    def _choose_colours(self, warmth: float) -> None:
        if warmth != self._warmth:
            self._warmth = warmth
            self._sky = palette(mix(self._SKY_COLD, self._SKY_WARM, warmth))
            self._ray = palette(mix(self._RAY_COLD, self._RAY_WARM, warmth)) / np.float32(255.0)

    def _curtain(
        self, grid: Grid, phases: npt.NDArray[np.float64], energy: float, number: int, curtain: tuple[float, ...]
    ) -> Floats:
        """(h, w, 3) light of one curtain: a sharp foot, rays above it that lean and fade."""
        foot, wave, reach, brightness = curtain
        p = (_TURN * phases).astype(np.float32) + np.float32(1.7 * number)
        x, shift = grid.x / 1.78, np.float32(phases[3 + number % 2] + 0.37 * number)
        swell = np.sin(4.1 * x + p[0]) + 0.55 * np.sin(9.3 * x - p[1] + 1.3) + 0.3 * np.sin(17.0 * x + p[2])
        swell += 0.9 * sample(self._cloud, x * 0.35 + shift, np.float32(phases[4]) + 0.2 * number)
        line = foot + wave * (0.6 + 0.8 * energy) * swell  # (1, w)
        above = line - grid.y  # (h, w), in canvas heights; negative below the foot
        lean = x * 0.62 + shift + (above * (x - 0.5)) * 0.10
        ray = sample(self._rays, lean, np.float32(phases[5] + 0.29 * number) + above * 0.015)
        glow = sample(self._cloud, x * 0.45 - shift, np.float32(phases[3] * 2.0 + 0.5 * number))
        height = reach * (0.55 + 0.6 * energy) * np.exp(0.30 * ray)
        strength = np.exp((0.35 + 0.45 * energy) * ray + 0.55 * glow - 0.35)
        profile = np.exp(-np.maximum(above, 0.0) / height) / (1.0 + np.exp(-np.clip(above, -0.3, 0.3) * 75.0))
        intensity = (brightness * (0.28 + 0.85 * energy) * strength * profile).astype(np.float32)
        return shade(self._ray, np.clip(above / (1.9 * reach), 0.0, 1.0)) * intensity[..., None]


class Ink:
    """Ink spreading in water: a field bent by fields that are bent themselves.

    Source: Inigo Quilez, "Domain warping", 2002.
    """

    RATES = (0.0031, 0.0023, 0.0043, 0.0037, 0.0019)
    _COLD: tuple[Rgb, ...] = ((4, 7, 20), (10, 24, 58), (16, 74, 110), (58, 150, 160), (176, 214, 204), (246, 240, 224))
    _WARM: tuple[Rgb, ...] = ((16, 5, 14), (58, 12, 32), (140, 30, 40), (226, 92, 50), (246, 178, 112), (255, 240, 214))

    def __init__(self, rng: np.random.Generator, colours: list[Rgb] | None = None) -> None:
        self._noise = cloud_noise(rng, 4, 0.45)
        self._soft = cloud_noise(rng, 2, 0.4)
        self._colours = colours
        self._warmth = -1.0

    def paint(self, grid: Grid, phases: npt.NDArray[np.float64], energy: float, warmth: float) -> Floats:
        if warmth != self._warmth:
            self._warmth = warmth
            own = self._colours
            self._palette = palette(oklab_from_rgb(own) if own else mix(self._COLD, self._WARM, warmth))
        p = phases.astype(np.float32)
        x, y = grid.x * 0.30, grid.y * 0.30
        bend = np.float32(0.045 + 0.075 * energy)
        q_x = sample(self._soft, x + p[0], y + p[1])
        q_y = sample(self._soft, x - p[2] + 0.41, y + p[0] + 0.17)
        r_x = sample(self._soft, x + bend * q_x + p[3], y + bend * q_y)
        r_y = sample(self._soft, x + bend * q_x + 0.73, y + bend * q_y - p[1] + 0.31)
        body = sample(self._noise, x + bend * r_x, y + bend * r_y + p[4])
        ridge = np.exp(-2.2 * np.abs(body - 0.25 * r_x))
        value = 0.30 + (0.13 + 0.05 * energy) * body + 0.10 * q_x * r_y + (0.10 + 0.22 * energy) * ridge * (0.4 + 0.6 * np.abs(r_y))
        return shade(self._palette, value)


class Gradient:
    """Colours that blend across the canvas; the direction wanders."""

    RATES = (0.008, 0.013)

    def __init__(self, colours: list[Rgb]) -> None:
        lab = oklab_from_rgb(colours)
        if len(lab) == 1:  # one colour runs to a deeper shade of itself
            lab = np.concatenate([lab, lab * (0.45, 0.8, 0.8)])
        self._palette = palette(lab)

    def paint(self, grid: Grid, phases: npt.NDArray[np.float64], energy: float, warmth: float) -> Floats:
        turn = _TURN * phases
        angle = math.pi / 2 + (0.3 + 0.9 * energy) * math.sin(turn[0])
        across, down = math.cos(angle), math.sin(angle)
        x, y = grid.x / grid.aspect - 0.5, grid.y - 0.5
        along = (across * x + down * y) / (abs(across) + abs(down))
        along = along + 0.10 * energy * np.sin(2.6 * (down * x - across * y) + turn[1])
        return shade(self._palette, (0.5 + along).astype(np.float32))


class Flow:
    """A painter in motion: advances the phases, paints the small picture, scales it onto the canvas."""

    def __init__(self, painter: Painter, rng: np.random.Generator) -> None:
        self._painter = painter
        self._rates = np.array(painter.RATES)
        self._phases = rng.random(len(self._rates))
        self._dither = rng.random((_NOISE_PX, _NOISE_PX, 3), dtype=np.float32)
        self._rng = rng
        self._grid: Grid | None = None
        self._shape = (0, 0)

    def draw(self, canvas: Canvas, *, step_s: float, energy: float, warmth: float) -> None:
        """Cover the whole canvas. `step_s` is the frame's step times the speed."""
        self._phases = (self._phases + self._rates * step_s) % 1.0
        if self._grid is None or self._shape != canvas.shape[:2]:
            self._shape = canvas.shape[:2]
            self._grid = Grid(canvas.shape[1], canvas.shape[0])
        colour = self._painter.paint(self._grid, self._phases, energy, warmth)
        small = cv2.cvtColor(self._quantise(colour), cv2.COLOR_BGR2BGRA)
        size = (canvas.shape[1], canvas.shape[0])
        cv2.resize(small, size, dst=canvas, interpolation=cv2.INTER_CUBIC)

    def _quantise(self, colour: Floats) -> npt.NDArray[np.uint8]:
        """Round up or down by chance, anew every frame: the eye averages the steps of 8 bits away."""
        rows, columns = colour.shape[:2]
        top, left = (int(n) for n in self._rng.integers(0, _NOISE_PX // 4, 2))
        noise = self._dither[top : top + rows, left : left + columns]
        if noise.shape != colour.shape:  # a canvas far wider or taller than any screen
            noise = np.resize(self._dither, colour.shape)
        return np.clip(colour + noise, 0.0, 255.0).astype(np.uint8)
