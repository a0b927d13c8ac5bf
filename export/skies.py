"""Skies and landscapes drawn by rule, with their weather, hour, mood and place known: what conditions are learned from.

Every picture is made of a sky (gradient, sun or moon, clouds, stars), a place in layers that fade with distance, and
weather between the layers. All of it follows from one generator, so that a picture can be drawn again.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

WEATHERS = ("sun", "cloud", "rain", "storm", "snow", "fog")
TIMES = ("night", "dawn", "day", "dusk")
MOODS = ("calm", "joyful", "mysterious", "melancholy", "dramatic")
PLACES = ("sea", "mountains", "forest", "city", "field")
BANDS = ("sky", "high", "low", "ground")

Floats = npt.NDArray[Any]
"""float32 throughout."""
_DRAWN_PX = (288, 160)
"""The size that is shown; the flow learns a quarter of it."""
_TOP = {"night": (0.015, 0.03, 0.10), "dawn": (0.20, 0.26, 0.50), "day": (0.12, 0.33, 0.74), "dusk": (0.13, 0.12, 0.33)}
_MIDDLE = {
    "night": (0.05, 0.08, 0.20),
    "dawn": (0.66, 0.50, 0.58),
    "day": (0.40, 0.63, 0.90),
    "dusk": (0.62, 0.28, 0.36),
}
_LOW = {"night": (0.11, 0.14, 0.28), "dawn": (0.98, 0.76, 0.56), "day": (0.78, 0.87, 0.95), "dusk": (0.99, 0.55, 0.24)}
_LIGHT = {"night": (0.55, 0.64, 0.85), "dawn": (1.0, 0.80, 0.62), "day": (1.0, 0.97, 0.90), "dusk": (1.0, 0.62, 0.34)}
_BRIGHT = {"night": 0.22, "dawn": 0.72, "day": 1.0, "dusk": 0.62}


@dataclass(slots=True)
class Conditions:
    """What a picture shows; every share 0-1."""

    weather: dict[str, float] = field(default_factory=dict)
    time: dict[str, float] = field(default_factory=dict)
    mood: dict[str, float] = field(default_factory=dict)
    place: dict[str, float] = field(default_factory=dict)
    energy: float = 0.5

    def vector(self) -> Floats:
        """(21,) float32: weather, time, mood, place, energy, in the order of the names above."""
        groups = ((WEATHERS, self.weather), (TIMES, self.time), (MOODS, self.mood), (PLACES, self.place))
        values = [group.get(name, 0.0) for names, group in groups for name in names]
        return np.array([*values, self.energy], np.float32)


def draw(conditions: Conditions, rng: np.random.Generator, size_px: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A landscape under these conditions, RGB (height, width, 3) uint8."""
    picture = _Sky(conditions, rng).paint()
    picture = _moody(picture, conditions, rng)
    small = cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0, 1) ** (1 / 1.35) * 255, np.uint8)


def random_conditions(rng: np.random.Generator) -> Conditions:
    """What a landscape may be like: one or two weathers, an hour between two times, mostly one mood, one place."""
    weather = dict.fromkeys(WEATHERS, 0.0)
    first = str(rng.choice(WEATHERS, p=(0.24, 0.18, 0.17, 0.13, 0.14, 0.14)))
    weather[first] = float(rng.uniform(0.55, 1.0))
    if rng.random() < 0.45:
        weather[str(rng.choice([n for n in WEATHERS if n != first]))] = float(rng.uniform(0.1, 0.6))
    hour = int(rng.integers(4))
    share = float(rng.random()) ** 2 * 0.5
    time = {TIMES[hour]: 1.0 - share, TIMES[(hour + int(rng.choice((1, 3)))) % 4]: share}
    mood = {str(rng.choice(MOODS)): float(rng.uniform(0.4, 1.0))} if rng.random() < 0.75 else {}
    return Conditions(weather, time, mood, {str(rng.choice(PLACES)): 1.0}, float(rng.random()))


