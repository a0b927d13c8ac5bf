"""Which source a camera's config means. A new kind of camera is one class and one `case` here."""

from pathlib import Path

from edge_runtime.config import CameraConfig
from edge_runtime.errors import InputError
from edge_runtime.inputs.address import redact
from edge_runtime.inputs.capture import DeviceSource, NetworkSource
from edge_runtime.inputs.paced import FileSource, SyntheticSource
from edge_runtime.inputs.pipe import PipeSource
from edge_runtime.inputs.source import Source

KNOWN = "synthetic, device:0, /dev/v4l/by-id/..., file:clip.mp4, rtsp://..., http://..."


def open_source(config: CameraConfig, *, seed: int = 0) -> Source:
    """Open the source of one camera; the caller closes it. `seed` is the synthetic picture's.

    Raises:
        InputError: it cannot be opened. The message carries no secret.
    """
    if config.pipe:
        return PipeSource(config.pipe, size_px=config.size_px)
    kind, _, rest = (config.source or "").partition(":")
    match kind:
        case "synthetic":
            return SyntheticSource(size_px=config.size_px, rate_hz=config.rate_hz, seed=seed, still=config.still)
        case "file":
            return FileSource(Path(rest))
        case "device":
            return DeviceSource(config, Path(f"/dev/video{rest}" if rest.isdigit() else rest))
        case "rtsp" | "rtsps" | "http" | "https" | "udp":
            return NetworkSource(config.source or "")
        case _ if kind.startswith("/dev/"):
            return DeviceSource(config, Path(config.source or ""))
        case _:
            raise InputError(f"source = {show_source(config)!r} is no camera; known: {KNOWN}")


def show_source(config: CameraConfig) -> str:
    """The source as it may be shown: without secrets, and a program without its arguments."""
    return f"pipe {config.pipe[0]}" if config.pipe else redact(config.source or "")
