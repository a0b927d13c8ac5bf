"""Shows a test card on a real display, one command of JSON a line, one answer a line. Ends with its standard input.

Run as `python -m tests.display.show_card CONFIG COPY`: CONFIG is the display section as JSON (plus "probe": time the
accelerated path as on a machine with a GPU), COPY the file that takes what the display says it presented.
"""

import json
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_runtime.clock import SystemClock
from edge_runtime.config import DisplayConfig
from edge_runtime.display.display import Display, open_display

Pixels = npt.NDArray[np.uint8]

CORNERS = {"top-left": (0, 0, 255), "top-right": (0, 255, 0), "bottom-left": (255, 0, 0), "bottom-right": (0, 255, 255)}
"""Blue green red of the four marks, each a sixth of the shorter side."""


def card(width: int, height: int) -> Pixels:
    """(h, w, 4): a gradient that is the same in no other position, with a mark in each corner."""
    picture = np.zeros((height, width, 4), np.uint8)
    picture[..., 0] = np.linspace(30, 220, width)
    picture[..., 1] = np.linspace(200, 60, height)[:, None]
    picture[..., 2] = np.linspace(10, 160, width)[::-1]
    mark = max(4, min(width, height) // 6)
    for corner, colour in CORNERS.items():
        rows = slice(None, mark) if corner.startswith("top") else slice(-mark, None)
        columns = slice(None, mark) if corner.endswith("left") else slice(-mark, None)
        picture[rows, columns, :3] = colour
    return picture


class CardShow:
    """A display with the card on it."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.copy: Pixels = np.zeros(0, np.uint8)

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Apply one command, show the card again, and tell what is known of the display."""
        if "brightness" in command:
            self.display.set_brightness(command["brightness"])
        if "scale" in command:
            self.display.set_canvas_scale(command["scale"])
        if "press" in command:
            _press(command["press"])
        events = self.display.pump()
        canvas = self.display.canvas
        height, width = canvas.shape[:2]
        canvas[...] = card(width, height)
        self.display.present()
        screen_px = self.display.screen_px
        self.copy = np.zeros((screen_px[1], screen_px[0], 4), np.uint8)
        self.display.copy_presented(self.copy)
        return {
            "canvas_px": (width, height),
            "screen_px": screen_px,
            "driver": self.display.driver,
            "pacer": self.display.pacer,
            "refresh_hz": self.display.refresh_hz,
            "owns_canvas": canvas.flags.owndata,
            "events": events,
        }


def _press(key: str) -> None:
    import pygame

    if key == "close":
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    else:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.key.key_code(key)))


def open_for(config: dict[str, Any]) -> Display:
    section = DisplayConfig.model_validate({key: value for key, value in config.items() if key != "probe"})
    if config.get("probe"):
        from edge_runtime.display.surface import SurfaceDisplay

        return SurfaceDisplay(section, SystemClock(), gpu=True)
    return open_display(section, SystemClock())


def main() -> None:
    with open_for(json.loads(sys.argv[1])) as display:
        show = CardShow(display)
        for line in sys.stdin:
            answer = show.obey(json.loads(line))
            np.save(sys.argv[2], show.copy)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
