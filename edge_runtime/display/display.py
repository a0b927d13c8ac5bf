"""What a display is, and which one is opened.

A display owns one screen. The show asks it for a canvas, draws every pixel, and presents; nothing but `present`
ever waits for the screen.
"""

import os
import re
import socket
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from edge_runtime import logs
from edge_runtime.clock import Clock
from edge_runtime.config import DisplayConfig
from edge_runtime.display.geometry import Size
from edge_runtime.display.headless import HeadlessDisplay
from edge_runtime.errors import DisplayError
from edge_runtime.scene import Canvas

DisplayEvent = Literal["quit"]
"""quit: somebody closed the window, or pressed Escape in it."""


class Display(Protocol):
    """One screen. Used from one thread: the one that opened it."""

    @property
    def kind(self) -> Literal["surface", "headless"]:
        """What was opened."""
        ...

    @property
    def driver(self) -> str:
        """Who shows the picture: x11, wayland, KMSDRM ... or none."""
        ...

    @property
    def refresh_hz(self) -> float | None:
        """The screen's rate: measured where it paces, else what it says of itself; None where it says nothing."""
        ...

    @property
    def pacer(self) -> Literal["vsync", "timer"]:
        """Who paces the loop. vsync: `present` blocks on the screen, use `vsync.VsyncFrames`; else `FrameClock`."""
        ...

    @property
    def screen_px(self) -> Size:
        """Width and height of the screen or window; may change in `pump`."""
        ...

    @property
    def canvas(self) -> Canvas:
        """What the next `present` shows. Valid until `present` or `pump`: never keep it.

        It may be the screen's own memory and its contents are anything: draw every pixel, every frame.
        """
        ...

    def present(self) -> None:
        """Show the canvas.

        Raises:
            DisplayError: the window or the screen is lost.
        """
        ...

    def set_brightness(self, percent: float) -> None:
        """Dim from the next canvas on; 0 is black."""
        ...

    def set_canvas_scale(self, factor: float) -> None:
        """Make the canvas `factor` times its configured size from the next one on; the window stays as it is."""
        ...

    def pump(self) -> list[DisplayEvent]:
        """Answer the window system, once a frame, between `present` and `canvas`."""
        ...

    def copy_presented(self, out: Canvas) -> None:
        """What the audience sees: the screen's pixels, turned and dimmed as shown, scaled to the size of `out`.

        Call it between `present` and the next drawing on the canvas.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_display(config: DisplayConfig, clock: Clock) -> Display:
    """Open the display that the config asks for; `auto` takes a screen where there is one, and says so where not.

    Raises:
        DisplayError: a surface was asked for and no screen can be opened.
    """
    if config.kind == "headless":
        return HeadlessDisplay(config, clock)
    try:
        return _open_surface(config, clock)
    except DisplayError as error:
        if config.kind == "surface":
            raise
        logs.event("display_headless", "warning", reason=str(error))
        return HeadlessDisplay(config, clock)


def screen_answers() -> bool:
    """True when somebody listens where DISPLAY or WAYLAND_DISPLAY points to on this machine. Never waits."""
    wayland = os.environ.get("WAYLAND_DISPLAY")
    if wayland and Path(os.environ.get("XDG_RUNTIME_DIR", "/run"), wayland).exists():
        return True
    number = re.fullmatch(r":(\d+)(?:\.\d+)?", os.environ.get("DISPLAY", ""))
    if number is None:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.0)
        return probe.connect_ex(f"/tmp/.X11-unix/X{number.group(1)}") == 0  # noqa: S108 - X's own place for it


def _open_surface(config: DisplayConfig, clock: Clock) -> Display:
    asked = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"))
    if not asked and not any(Path("/dev/dri").glob("card*")):
        raise DisplayError(
            "no screen: neither DISPLAY nor WAYLAND_DISPLAY is set and there is no /dev/dri/card*; "
            'start it under X or Wayland, or take display.kind = "headless"'
        )
    from edge_runtime.display.surface import SurfaceDisplay
    from edge_runtime.display.vsync import has_gpu

    return SurfaceDisplay(config, clock, gpu=has_gpu())
