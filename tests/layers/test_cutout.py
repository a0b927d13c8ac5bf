import numpy as np
import pytest

from edge_runtime.config.scenes import CutoutConfig
from edge_runtime.layers import PictureSource
from edge_runtime.layout import slot_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.slots import SlotReader, SlotWriter
from tests.layers.stage import Show, blank


class Stencil:
    """A slot with a picture of one colour: opaque on the left, half seen in the middle, open on the right."""

    def __init__(self) -> None:
        memory = map_region(create_region("test", slot_bytes(60 * 30 * 4)))
        self._writer = SlotWriter(memory, 0)
        self.source = PictureSource(SlotReader(memory), 1 / 30)

    def write(self, level: int, now_s: float) -> None:
        picture = np.full((30, 60, 4), level, np.uint8)
        picture[:, :20, 3], picture[:, 20:40, 3], picture[:, 40:, 3] = 255, 128, 0
        self._writer.write(picture, now_s, now_s)


def opened(**keys: object) -> tuple[Show, Stencil]:
    stencil = Stencil()
    config = CutoutConfig.model_validate({"name": "c", "kind": "cutout", "source": "picture.p", "fade_s": 0, **keys})
    return Show(config, sources={"picture.p": stencil.source}), stencil


def drawn(show: Show, below: int = 40, width_px: int = 240, **values: float) -> list[int]:
    """The levels in the middle of the three parts."""
    canvas = blank(width_px, width_px // 2, below)
    show.draw(canvas, **values)
    row = canvas[width_px // 4, :, 1]
    return [int(row[width_px * part // 6]) for part in (1, 3, 5)]


def test_what_is_opaque_hides_what_is_half_seen_mixes_and_a_hole_shows_what_is_below() -> None:
    show, stencil = opened()
    stencil.write(200, show.clock.now_s())
    assert drawn(show) == pytest.approx([200, 120, 40], abs=1)
    assert drawn(show, opacity=0.5) == pytest.approx([120, 80, 40], abs=2)


def test_a_mirror_swaps_its_sides_and_a_box_holds_it() -> None:
    show, stencil = opened(mirror=True)
    stencil.write(200, show.clock.now_s())
    assert drawn(show) == pytest.approx([40, 120, 200], abs=1)
    show, stencil = opened(box=(0.0, 0.0, 0.5, 0.5))
    stencil.write(200, show.clock.now_s())
    assert drawn(show)[1:] == [40, 40]


def test_no_dark_fringe_lies_round_a_scaled_edge() -> None:
    show, stencil = opened()
    stencil.write(200, show.clock.now_s())
    canvas = blank(333, 171, 200)
    show.draw(canvas)
    assert canvas[..., :3].min() >= 197


def test_it_fades_away_when_its_source_is_stale_and_comes_back() -> None:
    show, stencil = opened(fade_s=0.5, stale_after_s=0.3)
    levels = []
    for frame in range(120):
        if frame < 40 or frame > 100:
            stencil.write(200, show.clock.now_s())
        levels.append(drawn(show)[0])
    assert levels[39] == 200
    assert max(abs(a - b) for a, b in zip(levels[1:], levels, strict=False)) < 12
    assert levels[95] == 40
    assert levels[-1] > 100
