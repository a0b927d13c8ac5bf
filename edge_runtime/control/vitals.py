"""How warm the box is and how much memory is left, as the kernel tells."""

import contextlib
from pathlib import Path

THERMAL = Path("/sys/class/thermal")
MEMORY = Path("/proc/meminfo")


def temperature_c(folder: Path = THERMAL) -> float | None:
    """The warmest sensor; None where there is none. Source: Documentation/driver-api/thermal/sysfs-api.rst."""
    readings = []
    for zone in folder.glob("thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError):  # sensors of sleeping devices refuse
            readings.append(int(zone.read_text()) / 1000.0)
    plausible = [reading for reading in readings if -40.0 < reading < 150.0]
    return max(plausible, default=None)


def memory_free_mb(path: Path = MEMORY) -> float | None:
    """Memory that can be had without swapping, in MB; None where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 1024.0
    return None
