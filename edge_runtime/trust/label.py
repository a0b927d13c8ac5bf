"""The visible AI label: drawn by the show after every layer, so no scene can hide it."""

from edge_runtime.config.device import LabelConfig
from edge_runtime.lettering import Face, Pixels, Sprite, Wording

_LINE = 0.0245  # height of its line, of the canvas' shorter side
_LEAST_LINE_PX = 9
_MARGIN = 0.022
_DARKNESS = 0.86  # of the plate: white words stay readable over white at the default opacity (contrast 4.6 : 1)


class Label:
    """A small pill in a corner. Set once for each size of the canvas."""

    def __init__(self, config: LabelConfig) -> None:
        self._config = config
        self._face = Face()
        self._sprite: Sprite | None = None
        self._size_px = (0, 0)

    def render(self, canvas: Pixels) -> None:
        """Draw the label in place, on (H, W, 4) uint8; nothing where the config has it off."""
        if not self._config.enabled:
            return
        height_px, width_px = canvas.shape[:2]
        if self._sprite is None or self._size_px != (height_px, width_px):
            self._sprite, self._size_px = self._set(min(height_px, width_px)), (height_px, width_px)
        margin_px = round(_MARGIN * min(height_px, width_px))
        vertical, _, horizontal = self._config.corner.partition("-")
        left_px = margin_px if horizontal == "left" else width_px - self._sprite.width_px - margin_px
        top_px = margin_px if vertical == "top" else height_px - self._sprite.height_px - margin_px
        self._sprite.lay(canvas, max(0, left_px), max(0, top_px), self._config.opacity)

    def _set(self, side_px: int) -> Sprite:
        line_px = max(_LEAST_LINE_PX, round(_LINE * side_px))
        wording = Wording(self._config.text, line_px, 1 << 20, weight=500, shade=_DARKNESS, pill=True)
        return self._face.set_now(wording)
