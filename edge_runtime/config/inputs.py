"""What comes in: cameras, signals, the sun, a recording."""

from typing import Literal

from pydantic import Field, model_validator

from edge_runtime.config.base import Name, Rate, SignalName, SizePx, Strict, Unit

SOURCES = ("synthetic", "device", "file", "rtsp", "rtsps", "http", "https", "udp")
"""What a camera's source begins with; or the path of a device."""


class CameraConfig(Strict):
    """A moving picture from outside. Exactly one of `source` and `pipe`.

    Secrets belong in the environment: `rtsp://${FOYER_USER}:${FOYER_PASSWORD}@10.0.0.7/stream`.
    """

    name: Name = "main"
    source: str | None = Field(
        None, description="synthetic | device:0 | /dev/v4l/by-id/... | file:clip.mp4 | rtsp://... | http://..."
    )
    pipe: list[str] | None = Field(
        None, min_length=1, description="argv of a program that writes raw BGR frames to stdout"
    )
    size_px: SizePx = (640, 360)
    rate_hz: Rate = 30.0
    fourcc: str | None = Field(None, min_length=4, max_length=4)
    controls: dict[str, float] = Field({}, description="OpenCV names without CAP_PROP_: exposure, gain, auto_wb ...")
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    crop: tuple[Unit, Unit, Unit, Unit] = Field(
        (0, 0, 1, 1), description="left, top, right, bottom, 0-1 of the picture"
    )
    still: bool = Field(False, description="synthetic only: stands still, with sensor noise")

    @model_validator(mode="after")
    def _one_source(self) -> "CameraConfig":
        if (self.source is None) == (self.pipe is None):
            raise ValueError("give either source or pipe")
        kind = (self.source or "").partition(":")[0]
        if self.source is not None and kind not in SOURCES and not kind.startswith("/dev/"):
            raise ValueError(
                f".source = {self.source!r}: expected synthetic, device:0, /dev/v4l/by-id/..., file:clip.mp4, "
                "rtsp://... or http://..."
            )
        left, top, right, bottom = self.crop
        if right <= left or bottom <= top:
            raise ValueError(f"crop {self.crop} is empty: left < right and top < bottom are needed")
        return self


class SignalConfig(Strict):
    """A named value from the venue: a topic filter and a JSON pointer into its payload; or what a model sees."""

    name: SignalName
    mqtt: str | None = Field(None, min_length=1, description="topic filter; + and # allowed")
    model: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9_-]*\.[a-z0-9][a-z0-9_.-]*$", description="MODEL.READING, e.g. people.count"
    )
    pointer: str = Field("", pattern=r"^(/.*)?$", description="JSON pointer (RFC 6901); empty: the whole payload")
    type: Literal["number", "text", "vector"] = "number"
    unit: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    stale_after_s: float = Field(60.0, gt=0)
    fallback: float | str | list[float] = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> "SignalConfig":
        if self.range[0] >= self.range[1]:
            raise ValueError(f"range {self.range} is empty: the first must be smaller")
        if self.mqtt and self.model:
            raise ValueError("give either mqtt or model: a signal has one source")
        return self


class SunConfig(Strict):
    """Where the box stands: gives the signals sun.elevation_deg and sun.daylight."""

    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)


class ReplayConfig(Strict):
    """A recording of venue messages, played as if they came now."""

    file: str = Field(min_length=1)
    loop: bool = True
    speed: float = Field(1.0, gt=0, le=1000)
