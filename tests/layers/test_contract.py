import numpy as np
import pytest
from pydantic import TypeAdapter

from edge_runtime.config.scenes import AnyLayerConfig
from tests.layers.stage import Show, Slot, blank

SIZES = [(320, 180), (121, 203), (333, 77)]
KINDS: dict[str, dict[str, object]] = {
    "picture": {"kind": "picture", "source": "camera.main", "fade_s": 0.1},
    "cutout": {"kind": "cutout", "source": "camera.main", "fade_s": 0.1},
    "picture-contain": {"kind": "picture", "source": "camera.main", "fit": "contain", "zoom": 1.3, "mirror": True},
    "picture-box": {"kind": "picture", "source": "camera.main", "box": (0.5, 0.5, 1.0, 1.0), "saturation": 0.2},
    "procedural": {"kind": "picture", "source": "procedural"},
    "solid": {"kind": "fill", "style": "solid", "colours": [(200, 40, 10)]},
    "gradient": {"kind": "fill", "style": "gradient", "colours": [(200, 40, 10), (10, 40, 200)]},
    "aurora": {"kind": "fill", "style": "aurora"},
    "ink": {"kind": "fill", "style": "ink"},
    "vignette": {"kind": "fill", "style": "vignette"},
    "text": {"kind": "text", "text": "Größer als das Bild: 12 °C", "shade": 0.4, "size": 0.2},
    "rain": {"kind": "particles", "preset": "rain", "rate": 800, "wind": -0.7},
    "snow": {"kind": "particles", "preset": "snow", "rate": 800, "speed": 4.0},
    "sparks": {"kind": "particles", "preset": "sparks", "rate": 800},
}
LAYER = TypeAdapter[AnyLayerConfig](AnyLayerConfig)


def open_show(kind: str, seed: int = 7) -> tuple[Show, Slot]:
    slot = Slot()
    return Show(
        LAYER.validate_python({"name": kind, **KINDS[kind]}), sources={"camera.main": slot.source}, seed=seed
    ), slot


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_draws_on_canvases_of_any_shape_even_when_it_changes_in_mid_run(kind: str) -> None:
    show, slot = open_show(kind)
    for width_px, height_px in [*SIZES, SIZES[0]]:
        canvas = blank(width_px, height_px, 128)
        for _ in range(45):
            slot.write(220, show.clock.now_s())
            show.draw(canvas)
        assert canvas.shape == (height_px, width_px, 4)
        assert (canvas[..., :3] != 128).any(), f"{kind} left {width_px}x{height_px} untouched"


@pytest.mark.parametrize("kind", KINDS)
def test_at_opacity_zero_nothing_is_drawn(kind: str) -> None:
    show, slot = open_show(kind)
    canvas = np.random.default_rng(1).integers(0, 255, (90, 160, 4), dtype=np.uint8)
    before = canvas.copy()
    for _ in range(30):
        slot.write(220, show.clock.now_s())
        show.draw(canvas, opacity=0.0)
    np.testing.assert_array_equal(canvas, before)


@pytest.mark.parametrize("kind", KINDS)
def test_half_opacity_lies_between_nothing_and_all(kind: str) -> None:
    changes = []
    for opacity in (0.5, 1.0):
        show, slot = open_show(kind)
        for _ in range(40):
            slot.write(220, show.clock.now_s())
            canvas = blank(160, 90, 100)
            show.draw(canvas, opacity=opacity)
        changes.append(np.abs(canvas[..., :3].astype(int) - 100).mean())
    assert 0.2 * changes[1] < changes[0] < 0.8 * changes[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same_frames(kind: str) -> None:
    pictures = []
    for _ in range(2):
        show, slot = open_show(kind, seed=3)
        canvas = blank(160, 90, 60)
        for _ in range(20):
            slot.write(90, show.clock.now_s())
            show.draw(canvas)
        pictures.append(canvas[..., :3].copy())
    np.testing.assert_array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_canvas_whose_rows_are_padded_is_drawn_on_in_place(kind: str) -> None:
    show, slot = open_show(kind)
    memory = blank(200, 90, 50)
    for _ in range(40):
        slot.write(220, show.clock.now_s())
        show.draw(memory[:, :160])
    assert (memory[:, :160, :3] != 50).any()
    assert (memory[:, 160:] == 50).all()
