"""The sun and the clock of the place: the two things every box knows without a network. Pure, but for the time zone."""

import math
import time

from edge_runtime.config import SunConfig

_J2000_UNIX_S = 946_728_000.0  # 2000-01-01 12:00 UTC
_DAY_S = 86_400.0
_TWILIGHT_DEG = 6.0
"""Civil twilight ends when the sun is so far below the horizon: lamps are needed from then on."""


def sun_elevation_deg(latitude_deg: float, longitude_deg: float, unix_s: float) -> float:
    """Height of the sun's middle above the horizon, degrees, -90 to 90; north and east are positive.

    Without refraction, which lifts the sun by half a degree at the horizon and by nothing higher up.

    Source:
        J. Meeus, Astronomical Algorithms, 2nd ed., chapters 12, 13 and 25 (low accuracy, 0.01 degrees between 1950
        and 2050): the formulas of NOAA's solar calculator.
    """
    days = (unix_s - _J2000_UNIX_S) / _DAY_S
    declination, right_ascension = _sun(days / 36_525.0)
    # Greenwich mean sidereal time; the equation of the equinoxes is below 0.005 degrees.
    sidereal_deg = 280.46061837 + 360.98564736629 * days
    hour_angle = math.radians(sidereal_deg + longitude_deg) - right_ascension
    latitude = math.radians(latitude_deg)
    sine = math.sin(latitude) * math.sin(declination)
    sine += math.cos(latitude) * math.cos(declination) * math.cos(hour_angle)
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def _sun(centuries: float) -> tuple[float, float]:
    """Apparent declination and right ascension in radians; `centuries` of 36525 days since J2000."""
    t = centuries
    mean_longitude_deg = 280.46646 + t * (36_000.76983 + t * 0.0003032)
    anomaly = math.radians(357.52911 + t * (35_999.05029 - t * 0.0001537))
    centre_deg = (
        (1.914602 - t * (0.004817 + t * 0.000014)) * math.sin(anomaly)
        + (0.019993 - t * 0.000101) * math.sin(2 * anomaly)
        + 0.000289 * math.sin(3 * anomaly)
    )
    node = math.radians(125.04 - 1934.136 * t)
    longitude = math.radians(mean_longitude_deg + centre_deg - 0.00569 - 0.00478 * math.sin(node))
    obliquity = math.radians(23.4392911 - 0.0130042 * t + 0.00256 * math.cos(node))
    declination = math.asin(math.sin(obliquity) * math.sin(longitude))
    right_ascension = math.atan2(math.cos(obliquity) * math.sin(longitude), math.cos(longitude))
    return declination, right_ascension


def daylight(elevation_deg: float) -> float:
    """How much day it is: 0 from the end of civil twilight on, 1 from the same height above, smooth in between."""
    part = min(1.0, max(0.0, (elevation_deg + _TWILIGHT_DEG) / (2 * _TWILIGHT_DEG)))
    return part * part * (3.0 - 2.0 * part)


def clock_signals(unix_s: float, sun: SunConfig | None = None) -> dict[str, float]:
    """The signals of clock and sun at one moment, by the box's own time zone; no sun.* where the place is unknown."""
    local = time.localtime(unix_s)
    hour = local.tm_hour + local.tm_min / 60.0 + (local.tm_sec + unix_s % 1.0) / 3600.0
    signals = {"clock.hour": hour, "clock.day_fraction": hour / 24.0}
    if sun is not None:
        elevation_deg = sun_elevation_deg(sun.latitude_deg, sun.longitude_deg, unix_s)
        signals |= {"sun.elevation_deg": elevation_deg, "sun.daylight": daylight(elevation_deg)}
    return signals
