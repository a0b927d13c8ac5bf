"""What a box tells Prometheus: the statistics object as metrics. Pure.

Numbers, and the words of the config: names of parts, models, cameras, signals. Never the text of a signal, which a
visitor may have written, and no address of a camera. Units are base units; a count ends in `_total`; a figure that is
not known is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import Metric

PREFIX = "edge_runtime_"
STATES = ("starting", "up", "stale", "backoff", "failed", "stopped")
"""Of a part; see `children.State`."""
_MIB = 1024.0**2
_QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99", "p999": "0.999"}
_VITALS = {
    "device.temperature_c": ("temperature_celsius", "Warmest sensor, the card's included.", 1.0),
    "device.memory_free_mb": ("memory_available_bytes", "Memory that can be had without swapping.", _MIB),
    "device.vram_free_mb": ("vram_free_bytes", "Free memory of the graphics card.", _MIB),
    "governor.rung": ("governor_rung", "Rung of the quality ladder in use; 0 is the best.", 1.0),
}
"""Signals with a metric of their own: name, meaning, and its unit in the metric's."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release that a link names, or one that was rejected and when (Unix seconds)."""

    track: str
    release: str
    link: str = ""
    rejected_s: float = 0.0


class _Sheet:
    """Collects samples into families, in the order in which they come."""

    def __init__(self) -> None:
        self.families: dict[str, Metric] = {}

    def gauge(self, name: str, meaning: str, value: float | None, **labels: str) -> None:
        self._add("gauge", name, meaning, value, labels)

    def counter(self, name: str, meaning: str, value: float | None, **labels: str) -> None:
        self._add("counter", name, meaning, value, labels, "_total")

    def words(self, name: str, meaning: str, **labels: str) -> None:
        """Always 1: what is told are the labels."""
        self._add("gauge", f"{name}_info", meaning, 1.0, labels)

    def quantiles_ms(self, name: str, meaning: str, of: Mapping[str, float | None], **labels: str) -> None:
        for key, quantile in _QUANTILES.items():
            self._add(
                "summary", f"{name}_seconds", meaning, _scaled(of.get(key), 1e-3), {**labels, "quantile": quantile}
            )

    def _add(
        self,
        kind: Literal["gauge", "counter", "summary"],
        name: str,
        meaning: str,
        value: float | None,
        labels: dict[str, str],
        ending: str = "",
    ) -> None:
        if value is None:
            return
        family = self.families.setdefault(name, Metric(PREFIX + name, meaning, kind))
        family.add_sample(f"{PREFIX}{name}{ending}", labels, float(value))


def of_box(releases: Iterable[Release], certificates_end_s: Mapping[str, float]) -> Iterable[Metric]:
    """What the box tells whether or not the show runs: its releases, and when certificates end, in Unix seconds."""
    sheet = _Sheet()
    for each in releases:
        labels = {"track": each.track, "release": each.release}
        if each.link:
            sheet.words("release", "Which release a link names: what runs, what was proven.", link=each.link, **labels)
        else:
            meaning = "When a release was tried and rolled back."
            sheet.gauge("release_rejected_timestamp_seconds", meaning, each.rejected_s, **labels)
    for file, end_s in certificates_end_s.items():
        sheet.gauge("certificate_expiry_timestamp_seconds", "When a certificate ends.", end_s, file=file)
    return sheet.families.values()


def of_show(told: Mapping[str, Any] | None) -> Iterable[Metric]:
    """The statistics object (see `report.compose`) as metrics; None: the show does not answer."""
    sheet = _Sheet()
    sheet.gauge("up", "1 while the supervisor answers.", 0.0 if told is None else 1.0)
    if told is not None:
        _add_device(sheet, told)
        _add_frames(sheet, told)
        _add_parts(sheet, told)
        _add_models(sheet, told["models"])
        _add_cameras(sheet, told["cameras"])
        _add_signals(sheet, told["signals"])
    return sheet.families.values()


def _add_device(sheet: _Sheet, told: Mapping[str, Any]) -> None:
    sheet.words("device", "Which box this is and what runs on it.", device=told["device_id"], version=told["version"])
    display, scene, mqtt, start = (told[section] for section in ("display", "scene", "mqtt", "start"))
    if display:
        words = {key: str(display[key]) for key in ("kind", "driver", "pacer")}
        sheet.words("display", "How pictures reach the screen.", **words)
        sheet.gauge("display_refresh_hertz", "What the screen says it does.", display["refresh_hz"])
        sheet.gauge("display_realtime", "1 while the show has real-time priority.", display["realtime"])
    if scene:
        sheet.words("scene", "The scene on air.", scene=scene["name"])
        sheet.gauge("blackout", "1 while the screen is black by command.", scene["blackout"])
        sheet.gauge("brightness_ratio", "Brightness by command, 0 to 1.", scene["brightness"] / 100.0)
    sheet.gauge("mqtt_connected", "1 while the broker is there.", mqtt.get("connected"))
    sheet.counter("mqtt_reconnects", "Connections to the broker after the first.", mqtt.get("reconnects"))
    since = "seconds from the start of the supervisor."
    sheet.gauge("start_first_picture_seconds", f"First picture, {since}", start["first_picture_s"])
    sheet.gauge("start_first_model_frame_seconds", f"First model result shown, {since}", start["first_model_frame_s"])
    sheet.counter("governor_changes", "Steps on the quality ladder.", told["governor"].get("changes"))


