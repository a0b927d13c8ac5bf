"""A card on a display, seen from outside: by its X server for a surface, by its own word for headless."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from tests.display.show_card import CardShow, Pixels, card, open_for
from tests.display.xclient import XClient
from tests.fixtures.children import bound_to_us, stop_child

ROOT = Path(__file__).parents[2]
ANSWER_S = 20.0


class Shown(Protocol):
    """What both kinds of display can be asked in a test."""

    def obey(self, **command: object) -> dict[str, Any]:
        """See `show_card.CardShow.obey`."""
        ...

    def copied(self) -> Pixels:
        """What `copy_presented` gave: (h, w, 3)."""
        ...

    def seen(self) -> Pixels:
        """What is on the screen: (h, w, 3)."""
        ...


class ShownHere:
    """A headless display in this process."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._show = CardShow(open_for({**config, "kind": "headless"}))

    def obey(self, **command: object) -> dict[str, Any]:
        return self._show.obey(command)

    def copied(self) -> Pixels:
        return self._show.copy[..., :3]

    def seen(self) -> Pixels:
        return self.copied()


class ShownOnX:
    """A surface in a process of its own; its window is at the top left of the screen."""

    def __init__(self, process: subprocess.Popen[bytes], copy: Path, x: XClient) -> None:
        self.process, self._copy, self.x = process, copy, x
        self._size_px = (0, 0)

    def obey(self, **command: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_S)
        line = self.process.stdout.readline() if ready else b""
        assert line, f"no answer to {command}: {self._copy.with_suffix('.log').read_text()}"
        answer: dict[str, Any] = json.loads(line)
        self._size_px = answer["screen_px"]
        return answer

    def copied(self) -> Pixels:
        copy: Pixels = np.load(self._copy)
        return copy[..., :3]

    def seen(self) -> Pixels:
        return self.x.screen()[: self._size_px[1], : self._size_px[0]]


def card_process(display: str, copy: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
    """`show_card` as a child, with its standard error in the file `copy` with the ending .log."""
    argv = [sys.executable, "-m", "tests.display.show_card", json.dumps({"kind": "surface", **config}), str(copy)]
    environment = {**os.environ, "DISPLAY": display, "SDL_VIDEO_WINDOW_POS": "0,0"}
    environment.pop("WAYLAND_DISPLAY", None)
    with copy.with_suffix(".log").open("wb") as log:
        pipe = subprocess.PIPE
        return subprocess.Popen(bound_to_us(argv), cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=log)


@contextmanager
def show_on_x(display: str, folder: Path, config: dict[str, Any]) -> Iterator[ShownOnX]:
    copy = folder / "presented.npy"
    process = card_process(display, copy, config)
    try:
        with XClient(display) as x:
            yield ShownOnX(process, copy, x)
    finally:
        stop_child(process)


def expected(canvas_px: tuple[int, int], screen_px: tuple[int, int], rotation: int, fit: str) -> Pixels:
    """The screen with the card on it, worked out the slow and obvious way: (h, w, 3)."""
    upright = np.ascontiguousarray(np.rot90(card(*canvas_px)[..., :3], -rotation // 90))
    ratios = screen_px[0] / upright.shape[1], screen_px[1] / upright.shape[0]
    across, down = {"contain": [min(ratios)] * 2, "cover": [max(ratios)] * 2, "stretch": ratios}[fit]
    size_px = round(upright.shape[1] * across), round(upright.shape[0] * down)
    scaled = cv2.resize(upright, size_px, interpolation=cv2.INTER_LINEAR)
    screen = np.zeros((screen_px[1], screen_px[0], 3), np.uint8)
    left, top = (screen_px[0] - size_px[0]) // 2, (screen_px[1] - size_px[1]) // 2
    seen = scaled[max(0, -top) :, max(0, -left) :][: screen_px[1], : screen_px[0]]
    top, left = max(0, top), max(0, left)
    screen[top : top + seen.shape[0], left : left + seen.shape[1]] = seen
    return screen


def assert_alike(seen: Pixels, wanted: Pixels) -> None:
    """The same but for the blur where hard edges are scaled."""
    assert seen.shape == wanted.shape
    difference = np.abs(seen.astype(np.int16) - wanted)
    assert difference.mean() < 1.0
    assert np.percentile(difference, 99) <= 8


def corner_colours(seen: Pixels) -> list[tuple[int, ...]]:
    """The outermost pixel of each corner, in the order of `CORNERS`."""
    return [tuple(int(value) for value in seen[row, column]) for row in (0, -1) for column in (0, -1)]
