import calendar
import itertools
import os
import time
from collections.abc import Iterator

import pytest

from edge_runtime.config import SunConfig
from edge_runtime.inputs.sun import clock_signals, daylight, sun_elevation_deg


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return float(calendar.timegm((year, month, day, hour, minute, second)))


def highest_deg(latitude_deg: float, year: int, month: int, day: int) -> float:
    midnight_s = utc(year, month, day)
    return max(sun_elevation_deg(latitude_deg, 0.0, midnight_s + minute * 60) for minute in range(24 * 60))


@pytest.fixture
def in_kolkata() -> Iterator[None]:
    """UTC+5:30, without summer time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Asia/Kolkata"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def test_the_worked_example_of_the_solar_position_algorithm() -> None:
    """Source: Reda and Andreas, NREL/TP-560-34302, appendix A.5: 39.872 degrees above the horizon, refraction aside."""
    assert sun_elevation_deg(39.742476, -105.1786, utc(2003, 10, 17, 19, 30, 30)) == pytest.approx(39.872, abs=0.01)


def test_the_sun_is_overhead_at_the_equator_on_the_equinox() -> None:
    assert highest_deg(0.0, 2024, 3, 20) > 89.8


@pytest.mark.parametrize(("month", "declination_deg"), [(6, 23.44), (12, -23.44)])
@pytest.mark.parametrize("latitude_deg", [51.4769, -33.87, 0.0])
def test_the_solstices_give_the_tilt_of_the_earth(latitude_deg: float, month: int, declination_deg: float) -> None:
    expected_deg = 90.0 - abs(latitude_deg - declination_deg)
    assert highest_deg(latitude_deg, 2024, month, 21 if month == 12 else 20) == pytest.approx(expected_deg, abs=0.05)


@pytest.mark.parametrize(("hour", "minute"), [(3, 43), (20, 21)])
def test_the_sun_rises_and_sets_in_london_when_the_almanac_says(hour: int, minute: int) -> None:
    """2024-06-21: 04:43 and 21:21 summer time. The almanac counts the upper edge, refracted: -0.833 degrees."""
    assert sun_elevation_deg(51.5074, -0.1278, utc(2024, 6, 21, hour, minute)) == pytest.approx(-0.833, abs=0.1)


def test_the_sun_does_not_rise_in_tromso_at_christmas() -> None:
    highest = max(sun_elevation_deg(69.65, 18.96, utc(2024, 12, 24) + minute * 60) for minute in range(24 * 60))
    assert -5.0 < highest < -2.0


def test_daylight_goes_smoothly_from_night_to_day_around_the_horizon() -> None:
    assert daylight(-90) == daylight(-6) == 0.0
    assert daylight(0) == 0.5
    assert daylight(6) == daylight(90) == 1.0
    levels = [daylight(tenth / 10) for tenth in range(-70, 71)]
    assert levels == sorted(levels)
    assert max(after - before for before, after in itertools.pairwise(levels)) < 0.02


@pytest.mark.usefixtures("in_kolkata")
def test_the_clock_is_the_boxes_own() -> None:
    signals = clock_signals(utc(2024, 6, 21, 18, 45, 36))
    assert signals == {"clock.hour": pytest.approx(0.26), "clock.day_fraction": pytest.approx(0.26 / 24)}


def test_the_sun_is_told_where_the_place_is_known() -> None:
    noon_s = utc(2024, 6, 21, 12, 0)
    signals = clock_signals(noon_s, SunConfig(latitude_deg=51.5, longitude_deg=0.0))
    assert signals["sun.elevation_deg"] == sun_elevation_deg(51.5, 0.0, noon_s)
    assert signals["sun.daylight"] == 1.0
