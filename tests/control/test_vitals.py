from pathlib import Path

from edge_runtime.control.vitals import memory_free_mb, temperature_c


def test_the_warmest_plausible_sensor_counts(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    for zone, text in enumerate(("41500\n", "67250\n", "-273000\n", "asleep\n", "1000000\n")):
        folder = tmp_path / f"thermal_zone{zone}"
        folder.mkdir()
        (folder / "temp").write_text(text)
    assert temperature_c(tmp_path) == 67.25


def test_free_memory_is_what_the_kernel_calls_available(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemFree: 1024 kB\nMemAvailable:    2048000 kB\n")
    assert memory_free_mb(meminfo) == 2000.0
    assert memory_free_mb(tmp_path / "none") is None
    real_mb = memory_free_mb()
    assert real_mb is not None
    assert 1 < real_mb < 10_000_000
