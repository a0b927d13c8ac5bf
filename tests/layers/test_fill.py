import numpy as np
import pytest

from edge_runtime.config.scenes import FillConfig
from edge_runtime.layers.colours import bgr_from_oklab, oklab_from_rgb
from tests.layers.stage import Show, blank


def fill(style: str, **keys: object) -> FillConfig:
    return FillConfig.model_validate({"name": "f", "kind": "fill", "style": style, **keys})


def test_oklab_there_and_back_is_the_same_colour() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (200, 3))
    np.testing.assert_allclose(bgr_from_oklab(oklab_from_rgb(rgb))[:, ::-1], rgb, atol=0.6)
    np.testing.assert_allclose(oklab_from_rgb((255, 255, 255)), (1.0, 0.0, 0.0), atol=1e-3)


def test_solid_is_the_colour_in_the_order_of_the_screen() -> None:
    canvas = blank(40, 30)
    Show(fill("solid", colours=[(10, 20, 30)])).draw(canvas)
    assert (canvas[..., :3] == (30, 20, 10)).all()


@pytest.mark.parametrize("style", ["gradient", "aurora", "ink"])
def test_a_procedural_picture_moves_smoothly_and_faster_with_speed(style: str) -> None:
    travelled = {}
    for speed in (0.0, 1.0, 4.0):
        show, canvas = Show(fill(style, colours=[(0, 0, 0), (250, 240, 230)])), blank(192, 108)
        show.draw(canvas, speed=speed)
        first = canvas.astype(float)
        steps = []
        for _ in range(60):
            before = canvas.astype(float)
            show.draw(canvas, speed=speed)
            steps.append(np.abs(canvas.astype(float) - before).mean())
        travelled[speed] = np.abs(canvas.astype(float) - first).mean()
        assert max(steps) < 4.0, "no leap from one frame to the next"
    assert travelled[0.0] < 1.0
    assert travelled[1.0] < travelled[4.0]


@pytest.mark.parametrize("style", ["aurora", "ink"])
def test_changing_the_speed_never_makes_the_picture_leap(style: str) -> None:
    show, canvas = Show(fill(style)), blank(192, 108)
    show.play(canvas, 120, speed=4.0)
    before = canvas.astype(float)
    show.draw(canvas, speed=0.1)
    assert np.abs(canvas.astype(float) - before).mean() < 2.0


@pytest.mark.parametrize("style", ["aurora", "ink"])
def test_warmth_turns_blue_to_red(style: str) -> None:
    balance = []
    for warmth in (0.0, 0.5, 1.0):
        show, canvas = Show(fill(style)), blank(192, 108)
        show.draw(canvas, warmth=warmth)
        balance.append(float(canvas[..., 2].mean() - canvas[..., 0].mean()))
    assert balance[0] < 0.0 < balance[2]
    assert balance[1] < balance[2]


def test_energy_makes_the_aurora_brighter_without_a_step() -> None:
    show, canvas = Show(fill("aurora")), blank(192, 108)
    levels = []
    for energy in np.linspace(0.0, 1.0, 30):
        show.draw(canvas, energy=float(energy), speed=0.0)
        levels.append(float(canvas[..., :3].mean()))
    assert levels[-1] > 1.5 * levels[0]
    assert np.abs(np.diff(levels)).max() < 0.15 * (levels[-1] - levels[0])


def test_slow_gradients_have_no_bands() -> None:
    """The mean over time takes values between the steps of 8 bits: the dither is at work."""
    show = Show(fill("gradient", colours=[(20, 20, 20), (24, 24, 24)]))
    canvas, total = blank(64, 360), np.zeros(360)
    for _ in range(120):
        show.draw(canvas, speed=0.0, energy=0.0)
        total += canvas[:, :, 1].mean(axis=1)
    rows = total / 120
    assert np.abs(np.diff(rows)).max() < 0.15


def test_the_vignette_darkens_the_corners_and_leaves_the_middle() -> None:
    show, canvas = Show(fill("vignette")), blank(161, 91, 200)
    show.draw(canvas)
    assert canvas[45, 80, 0] == 200
    corners = [canvas[y, x, 0] for y in (0, -1) for x in (0, -1)]
    assert max(corners) < 100
    assert np.ptp(np.array(corners, int)) <= 2
