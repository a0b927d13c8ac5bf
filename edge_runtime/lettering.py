"""Lettering: words become sprites, pictures of their own with soft edges, kept until the words change.

Setting words takes milliseconds the first time a size is used, so it is done in slices that fit between frames;
laying a sprite down takes a fraction of one.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.errors import ConfigError

Pixels = npt.NDArray[np.uint8]
Anchor = Literal["left", "centre", "right"]

BUILT_IN_FACE = "sans"
"""Rubik, a variable face inside OpenCV; other scripts come from the Unicode face beside it."""
_EM = 0.8  # size of the letters, of the height of a line
_ASCENT = 0.78  # baseline below the top of a line, of its height
_MOST_LETTERS, _MOST_LINES = 400, 8
_MOST_WIDTHS = 2.0  # a line of one long word, of the width asked for; with the two above it bounds every sprite


@dataclass(frozen=True, slots=True)
class Wording:
    """Words and how they are to look. Lengths in pixels, colour as red, green, blue."""

    text: str
    line_px: int
    """Distance of one line to the next."""
    max_width_px: int
    weight: int = 400
    colour: tuple[int, int, int] = (255, 255, 255)
    shade: float = 0.0
    """Darkness of the plate behind the words; 0: only a soft shadow."""
    anchor: Anchor = "centre"
    pill: bool = False
    """A small crisp plate with round ends instead of a soft one."""


class Sprite:
    """A picture with transparency, ready to be laid down. Immutable."""

    def __init__(self, colour: Pixels, cover: Pixels, padding_px: int) -> None:
        """`colour` (h, w, 4) already weighed by `cover` (h, w), 255 where nothing shines through."""
        self.colour = colour
        self._clear: Pixels = cv2.cvtColor(cv2.bitwise_not(cover), cv2.COLOR_GRAY2BGRA)  # type: ignore[assignment]
        self.height_px, self.width_px = cover.shape
        self.padding_px = padding_px
        """Room for plate and shadow around the words, inside the sprite."""

    def scaled(self, share: float) -> "Sprite":
        """The same picture, `share` times as large."""
        size = max(1, round(self.width_px * share)), max(1, round(self.height_px * share))
        cover = cv2.bitwise_not(cv2.resize(self._clear[..., 0], size, interpolation=cv2.INTER_LINEAR))
        colour = cv2.resize(self.colour, size, interpolation=cv2.INTER_LINEAR)
        return Sprite(colour, cover, round(self.padding_px * share))  # type: ignore[arg-type]

    def lay(self, canvas: Pixels, left_px: int, top_px: int, opacity: float = 1.0) -> None:
        """Blend over the canvas; what lies outside is cut off."""
        x0, y0 = max(0, left_px), max(0, top_px)
        x1, y1 = min(canvas.shape[1], left_px + self.width_px), min(canvas.shape[0], top_px + self.height_px)
        if opacity <= 0.0 or x0 >= x1 or y0 >= y1:
            return
        part = (slice(y0 - top_px, y1 - top_px), slice(x0 - left_px, x1 - left_px))
        colour, clear = self.colour[part], self._clear[part]
        if opacity < 1.0:
            colour = cv2.convertScaleAbs(colour, alpha=opacity)  # type: ignore[assignment]
            clear = cv2.convertScaleAbs(clear, alpha=opacity, beta=255.0 * (1.0 - opacity))  # type: ignore[assignment]
        view = canvas[y0:y1, x0:x1]
        cv2.multiply(view, clear, dst=view, scale=1.0 / 255.0)
        cv2.add(view, colour, dst=view)


class Face:
    """A typeface. Not shared between threads.

    Raises:
        ConfigError: the file is no font that can be read.
    """

    def __init__(self, font: str | None = None) -> None:
        self._face = cv2.FontFace(BUILT_IN_FACE)
        if font is not None and not self._face.set(font):
            raise ConfigError(f"font = {font!r}: cannot be read as a font; expected the path of a TrueType file")
        # The first words of a process unpack the Unicode face, 20 ms: now, not between two frames.
        self.width_px("0", 16, 400)

    def width_px(self, text: str, em_px: int, weight: int) -> int:
        """Width of one line."""
        left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), self._face, em_px, weight)
        return int(left + width)

    def wrap(self, text: str, em_px: int, weight: int, max_width_px: int) -> list[str]:
        """Lines no wider than `max_width_px`, broken between words; a longer word has a line to itself.

        Words may come from anybody: 8 lines and 400 letters at most, and a word of twice the width is cut there.
        """
        lines: list[str] = []
        for paragraph in text[:_MOST_LETTERS].split("\n")[:_MOST_LINES]:
            line = ""
            for word in paragraph.split():
                longer = f"{line} {word}" if line else word
                if line and self.width_px(longer, em_px, weight) > max_width_px:
                    lines.append(line)
                    longer = word
                line = longer
            lines.append(line)
        return [self._cut(line, em_px, weight, _MOST_WIDTHS * max_width_px) for line in lines[:_MOST_LINES]]

    def _cut(self, line: str, em_px: int, weight: int, most_px: float) -> str:
        while len(line) > 1 and (width_px := self.width_px(line, em_px, weight)) > most_px:
            line = line[: max(1, min(len(line) - 1, int(len(line) * most_px / width_px)))]
        return line

    def set_now(self, wording: Wording) -> Sprite:
        """Make the sprite at once, where there is no frame to be late for."""
        setting = self.set(wording)
        while True:
            try:
                next(setting)
            except StopIteration as finished:
                sprite: Sprite = finished.value
                return sprite

    def set(self, wording: Wording) -> Generator[None, None, Sprite]:
        """Make the sprite of `wording`; every step takes about as long as one line takes to draw."""
        em_px = max(4, round(wording.line_px * _EM))
        lines = self.wrap(wording.text, em_px, wording.weight, wording.max_width_px)
        yield
        widths = [self.width_px(line, em_px, wording.weight) for line in lines]
        padding = round(wording.line_px * (0.42 if wording.pill else 0.75))
        inner = max(1, *widths)
        ink = np.zeros((wording.line_px * len(lines) + 2 * padding, inner + 2 * padding), np.uint8)
        if wording.pill:
            ink = ink[round(0.7 * padding) : -round(0.7 * padding)]
        baseline = (ink.shape[0] - wording.line_px * len(lines)) // 2 + round(_ASCENT * wording.line_px)
        for row, (line, width) in enumerate(zip(lines, widths, strict=True)):
            yield
            space = {"left": 0, "centre": (inner - width) // 2, "right": inner - width}[wording.anchor]
            place = (padding + space, baseline + row * wording.line_px)
            # wrapping is ours: cv2's own would break a line where its picture ends
            cv2.putText(
                ink, line, place, (255,), self._face, em_px, wording.weight, cv2.PUT_TEXT_ALIGN_LEFT, (0, 1 << 20)
            )
        yield
        dark = _pill(ink, wording) if wording.pill else _shadow(ink, wording, padding)
        yield
        red, green, blue = (cv2.convertScaleAbs(ink, alpha=value / 255.0) for value in wording.colour)
        colour: Pixels = cv2.merge([blue, green, red, red])  # type: ignore[assignment]
        yield
        beneath = cv2.multiply(dark, cv2.bitwise_not(ink), scale=1.0 / 255.0)
        cover: Pixels = cv2.add(ink, beneath)  # type: ignore[assignment]
        yield
        return Sprite(colour, cover, padding)


def _shadow(ink: Pixels, wording: Wording, padding_px: int) -> Pixels:
    """(h, w) darkness behind the words: a soft shadow that follows the letters, and the plate."""
    shrink = max(1, wording.line_px // 16)
    small = cv2.resize(ink, None, fx=1.0 / shrink, fy=1.0 / shrink, interpolation=cv2.INTER_AREA)
    blur_px = 0.11 * wording.line_px / shrink
    soft = cv2.convertScaleAbs(cv2.GaussianBlur(small, (0, 0), blur_px), alpha=0.95)
    if wording.shade > 0.0:
        edge = round(padding_px * 0.62 / shrink)
        plate: Pixels = np.zeros_like(small, np.uint8)
        plate[edge : max(edge + 1, plate.shape[0] - edge), edge : max(edge + 1, plate.shape[1] - edge)] = round(
            255 * wording.shade
        )
        soft = cv2.max(cv2.GaussianBlur(plate, (0, 0), max(0.5, 0.16 * wording.line_px / shrink)), soft)
    return cv2.resize(soft, (ink.shape[1], ink.shape[0]), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def _pill(ink: Pixels, wording: Wording) -> Pixels:
    """(h, w) darkness of a plate with round ends, smooth at the edge."""
    height, width = ink.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    radius = height / 2.0
    away = np.hypot(np.maximum(radius - x, x - (width - radius)).clip(0.0), y - radius)
    cover: Pixels = (255.0 * wording.shade * np.clip(radius - away, 0.0, 1.0)).astype(np.uint8)
    return cover