def _add_frames(sheet: _Sheet, told: Mapping[str, Any]) -> None:
    frames, latency = told["frames"], told["latency_ms"]
    sheet.gauge("show_running_seconds", "Since the show began, which may be later than the box.", told["seconds"])
    if not frames:
        return
    sheet.counter("frames_due", "Frames that the screen should have had.", frames["due"])
    sheet.counter("frames_presented", "Frames presented.", frames["presented"])
    for blame in ("us", "world"):
        meaning = "Deadlines without a frame: slow drawing (us), or the machine was elsewhere (world)."
        sheet.counter("frames_missed", meaning, frames[f"late_by_{blame}"], late_by=blame)
    interval = frames["interval_ms"]
    sheet.quantiles_ms("frame_interval", "Between two presents, since the show began.", interval)
    sheet.gauge("frame_interval_max_seconds", "Longest time between two presents.", _scaled(interval["max"], 1e-3))
    for name in ("camera_to_present", "command_to_present"):
        sheet.quantiles_ms(name, f"From {name.partition('_')[0]} to the first picture of it.", latency[name])


def _add_parts(sheet: _Sheet, told: Mapping[str, Any]) -> None:
    memory_mb = {"show": told["memory_mb"]["show"], **told["memory_mb"]["parts"]}
    for name, part in told["parts"].items():
        for state in STATES:
            sheet.gauge("part_state", "1 for the state it is in.", part["state"] == state, part=name, state=state)
        sheet.counter("part_restarts", "Restarts since the supervisor began.", part["restarts"], part=name)
        mb = memory_mb.get(name)
        sheet.gauge("part_memory_bytes", "Private memory.", _scaled(mb, _MIB), part=name)


def _add_models(sheet: _Sheet, models: Mapping[str, Any]) -> None:
    for name, model in models.items():
        words = {key: str(model[key]) for key in ("bundle", "backend", "provider", "engine")}
        sheet.words("model", "What a model runs on, beside what its config asks for.", model=name, **words)
        sheet.counter("model_runs", "Runs since its worker began.", model["runs"], model=name)
        sheet.gauge("model_rate_hertz", "Runs a second, lately.", model["rate_hz"], model=name)
        meanings = {"task": "A run with all that goes with it", "run": "The network alone", "age": "Age of a result"}
        for key, meaning in meanings.items():
            sheet.quantiles_ms(f"model_{key}", f"{meaning}, over the last runs.", model[f"{key}_ms"], model=name)


def _add_cameras(sheet: _Sheet, cameras: Mapping[str, Any]) -> None:
    for name, camera in cameras.items():
        if not camera:  # it has not reported yet
            continue
        sheet.counter("camera_frames", "Frames taken.", camera["frames"], camera=name)
        sheet.gauge("camera_rate_hertz", "Frames a second, lately.", camera["rate_hz"], camera=name)
        sheet.counter("camera_reopened", "Times that it had to be opened again.", camera["reopened"], camera=name)
        sheet.gauge("camera_lost", "1 while it gives nothing.", camera["lost"], camera=name)
        sheet.gauge("camera_frozen", "1 while every frame is the same.", camera["frozen"], camera=name)
        sheet.gauge("camera_frame_age_seconds", "Age of its newest frame.", camera["age_s"], camera=name)


def _add_signals(sheet: _Sheet, signals: Mapping[str, Any]) -> None:
    for name, signal in signals.items():
        value = signal["value"] if isinstance(signal["value"], int | float) else None
        if name in _VITALS:
            metric, meaning, unit = _VITALS[name]
            sheet.gauge(metric, meaning, _scaled(value, unit))
        else:
            sheet.gauge("signal_value", "Value of a number or a yes; never a text.", value, signal=name)
            sheet.gauge("signal_age_seconds", "Since it was measured; absent until then.", signal["age_s"], signal=name)
            sheet.gauge("signal_stale", "1 while bindings show their fallback.", signal["stale"], signal=name)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else round(value * unit, 9)
