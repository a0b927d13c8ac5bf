"""Paintings to learn styles from: works whose painters died a hundred years ago or more.

GCompris keeps them as jigsaw puzzles; the pieces are laid out again where its boards say they belong. The works are
in the public domain; the scans come from the WebMuseum by way of GCompris, which marks them GPL-3+. They are trained
on and never committed.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np

from export.errors import ExportError
from export.pictures import Rgb, read_rcc
from export.sources import fetch

_BOARD_PX = (800, 520)
_PIECE = re.compile(
    r'"pixmapfile"\s*:\s*"image/([^"]+\.webp)"[^}]*?"x"\s*:\s*"([\d.]+)"[^}]*?"y"\s*:\s*"([\d.]+)"', re.DOTALL
)
_OPAQUE = 200


@dataclass(frozen=True, slots=True)
class Painting:
    """A work and its painter. `board` is the puzzle's number in GCompris."""

    board: int
    painter: str
    died: int
    title: str
    year: str

    def __str__(self) -> str:
        return f"{self.painter} (d. {self.died}), {self.title}, {self.year}"

    def rgb(self) -> Rgb:
        """The picture, about 700 px long.

        Raises:
            ExportError: the archive has no such puzzle.
        """
        files = read_rcc(fetch("gcompris") / "usr/share/gcompris-qt/rcc/paintings.rcc")
        boards = {PurePosixPath(path).name: raw for path, raw in files.items() if "/board/" in path}
        pieces = {PurePosixPath(path).name: raw for path, raw in files.items() if path.endswith(".webp")}
        board = boards.get(f"board{self.board}_0.qml")
        laid = _PIECE.findall(board.decode()) if board else []
        if not laid:
            raise ExportError(f"{self}: GCompris has no puzzle {self.board} of it")
        width, height = _BOARD_PX
        canvas = np.zeros((height, width, 4), np.uint8)
        for name, x, y in laid:
            _lay(canvas, pieces[name], float(x) * width, float(y) * height)
        return _mend(canvas)


def _lay(canvas: Rgb, raw: bytes, x: float, y: float) -> None:
    """Put one piece where its centre belongs; the pieces overlap by their tabs only."""
    piece = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    if piece is None:
        raise ExportError("GCompris: a piece of a painting cannot be decoded")
    if piece.shape[2] == 3:
        piece = cv2.cvtColor(piece, cv2.COLOR_BGR2BGRA)
    h, w = piece.shape[:2]
    left, top = max(0, round(x - w / 2)), max(0, round(y - h / 2))
    part = canvas[top : top + h, left : left + w]
    piece = piece[: part.shape[0], : part.shape[1]]
    opaque = piece[:, :, 3] >= _OPAQUE
    part[opaque] = piece[opaque]


def _mend(bgra: Rgb) -> Rgb:
    """Cut to what is painted and fill the seams between the pieces."""
    painted = bgra[:, :, 3] > 0
    rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
    bgra = bgra[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    seams = np.asarray(bgra[:, :, 3] == 0, np.uint8)
    bgr = cv2.inpaint(np.ascontiguousarray(bgra[:, :, :3]), seams, 3, cv2.INPAINT_TELEA)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
