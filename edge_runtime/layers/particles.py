"""Particles: rain, snow and sparks, thousands of them, moved and drawn all at once.

Places are fractions of the canvas (x of its width, y of its height, down), speeds are canvas heights a second, so the
weather is the same on any screen. Depth runs from 0, far, to 1, near: the near ones are larger, faster and fewer.
"""

import math
from abc import ABC, abstractmethod

import cv2
import numpy as np

from edge_runtime.clock import Timeline
from edge_runtime.config.scenes import ParticlesConfig
from edge_runtime.layers.colours import Rgb, oklab_from_rgb, palette
from edge_runtime.layers.compose import cover
from edge_runtime.layers.splats import Floats, Splats
from edge_runtime.scene import Canvas, Values

_BEYOND = 0.04
"""How far beyond the edges particles live, of the canvas."""
_TURN = np.float32(2.0 * math.pi)


class Swarm:
    """The living particles: one row a property, one column a particle, all memory taken at the start."""

    X, Y, DEPTH, PHASE, AGE, LIFE = range(6)

    def __init__(self, limit: int, rng: np.random.Generator) -> None:
        self._rows = np.zeros((6, limit), np.float32)
        self.alive = 0
        self._owed = 0.0
        self._rng = rng

    def __getitem__(self, row: int) -> Floats:
        """One property of all the living: a view that may be written to."""
        return self._rows[row, : self.alive]

    def bear(self, rate: float, step_s: float) -> slice:
        """Add `rate * step_s` particles, fractions carried over; returns their columns. Properties are random 0-1."""
        self._owed += rate * step_s
        due = int(self._owed)
        self._owed -= due
        first = self.alive
        self.alive = min(first + due, self._rows.shape[1])
        born = slice(first, self.alive)
        self._rows[:, born] = self._rng.random((6, self.alive - first), dtype=np.float32)
        self._rows[self.AGE, born] = 0.0
        return born

    def keep(self, living: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        """Forget all others; the order stays."""
        count = int(np.count_nonzero(living))
        if count < self.alive:
            self._rows[:, :count] = self._rows[:, : self.alive][:, living]
            self.alive = count


class _Kind(ABC):
    """How one preset moves and looks."""

    LEVELS: int
    source = (0.5, 1.0, 1.0)
    """Where sparks come from: x, y and how wide; of the canvas."""

    def __init__(self, swarm: Swarm, colour: Rgb | None) -> None:
        self.swarm = swarm
        self.colour = colour

    @abstractmethod
    def bear(self, rate: float, step_s: float) -> None:
        """Let new ones in."""

    @abstractmethod
    def move(self, step_s: float, wind: float, aspect: float) -> None:
        """Let `step_s` pass, speed included, and forget those that are gone."""

    @abstractmethod
    def draw(self, canvas: Canvas, splats: Splats, wind: float, opacity: float) -> None:
        """Draw all over what is there."""


class ParticlesLayer:
    """One preset's swarm."""

    def __init__(self, config: ParticlesConfig, *, rng: np.random.Generator) -> None:
        self._swarm = Swarm(config.limit, rng)
        self._kind: _Kind
        match config.preset:
            case "rain":
                self._kind = _Rain(self._swarm, config.colour)
            case "snow":
                self._kind = _Snow(self._swarm, config.colour)
            case "sparks":
                self._kind = _Sparks(self._swarm, config.colour)
        self._splats: Splats | None = None

    @property
    def alive(self) -> int:
        """How many there are."""
        return self._swarm.alive

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        opacity, wind, speed = float(values["opacity"]), float(values["wind"]), float(values["speed"])
        height_px, width_px = canvas.shape[:2]
        self._kind.move(timeline.step_s * speed, wind, width_px / height_px)
        self._kind.source = (float(values["x"]), float(values["y"]), float(values["spread"]))
        self._kind.bear(float(values["rate"]), timeline.step_s)
        if opacity <= 0.0 or self._swarm.alive == 0:
            return
        if self._splats is None or self._splats.size_px != (width_px, height_px):
            self._splats = Splats(width_px, height_px, self._kind.LEVELS + _octaves(height_px))
        self._splats.clear()
        self._kind.draw(canvas, self._splats, wind * speed, opacity)


def _octaves(height_px: int) -> int:
    """Levels that a screen needs beyond those of 720 lines."""
    return max(0, math.floor(math.log2(height_px / 720.0) + 0.4))


class _Rain(_Kind):
    """Streaks as long as a drop falls while a shutter is open, all slanting with the wind."""

    LEVELS = 3
    COLOUR: Rgb = (206, 218, 234)
    SPEED = (0.85, 0.85)
    """Of the farthest drop, and what the nearest adds. Drops far away seem slow."""
    SLANT = 0.75
    SHUTTER_S = 1.0 / 30.0
    NEARER = (0.0, 0.60, 0.92, 1.0)
    """Depths at which the levels begin."""
    LIGHT = (0.24, 0.23, 0.17)

    def __init__(self, swarm: Swarm, colour: Rgb | None) -> None:
        super().__init__(swarm, colour or self.COLOUR)

    def bear(self, rate: float, step_s: float) -> None:
        swarm = self.swarm
        born = swarm.bear(rate, step_s)
        y, x, depth = swarm[Swarm.Y], swarm[Swarm.X], swarm[Swarm.DEPTH]
        x[born] = x[born] * (1.0 + 2.0 * _BEYOND) - _BEYOND
        y[born] = -_BEYOND - y[born] * self._fall(depth[born]) * step_s  # spread over the frame, not in one row

    def _fall(self, depth: Floats) -> Floats:
        return self.SPEED[0] + self.SPEED[1] * depth

    def move(self, step_s: float, wind: float, aspect: float) -> None:
        swarm = self.swarm
        x, y = swarm[Swarm.X], swarm[Swarm.Y]
        fallen = self._fall(swarm[Swarm.DEPTH]) * step_s
        y += fallen
        x += fallen * (self.SLANT * wind / aspect)
        _wrap(x)
        swarm.keep(y < 1.0 + 2.0 * _BEYOND)

    def draw(self, canvas: Canvas, splats: Splats, wind: float, opacity: float) -> None:
        height_px, width_px = canvas.shape[:2]
        swarm, extra = self.swarm, len(splats.levels) - self.LEVELS
        x, y, depth, phase = (swarm[row] for row in (Swarm.X, Swarm.Y, Swarm.DEPTH, Swarm.PHASE))
        light = (255.0 * opacity) * (0.35 + 0.65 * phase)
        for number, (near, far) in enumerate(zip(self.NEARER[1:], self.NEARER, strict=False)):
            chosen = (depth >= far) & (depth < near)
            level = number + extra
            splats.stamp(level, x[chosen] * width_px, y[chosen] * height_px, light[chosen] * self.LIGHT[number])
            long_px = (self.SPEED[0] + self.SPEED[1] * (near + far) / 2.0) * self.SHUTTER_S * height_px
            splats.smear(level, self.SLANT * wind * long_px, long_px)
            if number > 0:
                splats.soften(level, 1.25)
        cover(canvas, splats.collect(), self.colour or self.COLOUR)


class _Snow(_Kind):
    """Soft flakes that sway as they sink; the nearest are large, faint and out of focus."""

    LEVELS = 4
    COLOUR: Rgb = (238, 243, 250)
    GAIN = (1.3, 2.0, 1.8, 1.1)

    def bear(self, rate: float, step_s: float) -> None:
        swarm = self.swarm
        born = swarm.bear(rate, step_s)
        x, y, depth = swarm[Swarm.X], swarm[Swarm.Y], swarm[Swarm.DEPTH]
        depth[born] **= 1.6  # most are far away
        x[born] = x[born] * (1.0 + 2.0 * _BEYOND) - _BEYOND
        y[born] = -_BEYOND - y[born] * 0.2 * step_s

    def move(self, step_s: float, wind: float, aspect: float) -> None:
        swarm = self.swarm
        x, y, depth, phase, life = (swarm[row] for row in (Swarm.X, Swarm.Y, Swarm.DEPTH, Swarm.PHASE, Swarm.LIFE))
        phase += (0.12 + 0.25 * life) * step_s
        phase %= 1.0
        sway = np.sin(_TURN * phase) * (0.012 + 0.030 * depth)
        y += (0.055 + 0.15 * depth + 0.02 * life) * step_s
        x += (sway + wind * (0.12 + 0.45 * depth)) * (step_s / aspect)
        _wrap(x)
        swarm.keep(y < 1.0 + 2.0 * _BEYOND)

    def draw(self, canvas: Canvas, splats: Splats, wind: float, opacity: float) -> None:
        height_px, width_px = canvas.shape[:2]
        swarm = self.swarm
        x, y, depth, life = (swarm[row] for row in (Swarm.X, Swarm.Y, Swarm.DEPTH, Swarm.LIFE))
        size_px = (0.0016 + 0.0070 * depth) * height_px
        levels = np.clip(np.rint(np.log2(size_px)), 0, len(splats.levels) - 1).astype(np.int8)
        light = (255.0 * opacity) * (0.4 + 0.4 * life)
        extra = len(splats.levels) - self.LEVELS
        for number in range(len(splats.levels)):
            chosen = levels == number
            if chosen.any():
                splats.stamp(number, x[chosen] * width_px, y[chosen] * height_px, light[chosen])
                splats.soften(number, self.GAIN[max(0, number - extra)])
        cover(canvas, splats.collect(), self.colour or self.COLOUR)


class _Sparks(_Kind):
    """Embers that rise, flicker and cool; their light is added to the picture."""

    LEVELS = 5
    HEAT: tuple[Rgb, ...] = ((0, 0, 0), (150, 36, 6), (255, 104, 20), (255, 168, 56), (255, 224, 140), (255, 248, 224))

    def __init__(self, swarm: Swarm, colour: Rgb | None) -> None:
        super().__init__(swarm, colour)
        tones = self.HEAT if colour is None else ((0, 0, 0), colour, (255, 255, 255))
        shades = palette(oklab_from_rgb(tones))[:, ::2]
        shades[:, 0] = 0.0  # where there is no heat nothing is added
        planes = np.concatenate([shades, np.zeros((1, shades.shape[1]))])
        self._glow = np.ascontiguousarray(planes.T.astype(np.uint8)).view(np.uint32)[:, 0]  # 256 packed BGRX

    def bear(self, rate: float, step_s: float) -> None:
        swarm = self.swarm
        born = swarm.bear(rate, step_s)
        x, y, life = swarm[Swarm.X], swarm[Swarm.Y], swarm[Swarm.LIFE]
        at_x, at_y, spread = self.source
        x[born] = at_x + (x[born] - 0.5) * spread
        y[born] = at_y + _BEYOND * y[born]
        life[born] = 1.6 + 3.4 * life[born] ** 2

    def move(self, step_s: float, wind: float, aspect: float) -> None:
        swarm = self.swarm
        x, y, depth, phase, age = (swarm[row] for row in (Swarm.X, Swarm.Y, Swarm.DEPTH, Swarm.PHASE, Swarm.AGE))
        age += step_s
        rise, drift = self._velocity(depth, phase, age, wind)
        y -= rise * step_s
        x += drift * (step_s / aspect)
        swarm.keep((age < swarm[Swarm.LIFE]) & (y > -_BEYOND))

    def _velocity(self, depth: Floats, phase: Floats, age: Floats, wind: float) -> tuple[Floats, Floats]:
        """Heights a second, up and to the right."""
        turn = _TURN * phase
        rise = 0.10 + 0.22 * depth + 0.05 * np.sin(1.9 * age + 2.0 * turn)
        sway = 0.055 * np.sin(2.3 * age + turn) + 0.03 * np.sin(5.1 * age + 3.0 * turn)
        drift = wind * (0.10 + 0.30 * depth) + sway
        return np.asarray(rise, np.float32), np.asarray(drift, np.float32)

    def draw(self, canvas: Canvas, splats: Splats, wind: float, opacity: float) -> None:
        height_px, width_px = canvas.shape[:2]
        swarm, extra = self.swarm, len(splats.levels) - self.LEVELS
        depth, phase, age = swarm[Swarm.DEPTH], swarm[Swarm.PHASE], swarm[Swarm.AGE]
        x, y = swarm[Swarm.X] * width_px, swarm[Swarm.Y] * height_px
        cooling = 1.0 - age / swarm[Swarm.LIFE]
        flicker = 0.72 + 0.28 * np.sin(9.0 * age + 17.0 * phase)
        heat = (255.0 * opacity) * np.sqrt(np.maximum(cooling, 0.0)) * flicker
        rise, drift = self._velocity(depth, phase, age, wind)
        for level, chosen, gain in ((1, depth <= 0.72, 3.2), (2, depth > 0.72, 4.0)):
            for back_s, dim in ((0.0, 1.0), (0.008, 0.75), (0.016, 0.45)):  # the trail of its own way
                back_px = back_s * height_px
                trail_x, trail_y = x - drift * back_px, y + rise * back_px
                splats.stamp(level + extra, trail_x[chosen], trail_y[chosen], heat[chosen] * dim)
            splats.soften(level + extra, gain)
        splats.stamp(4 + extra, x, y, heat * (0.25 + 0.75 * depth))
        splats.soften(4 + extra, 1.0, 5)
        light = splats.collect(last=1 + extra)
        embers = np.take(self._glow, light).view(np.uint8).reshape(*light.shape, 4)
        cv2.add(canvas, cv2.resize(embers, (width_px, height_px), interpolation=cv2.INTER_LINEAR), dst=canvas)


def _wrap(x: Floats) -> None:
    """Who leaves at one side comes in at the other, so that wind leaves no corner empty."""
    x += _BEYOND
    x %= 1.0 + 2.0 * _BEYOND
    x -= _BEYOND
