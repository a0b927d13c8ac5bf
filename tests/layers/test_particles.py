import numpy as np
import pytest

from edge_runtime.config.scenes import ParticlesConfig
from edge_runtime.layers import ParticlesLayer
from tests.layers.stage import RATE_HZ, Show, blank


def weather(preset: str, **keys: object) -> ParticlesConfig:
    return ParticlesConfig.model_validate({"name": "w", "kind": "particles", "preset": preset, **keys})


def alive(show: Show) -> int:
    assert isinstance(show.layer, ParticlesLayer)
    return show.layer.alive


def light(
    show: Show, width_px: int = 320, height_px: int = 180, **values: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    canvas = blank(width_px, height_px)
    show.draw(canvas, **values)
    return np.asarray(canvas[..., :3].sum(axis=2), np.float64)


def shift_of(
    before: np.ndarray[tuple[int, ...], np.dtype[np.float64]], after: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> tuple[int, int]:
    """By how many pixels (x, y) `before` was moved to look like `after`, by phase-free correlation."""
    spectrum = np.fft.fft2(after - after.mean()) * np.conj(np.fft.fft2(before - before.mean()))
    peak_y, peak_x = np.unravel_index(np.fft.ifft2(spectrum).real.argmax(), before.shape)
    height_px, width_px = before.shape
    return (int(peak_x) + width_px // 2) % width_px - width_px // 2, (
        int(peak_y) + height_px // 2
    ) % height_px - height_px // 2


@pytest.mark.parametrize(("preset", "sign"), [("rain", 1), ("snow", 1), ("sparks", -1)])
def test_rain_and_snow_fall_and_sparks_rise(preset: str, sign: int) -> None:
    show = Show(weather(preset))
    show.play(blank(32, 18), 150, rate=60.0, speed=2.0)
    before = light(show, rate=0.0, speed=2.0)
    for _ in range(3):
        after = light(show, rate=0.0, speed=2.0)
    _, down = shift_of(before, after)
    assert down * sign > 0


@pytest.mark.parametrize("wind", [-0.8, 0.8])
def test_wind_blows_the_rain_its_way_and_slants_the_streaks(wind: float) -> None:
    show = Show(weather("rain"))
    show.play(blank(32, 18), 90, rate=120.0, wind=wind)
    before = light(show, wind=wind)
    after = light(show, wind=wind)
    right, down = shift_of(before, after)
    assert down > 0
    assert right * wind > 0
    assert abs(right) / down == pytest.approx(0.6, abs=0.3)
    across, along = np.gradient(after)[1], np.gradient(after)[0]
    assert float((across * along).sum()) * wind < 0.0, "streaks lie along their way"


def test_the_rate_is_honoured_to_the_fraction() -> None:
    show = Show(weather("snow"))
    canvas = blank(32, 18)
    show.draw(canvas)  # the first frame has no step
    show.play(canvas, int(3 * RATE_HZ), rate=37.5)
    assert alive(show) == pytest.approx(112.5, abs=1)


@pytest.mark.parametrize("preset", ["rain", "snow", "sparks"])
def test_at_rate_zero_the_living_finish_and_none_follow(preset: str) -> None:
    show = Show(weather(preset))
    canvas = blank(32, 18)
    show.play(canvas, 60, rate=400.0, speed=4.0)
    before = alive(show)
    assert before > 60
    show.draw(canvas, rate=0.0, speed=4.0)
    assert alive(show) > 0.6 * before, "they are not cut off"
    show.play(canvas, 420, rate=0.0, speed=4.0)
    assert alive(show) == 0


def test_never_more_are_alive_than_the_limit() -> None:
    show = Show(weather("snow", limit=50))
    show.play(blank(32, 18), 120, rate=4000.0)
    assert alive(show) == 50


def test_more_rate_is_more_rain() -> None:
    totals = []
    for rate in (50.0, 400.0, 2000.0):
        show = Show(weather("rain"))
        show.play(blank(32, 18), 120, rate=rate)
        totals.append(light(show, rate=rate).sum())
    assert totals[0] * 3 < totals[1]
    assert totals[1] * 2 < totals[2]


@pytest.mark.parametrize("preset", ["rain", "snow"])
def test_weather_fills_the_canvas_evenly_even_in_wind(preset: str) -> None:
    show = Show(weather(preset))
    show.play(blank(32, 18), 400, rate=300.0, wind=0.9, speed=3.0)
    total = np.zeros((180, 320))
    for _ in range(60):
        total += light(show, rate=300.0, wind=0.9, speed=3.0)
    quarters = [total[:, i * 80 : (i + 1) * 80].mean() for i in range(4)]
    assert min(quarters) > 0.6 * max(quarters)


@pytest.mark.parametrize("preset", ["rain", "snow"])
def test_weather_is_seen_over_black_and_over_white(preset: str) -> None:
    for level in (0, 128, 255):
        show = Show(weather(preset))
        show.play(blank(32, 18), 200, rate=600.0, speed=2.0)
        canvas = blank(320, 180, level)
        show.draw(canvas, rate=600.0, speed=2.0)
        changed = np.abs(canvas[..., :3].astype(int) - level)
        assert changed.max() >= 10
        assert (changed > 3).mean() > 0.005


def test_sparks_only_add_light_and_it_is_warm() -> None:
    show = Show(weather("sparks"))
    show.play(blank(32, 18), 120, rate=500.0)
    canvas = blank(320, 180, 40)
    show.draw(canvas, rate=500.0)
    assert canvas[..., :3].min() >= 40
    assert canvas[..., 2].mean() > canvas[..., 1].mean() > canvas[..., 0].mean()


def test_the_weather_has_the_same_density_on_every_screen() -> None:
    shares = []
    for width_px, height_px in ((320, 180), (640, 360), (1280, 720)):
        show = Show(weather("snow"))
        show.play(blank(32, 18), 300, rate=100.0)
        shares.append(float(light(show, width_px, height_px, rate=100.0).mean()))
    assert max(shares) < 2.5 * min(shares)


def test_a_flake_glides_by_less_than_a_pixel() -> None:
    show = Show(weather("snow", limit=1))
    show.play(blank(32, 18), 60, rate=60.0, speed=4.0)
    rows = np.arange(360)[:, None]
    places = []
    for _ in range(40):
        flake = light(show, 640, 360, rate=0.0, speed=0.5)
        places.append(float((flake * rows).sum() / flake.sum()))
    steps = np.diff(places)
    assert steps.min() > 0.0
    assert steps.max() < 1.0
    assert steps.std() < 0.5 * steps.mean()


def test_sparks_come_from_where_they_are_told_to() -> None:
    show = Show(weather("sparks"))
    for _ in range(20):
        picture = light(show, rate=600.0, x=0.25, y=0.6, spread=0.1)
    columns, rows = picture.sum(axis=0), picture.sum(axis=1)
    assert abs(int(columns.argmax()) - 80) < 30
    assert 80 < int(rows.argmax()) < 125
    assert picture[:, 200:].sum() < 0.05 * picture.sum()
