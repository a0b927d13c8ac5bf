"""Numbers that survive a camera, a model and a screen: painted as black and white columns, read back from pixels.

Run as a program it is a camera: raw BGR frames on stdout, each with the next number, and a log of when each was
written. The upper half of the picture carries the bits, the lower half their opposite, so that a picture that is
half one frame and half the next is not read at all.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import numpy as np

from edge_runtime.clock import FrameClock, SystemClock, now_s
from edge_runtime.slots import Array

BITS = 16
_DARK, _BRIGHT = 16, 235
_MIDDLE = 128
_SURE = 40
"""How far from the middle a pixel must be: further in, two pictures are mixed."""
_POWERS = 1 << np.arange(BITS)


def paint(frame: Array, number: int) -> None:
    """Fill (H, W, 3) with a number, modulo 2 ** 16."""
    height, width = frame.shape[:2]
    bits = (number & _POWERS) > 0
    columns = np.where(bits, _BRIGHT, _DARK).astype(np.uint8)[np.arange(width) * BITS // width]
    frame[: height // 2] = columns[None, :, None]
    frame[height // 2 :] = (_DARK + _BRIGHT - columns)[None, :, None]


def read(pixels: Array) -> int | None:
    """The number that (H, W, 3 or 4) shows; None where it shows none, or parts of two."""
    height, width = pixels.shape[:2]
    middles = (np.arange(BITS) * 2 + 1) * width // (2 * BITS)
    upper = pixels[height // 4, middles, 1].astype(int) - _MIDDLE
    lower = pixels[3 * height // 4, middles, 1].astype(int) - _MIDDLE
    if np.abs(upper).min() < _SURE or np.abs(lower).min() < _SURE or ((upper > 0) == (lower > 0)).any():
        return None
    return int(((upper > 0) * _POWERS).sum())


def camera_argv(log: Path, *, size_px: tuple[int, int], rate_hz: float, still: bool = False) -> list[str]:
    """The command line of the painted camera."""
    options = [f"--log={log}", f"--rate={rate_hz}", f"--width={size_px[0]}", f"--height={size_px[1]}"]
    return [sys.executable, "-m", "edge_runtime.cli.bench.painting", *options, *(["--still"] if still else [])]


def read_log(path: Path) -> dict[int, float]:
    """When the camera began to write each number, monotonic; the last of two where a second camera began again."""
    with contextlib.suppress(FileNotFoundError):
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        return {int(row[0]): float(row[1]) for row in rows if len(row) == 2}
    return {}


def main() -> int:
    """Be a camera until nobody reads any more. `--still`: grey, but for one pixel that keeps it from looking frozen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    for name in ("--width", "--height"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--still", action="store_true")
    given = parser.parse_args()
    frame = np.full((given.height, given.width, 3), _MIDDLE, np.uint8)
    frames = FrameClock(SystemClock(spin_s=0.0), rate_hz=given.rate)
    number = max(read_log(given.log), default=0)  # one that is started again goes on counting
    with given.log.open("a", buffering=1, encoding="ascii") as log, contextlib.suppress(BrokenPipeError):
        while True:
            number += 1
            if given.still:
                frame[0, 0] = number % 2
            else:
                paint(frame, number)
            frames.wait()
            log.write(f"{number} {now_s():.6f}\n")
            sys.stdout.buffer.write(frame.data)
            sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
