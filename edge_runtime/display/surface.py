"""A window or a fullscreen picture through pygame, drawn by the CPU. The only importer of pygame.

`pygame.init` is never called: it opens the sound card. Fullscreen is always asked for with size (0, 0): without a
window manager SDL leaves a smaller window smaller and crops the picture. Where SDL does not ask RandR, all outputs of
an X server are one screen to it. Source: measured, SDL 2.28 on X11.
"""

import os
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from edge_runtime.clock import Clock
from edge_runtime.config import DisplayConfig
from edge_runtime.display import sdl
from edge_runtime.display.geometry import Painter, Size, copy_scaled, turned
from edge_runtime.display.vsync import FLIPS, judge_vsync
from edge_runtime.errors import DisplayError
from edge_runtime.scene import Canvas

os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"  # pygame greets on stdout while it is imported
import pygame

_BGRX_MASKS = (0xFF0000, 0xFF00, 0xFF)
_NO_SCREENS = {"dummy", "evdev", "offscreen"}
"""SDL's drivers that show nothing; SDL takes `offscreen` by itself where it finds no screen."""


class SurfaceDisplay:
    """One window. SDL has one per process, so there is one of these at a time."""

    kind: Literal["surface"] = "surface"

    def __init__(self, config: DisplayConfig, clock: Clock, *, gpu: bool) -> None:
        self._config = config
        self._screen = 0 if config.screen == "all" else config.screen
        self._drawn: Canvas | None = None  # the screen's memory while somebody draws in it
        vsync_hz = self._open_vsync(clock) if config.vsync and gpu else None
        self.pacer: Literal["vsync", "timer"] = "timer" if vsync_hz is None else "vsync"
        if vsync_hz is None:
            self._open(accelerated=False)
        self.refresh_hz = vsync_hz or sdl.refresh_hz(self._screen)
        self.driver = pygame.display.get_driver()
        self._painter = Painter(config, self._surface.get_size())
        # A screen of another layout (16 bit, RGBX) gets its picture by way of this array and SDL's conversion.
        self._shadow = None if self._is_bgrx() else self._black(self.screen_px)

    def _open_vsync(self, clock: Clock) -> float | None:
        """Open the accelerated path and keep it only where it truly blocks on the screen: its rate, else None."""
        try:
            self._open(accelerated=True)
            flips_s = []
            for _ in range(FLIPS + 1):
                pygame.display.flip()
                flips_s.append(clock.now_s())
        except (pygame.error, DisplayError):
            return None
        if sdl.swap_interval() == 0:
            return None
        return judge_vsync(np.diff(flips_s).tolist(), sdl.refresh_hz(self._screen))

    def _open(self, *, accelerated: bool) -> None:
        pygame.display.quit()
        _set_hints(accelerated=accelerated, windowed=self._config.windowed)
        os.environ["SDL_VIDEO_X11_XRANDR"] = "0" if self._config.screen == "all" else "1"
        try:
            pygame.display.init()
            driver = pygame.display.get_driver()
            if driver in _NO_SCREENS and os.environ.get("SDL_VIDEODRIVER") != driver:
                raise DisplayError(f"no screen: SDL has only its {driver!r} driver; {_asked()}")
            self._surface = self._open_window()
        except pygame.error as error:
            pygame.display.quit()
            raise DisplayError(f"no screen: SDL says {str(error)!r}; {_asked()}") from error
        except DisplayError:
            pygame.display.quit()
            raise
        pygame.display.set_caption("edge-runtime")
        pygame.display.set_allow_screensaver(False)
        pygame.mouse.set_visible(self._config.show_cursor)
        pygame.event.set_blocked(None)
        pygame.event.set_allowed([pygame.QUIT, pygame.KEYDOWN])

    def _open_window(self) -> pygame.Surface:
        config = self._config
        screens = pygame.display.get_num_displays()
        if self._screen >= screens:
            are = "is" if screens == 1 else "are"
            raise DisplayError(f"display.screen = {self._screen}: there {are} {screens}, counted from 0")
        if not config.windowed:
            return pygame.display.set_mode((0, 0), pygame.FULLSCREEN, display=self._screen)
        window_px = config.window_px or turned(config.canvas_px, config.rotation)
        return pygame.display.set_mode(window_px, pygame.RESIZABLE, display=self._screen)

    def _is_bgrx(self) -> bool:
        return self._surface.get_bytesize() == 4 and tuple(self._surface.get_masks()[:3]) == _BGRX_MASKS

    @staticmethod
    def _black(size_px: Size) -> Canvas:
        return np.zeros((size_px[1], size_px[0], 4), np.uint8)

    def _pixels(self) -> Canvas:
        """The screen's memory, or what stands for it. SDL keeps it locked while the view lives."""
        if self._shadow is not None:
            return self._shadow
        width, height = self.screen_px
        pitch = self._surface.get_pitch()
        memory: Any = self._surface.get_buffer()  # a buffer by PEP 3118, which its stubs do not say
        return np.frombuffer(memory, np.uint8).reshape(height, pitch // 4, 4)[:, :width]

    @property
    def screen_px(self) -> Size:
        return self._painter.screen_px

    @property
    def canvas(self) -> Canvas:
        # A window that is resized gets new memory under a canvas that somebody may still hold.
        if self._painter.is_direct and self._shadow is None and not self._config.windowed:
            if self._drawn is None:
                self._drawn = self._pixels()
            return self._drawn
        return self._painter.canvas

    def present(self) -> None:
        if self._drawn is None:
            self._painter.paint(self._pixels())
        self._drawn = None
        try:
            if self._shadow is not None:
                pygame.surfarray.blit_array(self._surface, self._shadow[..., 2::-1].swapaxes(0, 1))
            pygame.display.flip()
        except pygame.error as error:
            raise DisplayError(f"the window is lost: {error}") from error

    def set_brightness(self, percent: float) -> None:
        self._painter.brightness = percent

    def set_canvas_scale(self, factor: float) -> None:
        self._painter.scale(factor)

    def pump(self) -> list[Literal["quit"]]:
        events = pygame.event.get()
        if self._surface.get_size() != self.screen_px:
            self._painter.resize(self._surface.get_size())
            self._shadow = None if self._is_bgrx() else self._black(self.screen_px)
        return ["quit"] if any(self._asks_to_quit(event) for event in events) else []

    def _asks_to_quit(self, event: pygame.event.Event) -> bool:
        escape: bool = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
        return event.type == pygame.QUIT or (escape and self._config.windowed)

    def copy_presented(self, out: Canvas) -> None:
        copy_scaled(self._pixels(), out)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawn = None
        pygame.display.quit()


def _asked() -> str:
    """The screen that the environment names, for an error that can be acted on."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    given = ", ".join(f"{name}={os.environ[name]}" for name in names if os.environ.get(name))
    return f"is a server running for {given}?" if given else "neither DISPLAY nor WAYLAND_DISPLAY is set"


def _set_hints(*, accelerated: bool, windowed: bool) -> None:
    """SDL reads these when its video starts. Without acceleration a flip takes 0.3 ms, not 3-13, on software GL."""
    os.environ.update(
        SDL_FRAMEBUFFER_ACCELERATION="1" if accelerated else "0",
        SDL_RENDER_VSYNC="1" if accelerated else "0",
        SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR="0" if windowed else "1",
        SDL_VIDEO_MINIMIZE_ON_FOCUS_LOSS="0",  # a screen nobody touches never has the focus
        SDL_VIDEO_ALLOW_SCREENSAVER="0",
        SDL_NO_SIGNAL_HANDLERS="1",  # the part's own stop request comes by SIGTERM
    )