def noise(
    rng: np.random.Generator, size_px: tuple[int, int], cells: float, octaves: int = 5, gain: float = 0.5
) -> Floats:
    """Fractal noise, about -1 to 1; `cells` across the width in the coarsest octave."""
    width, height = size_px
    total, amplitude = np.zeros((height, width), np.float32), 1.0
    for octave in range(octaves):
        n = max(2, round(cells * 2**octave))
        grid = rng.standard_normal((max(2, round(n * height / width)) + 1, n + 1)).astype(np.float32)
        total += amplitude * cv2.resize(grid, size_px, interpolation=cv2.INTER_CUBIC)
        amplitude *= gain
    return total * np.float32(0.6)


def blend(table: dict[str, tuple[float, float, float]], shares: dict[str, float]) -> Floats:
    """The mixed colour of several times."""
    total = sum(shares.values()) or 1.0
    return np.asarray(sum(np.array(table[name]) * share for name, share in shares.items()) / total, np.float32)


class _Sky:
    """One picture in the making, linear light 0-1."""

    def __init__(self, conditions: Conditions, rng: np.random.Generator) -> None:
        self.c, self.rng = conditions, rng
        self.size_px = _DRAWN_PX
        width, height = self.size_px
        self.xs, self.ys = np.meshgrid(
            np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)
        )
        self.horizon = float(rng.uniform(0.5, 0.72))
        self.weather = {name: conditions.weather.get(name, 0.0) for name in WEATHERS}
        self.night = conditions.time.get("night", 0.0)
        jitter = rng.normal(0, 0.025, 3).astype(np.float32)
        self.top, self.middle, self.low = (
            np.clip(blend(t, conditions.time) + jitter, 0, 1) for t in (_TOP, _MIDDLE, _LOW)
        )
        self.light = blend(_LIGHT, conditions.time)
        total = sum(conditions.time.values()) or 1.0
        self.bright = sum(_BRIGHT[name] * share for name, share in conditions.time.items()) / total
        grey = max(
            self.weather["cloud"] * 0.6, self.weather["rain"] * 0.8, self.weather["storm"], self.weather["snow"] * 0.6
        )
        tone = np.array((0.42, 0.46, 0.52), np.float32) * np.float32(0.35 + 0.65 * self.bright)
        tone *= np.float32(1 - 0.42 * self.weather["storm"])
        self.grey = tone
        self.top, self.middle, self.low = (
            a + (tone * k - a) * np.float32(0.85 * grey)
            for a, k in ((self.top, 0.75), (self.middle, 0.95), (self.low, 1.15))
        )
        low_sun = conditions.time.get("dawn", 0.0) + conditions.time.get("dusk", 0.0)
        self.sun_x = float(rng.uniform(0.12, 0.88))
        self.sun_y = self.horizon * float(rng.uniform(0.78, 0.98) if low_sun > 0.5 else rng.uniform(0.12, 0.5))

    def paint(self) -> Floats:
        """Sky, place, weather."""
        picture = self._gradient()
        picture = self._lights(picture)
        picture = self._clouds(picture)
        picture = self._place(picture)
        return self.falling(picture)

    def _gradient(self) -> Floats:
        t = np.clip(self.ys / self.horizon, 0, 1)[:, :, None] ** 1.2
        sky = self.top * (1 - t) ** 2 + self.middle * (2 * t * (1 - t)) + self.low * t**2
        return np.asarray(sky, np.float32)

    def _lights(self, picture: Floats) -> Floats:
        clear = 1 - max(self.weather[n] for n in ("cloud", "rain", "storm", "snow", "fog")) * 0.8
        aspect = self.size_px[1] / self.size_px[0]
        distance = np.hypot(self.xs - self.sun_x, (self.ys - self.sun_y) * aspect)
        strength = np.float32(clear * (0.25 + 0.75 * max(self.weather["sun"], 0.35)))
        if self.night > 0.5:
            stars = self.rng.random(self.ys.shape) > 0.9955
            glint = cv2.GaussianBlur(stars.astype(np.float32), (0, 0), 0.7) * 3.2
            picture = picture + (glint * clear * (1 - self.ys / self.horizon).clip(0, 1))[:, :, None]
            disc = np.clip((0.028 - distance) * 90, 0, 1)
            glow = np.exp(-distance * 14) * 0.35
        else:
            disc = np.clip((0.032 - distance) * 90, 0, 1) * 1.4
            glow = np.exp(-distance * 9) * 0.55 + np.exp(-distance * 3.2) * 0.38
        return np.asarray(picture + ((disc + glow) * strength)[:, :, None] * self.light, np.float32)

    def _clouds(self, picture: Floats) -> Floats:
        w = self.weather
        cover = min(
            1.0,
            0.12
            + 0.2 * self.rng.random() * w["sun"]
            + 0.62 * w["cloud"]
            + 0.72 * w["rain"]
            + 0.95 * w["storm"]
            + 0.6 * w["snow"]
            + 0.35 * w["fog"],
        )
        warp = noise(self.rng, self.size_px, 3, 3) * (0.03 + 0.12 * self.c.energy)
        field = noise(self.rng, self.size_px, float(self.rng.uniform(2.0, 3.6)), 6, 0.55)
        depth = np.clip(self.ys / self.horizon, 0.02, 1)
        map_x = (self.xs + warp * 0.5) * self.size_px[0]
        map_y = (depth**0.55 + warp * 0.5) * (self.size_px[1] - 1)
        field = cv2.remap(
            field, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        density = np.clip((field + (cover * 2.1 - 1.15)) * (1.1 + 0.9 * self.c.energy), 0, 1)
        aside = np.array([[1, 0, 5 * np.sign(self.sun_x - 0.5)], [0, 1, -5]], np.float32)
        towards = cv2.warpAffine(field, aside, self.size_px, borderMode=cv2.BORDER_REPLICATE)
        lit = np.clip(0.55 + (field - towards) * 1.5, 0, 1)[:, :, None]
        near_sun = np.exp(-np.hypot(self.xs - self.sun_x, (self.ys - self.sun_y) * 0.6) * 3.0)[:, :, None]
        heavy = np.float32(min(1.0, 0.15 + 0.6 * w["rain"] + 1.0 * w["storm"] + 0.35 * w["snow"] + 0.25 * w["cloud"]))
        shadow = self.grey * (1.15 - 0.6 * heavy)
        bright = self.light * np.float32(0.35 + 0.68 * self.bright) * (
            1 - 0.5 * heavy
        ) + self.light * near_sun * 0.35 * (1 - heavy)
        colour = shadow + (bright - shadow) * lit
        opacity = (density ** (1.3 - 0.5 * heavy))[:, :, None] * 0.95
        picture = picture * (1 - opacity) + colour * opacity
        if w["storm"] > 0.45 and self.rng.random() < 0.75:
            picture = self.strike(picture)
        return np.asarray(picture, np.float32)

    def strike(self, picture: Floats) -> Floats:
        """Lightning."""
        width, height = self.size_px
        bolt = np.zeros((height, width), np.float32)
        for _ in range(int(self.rng.integers(1, 3))):
            x, y = self.rng.uniform(0.1, 0.9) * width, self.rng.uniform(0, 0.2) * height
            while y < self.horizon * height:
                nx, ny = x + self.rng.normal(0, 7), y + self.rng.uniform(4, 11)
                cv2.line(bolt, (int(x), int(y)), (int(nx), int(ny)), 1.0, 1, cv2.LINE_AA)
                x, y = nx, ny
        glow = cv2.GaussianBlur(bolt, (0, 0), 9) * 7 + cv2.GaussianBlur(bolt, (0, 0), 2.5) * 2.5
        return np.asarray(
            picture + (bolt * 1.2 + glow)[:, :, None] * np.array((0.72, 0.74, 1.0), np.float32), np.float32
        )

    # -- the place -----------------------------------------------------------------------------------------------

    def _place(self, picture: Floats) -> Floats:
        place = max(self.c.place, key=lambda name: self.c.place[name], default="field")
        haze = self.low * np.float32(0.8) + self.grey * np.float32(0.2)
        fog = self.weather["fog"]
        layers = {"sea": 2, "mountains": 4, "forest": 4, "city": 3, "field": 3}[place]
        if place == "sea" or (place == "city" and self.rng.random() < 0.5):
            picture = self._water(picture)
            if place == "sea" and self.rng.random() < 0.45:
                return self.veil(picture, haze, fog)
        base = self._ground_colour(place)
        for i in range(layers):
            near = (i + 1) / layers
            line = self._ridge(place, near)
            mask = np.clip((self.ys - line[None, :]) * self.size_px[1] * 0.9, 0, 1)[:, :, None]
            if place in {"sea", "city"} and near == 1.0 and self.rng.random() < 0.6:
                break
            distance = np.float32((1 - near) * (0.72 + 0.28 * fog))
            shade = (
                base * np.float32(0.5 + 0.5 * (1 - near)) if place != "field" else base * np.float32(0.75 + 0.3 * near)
            )
            texture = 1 + noise(self.rng, self.size_px, 10 + 14 * near, 4)[:, :, None] * np.float32(0.10 + 0.22 * near)
            rim = (
                np.exp(-np.clip(self.ys - line[None, :], 0, 1) * 26)[:, :, None]
                * self.light
                * np.float32(0.16 * self.bright)
            )
            colour = (shade * texture + rim) * (1 - distance) + haze * distance
            if place == "city":
                colour = self._windows(colour, near)
            picture = picture * (1 - mask) + colour * mask
            picture = self.veil(picture, haze, fog * 0.4, floor=float(line.mean()))
        return self.veil(picture, haze, fog * 0.3)

    def _ground_colour(self, place: str) -> Floats:
        colours = {
            "sea": (0.14, 0.16, 0.16), "mountains": (0.22, 0.25, 0.30), "forest": (0.10, 0.20, 0.11),
            "city": (0.17, 0.17, 0.21), "field": (0.30, 0.40, 0.13),
        }  # fmt: skip
        colour = np.array(colours[place], np.float32)
        if place == "field":
            colour = colour + np.array(
                self.rng.choice(((0.25, 0.08, 0), (0, 0, 0), (0.12, -0.08, 0.18), (0, 0.03, 0))), np.float32
            )
        colour = np.clip(colour, 0.02, 1) * self.light * np.float32(0.28 + 0.95 * self.bright)
        snow = np.array((0.86, 0.90, 0.97), np.float32) * np.float32(0.25 + 0.75 * self.bright)
        return np.asarray(colour + (snow - colour) * np.float32(0.88 * self.weather["snow"]), np.float32)

    def _ridge(self, place: str, near: float) -> Floats:
        """The upper edge of one layer, 0-1 down the picture, for each column."""
        width = self.size_px[0]
        base = self.horizon + near * (1.02 - self.horizon) * 0.62
        if place == "mountains":
            rough = noise(self.rng, (width, 8), 3 + 3 * near, 6, 0.52)[4]
            line = base - 0.10 - (np.abs(rough) * 0.30 + 0.05) * (1.15 - 0.75 * near)
        elif place == "forest":
            hill = noise(self.rng, (width, 8), 2.5, 3)[4] * 0.05
            trees = np.zeros(width, np.float32)
            for centre in self.rng.uniform(0, width, int(34 + 30 * (1 - near))):
                tall, wide = self.rng.uniform(0.04, 0.15) * (0.45 + 0.9 * near), self.rng.uniform(2.5, 6) * (0.5 + near)
                trees = np.maximum(trees, tall * np.clip(1 - np.abs(np.arange(width) - centre) / wide, 0, 1))
            line = base - 0.03 + hill - trees
        elif place == "city":
            line, x = np.full(width, base - 0.04, np.float32), 0
            while x < width:
                w = int(self.rng.integers(6, 22))
                line[x : x + w] = base - 0.03 - self.rng.gamma(2.0, 0.06) * (1.25 - 0.6 * near)
                x += w
        else:
            reach = 0.05 if place == "field" else 0.035
            line = base - 0.01 + noise(self.rng, (width, 8), 2.2, 4, 0.4)[4] * reach
        return np.asarray(line, np.float32)

    def _water(self, picture: Floats) -> Floats:
        """The sky again, upside down, broken by waves, with the path of light below the sun."""
        width, height = self.size_px
        row = int(self.horizon * height)
        below = np.clip((self.ys - self.horizon) / (1 - self.horizon), 0, 1)
        rough = (0.15 + 0.85 * self.c.energy) * (1 + 0.8 * self.weather["storm"])
        waves = cv2.resize(
            noise(self.rng, (width // 4, height), 6, 5, 0.62), self.size_px, interpolation=cv2.INTER_LINEAR
        )
        map_y = (row - (self.ys * height - row) * 0.9 + waves * 9 * rough * (0.3 + below)).clip(0, row - 1)
        map_x = self.xs * width + waves * 6 * rough
        mirrored = cv2.remap(
            picture, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        deep = np.array((0.02, 0.10, 0.14), np.float32) * np.float32(0.4 + 0.6 * self.bright)
        water = mirrored * np.float32(0.66) + deep + (waves * 0.05 * rough)[:, :, None] * self.light
        path = np.exp(-((self.xs - self.sun_x) ** 2) / (0.004 + 0.02 * below)) * np.clip(waves + 0.35, 0, 1)
        sparkle = path * (0.85 if self.weather["storm"] < 0.4 else 0.15) * (1 - self.weather["fog"] * 0.8)
        water = water + sparkle[:, :, None] * self.light * np.float32(0.3 + 0.5 * self.bright)
        if self.weather["storm"] > 0.3 or self.c.energy > 0.75:
            water = water + (np.clip(waves - 0.75, 0, 1) * 0.9 * below)[:, :, None]
        mask = np.clip((self.ys - self.horizon) * height, 0, 1)[:, :, None]
        return np.asarray(picture * (1 - mask) + water * mask, np.float32)

    def _windows(self, colour: Floats, near: float) -> Floats:
        """Lit at night, and a few at dusk."""
        share = 0.30 * self.night + 0.10 * self.c.time.get("dusk", 0.0)
        if share < 0.03:
            return colour
        width, height = self.size_px
        grid = (self.rng.random((height // 3 + 1, width // 3 + 1)) < share * (0.4 + 0.6 * near)).astype(np.float32)
        lit = np.kron(grid, np.array(((1, 1, 0), (1, 1, 0), (0, 0, 0)), np.float32))[:height, :width]
        warm = np.array((1.0, 0.74, 0.36), np.float32)
        return np.asarray(colour + (lit + cv2.GaussianBlur(lit, (0, 0), 3) * 0.5)[:, :, None] * warm * 0.65, np.float32)

    def veil(self, picture: Floats, haze: Floats, amount: float, floor: float | None = None) -> Floats:
        """Mist along the horizon, or along `floor`."""
        if amount <= 0.01:
            return picture
        band = np.exp(-np.abs(self.ys - (self.horizon + 0.06 if floor is None else floor)) * 3.2)
        cover = amount * np.clip(0.35 + 0.75 * band + noise(self.rng, self.size_px, 3, 3) * 0.22, 0, 1)[:, :, None]
        return np.asarray(picture * (1 - cover) + haze * cover, np.float32)

    def falling(self, picture: Floats) -> Floats:
        """Rain as curtains and snow as a glow in the air: single drops and flakes are drawn over it, live."""
        width, height = self.size_px
        wet = max(self.weather["rain"], self.weather["storm"] * 0.6)
        if wet > 0.1:
            slant = float(self.rng.uniform(-0.25, 0.25))
            fine = cv2.resize(noise(self.rng, (width, 6), 13, 3, 0.6), self.size_px, interpolation=cv2.INTER_CUBIC)
            leaning = np.array([[1, slant, -slant * height / 2], [0, 1, 0]], np.float32)
            curtains = cv2.warpAffine(fine, leaning, self.size_px, borderMode=cv2.BORDER_REFLECT)
            cover = np.clip(0.2 + curtains * 0.2, 0, 0.5)[:, :, None] * np.float32(wet)
            picture = picture * np.float32(1 - 0.2 * wet)
            picture = picture * (1 - cover) + (self.grey * np.float32(1.25) + np.float32(0.05)) * cover
        if self.weather["snow"] > 0.1:
            glow = np.clip(0.22 + noise(self.rng, self.size_px, 7, 4, 0.6) * 0.2, 0, 0.6)[:, :, None]
            tone = np.array((0.86, 0.90, 0.97), np.float32) * np.float32(0.3 + 0.65 * self.bright)
            cover = glow * np.float32(self.weather["snow"])
            picture = picture * (1 - cover) + tone * cover
        return np.asarray(picture, np.float32)


def _moody(picture: Floats, conditions: Conditions, rng: np.random.Generator) -> Floats:
    """The same place in another state of mind: tint, contrast, saturation, dark corners."""
    mood = conditions.mood
    grey = picture.mean(axis=2, keepdims=True)
    saturation = 1.1 + 0.45 * mood.get("joyful", 0) - 0.62 * mood.get("melancholy", 0) - 0.15 * mood.get("calm", 0)
    saturation += 0.15 * mood.get("dramatic", 0)
    picture = grey + (picture - grey) * np.float32(saturation)
    tints = {
        "joyful": (1.12, 1.04, 0.92), "calm": (0.98, 1.03, 1.05), "mysterious": (0.72, 0.86, 1.12),
        "melancholy": (0.86, 0.93, 1.04), "dramatic": (1.05, 0.93, 0.88),
    }  # fmt: skip
    for name, share in mood.items():
        picture = picture * (1 + (np.array(tints[name], np.float32) - 1) * np.float32(share))
    contrast = 1 + 0.55 * mood.get("dramatic", 0) - 0.35 * mood.get("calm", 0) - 0.15 * mood.get("melancholy", 0)
    contrast += 0.15 * mood.get("mysterious", 0)
    middle = np.float32(0.9 * float(picture.mean()) + 0.02)
    picture = middle + (picture - middle) * np.float32(contrast)
    picture = picture + np.float32(0.05 * mood.get("joyful", 0) + 0.05 * mood.get("calm", 0))
    height, width = picture.shape[:2]
    xs, ys = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    corner = np.clip(xs**2 + ys**2 - 0.45, 0, 1.4)[:, :, None]
    dark = 0.5 * mood.get("mysterious", 0) + 0.42 * mood.get("dramatic", 0) + 0.12
    picture = picture * (1 - corner * dark * 0.6)
    strokes = noise(rng, _DRAWN_PX, 40, 2)[:, :, None] * (0.006 + 0.02 * conditions.energy)
    return np.asarray(np.clip(picture * (1 + strokes), 0, 1), np.float32)


def bands(rgb: npt.NDArray[Any]) -> Floats:
    """(12,) mean RGB of four bands from top to bottom, 0-1: a picture's palette."""
    small = cv2.resize(rgb, (1, len(BANDS)), interpolation=cv2.INTER_AREA)
    return np.asarray(small.reshape(-1), np.float32) / np.float32(255)


def weathered(photo: npt.NDArray[np.uint8], rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], Conditions]:
    """A photograph taken by day, put into another hour and weather; what is put on it is what the conditions say."""
    conditions = Conditions(energy=float(rng.random()))
    small = cv2.resize(photo, _DRAWN_PX, interpolation=cv2.INTER_AREA)
    picture = (small.astype(np.float32) / 255) ** np.float32(1.35)
    hour = str(rng.choice(TIMES, p=(0.2, 0.15, 0.45, 0.2)))
    conditions.time[hour] = 1.0
    weather = str(rng.choice(("", "rain", "snow", "fog", "storm"), p=(0.5, 0.12, 0.13, 0.13, 0.12)))
    if weather:
        conditions.weather[weather] = float(rng.uniform(0.6, 1.0))
    if hour != "day":
        light = np.array(_LIGHT[hour], np.float32)
        height = np.linspace(0, 1, _DRAWN_PX[1], dtype=np.float32)[:, None, None]
        glow = np.array(_TOP[hour], np.float32) * (1 - height) + np.array(_LOW[hour], np.float32) * height
        picture = picture * light * np.float32(_BRIGHT[hour] * 0.9) + glow * np.float32(0.22)
    sky = _Sky(conditions, rng)
    if weather == "storm":
        picture = sky.strike(picture * np.float32(0.4))
    if weather == "fog":
        picture = sky.veil(picture, sky.low * np.float32(0.9), 0.8)
    if weather == "snow":
        grey = picture.mean(axis=2, keepdims=True)
        picture = picture * 0.55 + (grey * 0.5 + 0.28 * np.float32(sky.bright)) * 0.6
    picture = sky.falling(picture)
    if rng.random() < 0.5:
        conditions.mood[str(rng.choice(MOODS))] = float(rng.uniform(0.4, 1.0))
        picture = _moody(np.clip(picture, 0, 1.2), conditions, rng)
    return np.asarray(np.clip(picture, 0, 1) ** (1 / 1.35) * 255, np.uint8), conditions
