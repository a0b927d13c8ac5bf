"""Text: words that cross-fade when they change."""

from collections.abc import Generator
from dataclasses import dataclass

from edge_runtime.clock import Timeline
from edge_runtime.config.scenes import TextConfig
from edge_runtime.layers.compose import smooth
from edge_runtime.lettering import Face, Sprite, Wording
from edge_runtime.scene import Canvas, Values

_MOST_SPRITES = 4
"""Sprites fading at once; words that change faster than they fade push the faintest out."""


@dataclass(slots=True)
class _Fading:
    """One setting of the words on its way in, or out when a later one has come."""

    text: str
    sprite: Sprite | None
    share: float = 0.0


class TextLayer:
    """Words on the canvas. A setting is made in slices, one a frame, then takes the place of the one before."""

    def __init__(self, config: TextConfig) -> None:
        self._config = config
        self._face = Face(config.font)
        self._setting: Generator[None, None, Sprite] | None = None
        self._wording: Wording | None = None
        """The words shown or in the making."""
        self._size_px = (0, 0)
        self._fading: list[_Fading] = []

    def render(self, canvas: Canvas, timeline: Timeline, values: Values) -> None:
        self._make(self._wanted(canvas, str(values["text"])), canvas)
        self._fade(timeline.step_s)
        opacity = float(values["opacity"])
        for fading in self._fading:
            if fading.sprite is not None:
                left_px, top_px = self._place(fading.sprite, canvas)
                fading.sprite.lay(canvas, left_px, top_px, opacity * smooth(fading.share))

    def _wanted(self, canvas: Canvas, text: str) -> Wording:
        height_px, width_px = canvas.shape[:2]
        config = self._config
        return Wording(
            text=text.strip(),
            line_px=max(6, round(config.size * height_px)),
            max_width_px=max(1, round(config.max_width * width_px)),
            weight=config.weight,
            colour=config.colour,
            shade=config.shade,
            anchor=config.anchor,
        )

    def _make(self, wanted: Wording, canvas: Canvas) -> None:
        """Work one slice on the setting; begin anew when other words are wanted and the last are done."""
        if self._size_px != canvas.shape[:2]:
            self._resize(canvas)
        if self._setting is None and wanted != self._wording:
            self._wording = wanted
            if not wanted.text:
                self._show("", None)
                return
            self._setting = self._face.set(wanted)
        if self._setting is not None:
            try:
                next(self._setting)
            except StopIteration as finished:
                self._setting = None
                self._show(self._wording.text if self._wording else "", finished.value)

    def _resize(self, canvas: Canvas) -> None:
        """Another canvas: what is there is scaled, and stays until the words are set anew in their right size."""
        share = canvas.shape[0] / self._size_px[0] if self._size_px[0] else 1.0
        for fading in self._fading:
            fading.sprite = fading.sprite.scaled(share) if fading.sprite else None
        self._size_px = canvas.shape[:2]
        self._setting, self._wording = None, None

    def _show(self, text: str, sprite: Sprite | None) -> None:
        if self._fading and self._fading[-1].text == text:  # the same words in another size do not fade
            self._fading[-1].sprite = sprite
        else:
            self._fading = [*self._fading, _Fading(text, sprite)][-_MOST_SPRITES:]

    def _fade(self, step_s: float) -> None:
        step = step_s / self._config.fade_s if self._config.fade_s > 0.0 else 1.0
        for fading in self._fading[:-1]:
            fading.share -= step
        for fading in self._fading[-1:]:
            fading.share = min(1.0, fading.share + step)
        self._fading = [fading for fading in self._fading[:-1] if fading.share > 0.0] + self._fading[-1:]

    def _place(self, sprite: Sprite, canvas: Canvas) -> tuple[int, int]:
        """Left and top of the sprite: its words hang at `at` by their anchor, centred in height."""
        height_px, width_px = canvas.shape[:2]
        x, y = self._config.at[0] * width_px, self._config.at[1] * height_px
        words_px = sprite.width_px - 2 * sprite.padding_px
        shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[self._config.anchor]
        return round(x - shift * words_px) - sprite.padding_px, round(y - sprite.height_px / 2.0)
