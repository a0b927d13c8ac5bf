"""Two questions to the SDL that pygame brought along, which pygame does not pass on."""

import ctypes
import re
from functools import cache
from pathlib import Path


class _DisplayMode(ctypes.Structure):
    """SDL_DisplayMode. Source: SDL_video.h of SDL 2."""

    _fields_ = (
        ("format", ctypes.c_uint32),
        ("w", ctypes.c_int),
        ("h", ctypes.c_int),
        ("refresh_rate", ctypes.c_int),
        ("driverdata", ctypes.c_void_p),
    )


@cache
def _library() -> ctypes.CDLL | None:
    """The library already mapped: wheels bring their own under a name of their own."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if path := re.search(r"/\S*libSDL2-[^/]*$", line):
            return ctypes.CDLL(path.group())
    return None


def refresh_hz(screen: int) -> float | None:
    """The screen's rate in whole Hz, as SDL has it; None where nobody knows (Xvfb)."""
    mode, sdl = _DisplayMode(), _library()
    if sdl is None or sdl.SDL_GetCurrentDisplayMode(screen, ctypes.byref(mode)) != 0:
        return None
    return float(mode.refresh_rate) or None


def swap_interval() -> int:
    """Vblanks per swap of this thread's GL context; 0 where there is no context or the driver refused to wait."""
    sdl = _library()
    return 0 if sdl is None else int(sdl.SDL_GL_GetSwapInterval())
