"""Pictures to train on: photographs that are in the public domain or under CC0, and panoramas under CC0.

Photographs come out of the resource archives of GCompris, whose README files name author, source and licence of each
file; whatever says anything else is left out. Paintings are another matter: see `export.paintings`. Panoramas of light
give skies. Nothing of this is ever committed.
"""

import base64
import functools
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import OpenEXR
import zstandard

from export.errors import ExportError
from export.sources import fetch

Rgb = npt.NDArray[np.uint8]
"""(H, W, 3) uint8, red green blue."""

FREE = re.compile(r"^(public domain|cc0)", re.IGNORECASE)
_SMALLEST_PX, _LARGEST_PX = 140, 640
_HELD_OUT_EVERY = 8
_DIRECTORY, _ZLIB, _ZSTD = 2, 1, 4


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph and where it comes from."""

    rgb: Rgb
    path: str
    author: str
    source: str
    licence: str

    @property
    def subject(self) -> str:
        """The folder it lies in: monuments, renewable, fishes ..."""
        return PurePosixPath(self.path).parent.name


def read_rcc(path: Path) -> dict[str, bytes]:
    """All files of a Qt resource archive.

    Raises:
        ExportError: it is none.

    Source: the format of Qt's resource compiler (src/corelib/io/qresource.cpp), versions 1 to 3.
    """
    blob = path.read_bytes()
    if blob[:4] != b"qres":
        raise ExportError(f"{path}: is no Qt resource archive")
    version, tree, content, names = struct.unpack(">4I", blob[4:20])
    entry_bytes = 14 if version < 2 else 22
    files: dict[str, bytes] = {}

    def name_at(offset: int) -> str:
        start = names + offset
        (length,) = struct.unpack(">H", blob[start : start + 2])
        return blob[start + 6 : start + 6 + 2 * length].decode("utf-16-be")

    def walk(index: int, folder: str) -> None:
        start = tree + index * entry_bytes
        name_offset, flags = struct.unpack(">IH", blob[start : start + 6])
        name = name_at(name_offset) if index else ""
        if flags & _DIRECTORY:
            count, first = struct.unpack(">II", blob[start + 6 : start + 14])
            for child in range(count):
                walk(first + child, f"{folder}{name}/" if name else folder)
            return
        (offset,) = struct.unpack(">I", blob[start + 10 : start + 14])
        (length,) = struct.unpack(">I", blob[content + offset : content + offset + 4])
        raw = blob[content + offset + 4 : content + offset + 4 + length]
        if flags & _ZLIB:
            raw = zlib.decompress(raw[4:])
        elif flags & _ZSTD:
            raw = zstandard.ZstdDecompressor().decompress(raw, max_output_size=1 << 28)
        files[folder + name] = raw

    walk(0, "")
    return files


@functools.cache
def photos(*, held_out: bool = False) -> tuple[Photo, ...]:
    """The photographs to train on, or every eighth, which is kept to measure with. Always in the same order."""
    found = sorted(_all_photos(), key=lambda photo: photo.path)
    return tuple(photo for i, photo in enumerate(found) if (i % _HELD_OUT_EVERY == 0) == held_out)


def _all_photos() -> Iterator[Photo]:
    for archive in _archives():
        if archive.name == "paintings.rcc":
            continue
        files = read_rcc(archive)
        for readme in (path for path in files if path.endswith("/README")):
            yield from _described(files, readme)


def _archives() -> list[Path]:
    return sorted((fetch("gcompris") / "usr/share/gcompris-qt/rcc").glob("*.rcc"))


def _described(files: dict[str, bytes], readme: str) -> Iterator[Photo]:
    """The free photographs that one README describes: blocks of Copyright, Source, License and a list of files."""
    folder = readme.rpartition("/")[0]
    for block in re.split(r"\n(?=Copyright:)", files[readme].decode("utf-8", "replace")):
        pairs = re.findall(r"^(Copyright|Source|License): *(.*)$", block, re.MULTILINE)
        fields = {key: value.strip() for key, value in pairs}
        listed = block.partition("Files:")[2].split()
        if not FREE.match(fields.get("License", "")) or "Source" not in fields:
            continue
        for name in listed:
            path = f"{folder}/{name}"
            rgb = _decode(files[path]) if path in files and name.endswith((".webp", ".jpg", ".png")) else None
            if rgb is not None:
                yield Photo(rgb, path, fields.get("Copyright", ""), fields["Source"], fields["License"])


def _decode(raw: bytes) -> Rgb | None:
    """The picture, at most `_LARGEST_PX` long; None for drawings with holes and for what is too small."""
    picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or min(picture.shape[:2]) < _SMALLEST_PX:
        return None
    if picture.shape[2] == 4 and (picture[:, :, 3] < 250).mean() > 0.02:
        return None
    scale = _LARGEST_PX / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(picture[:, :, :3], cv2.COLOR_BGR2RGB), np.uint8)


@functools.cache
def panoramas() -> dict[str, npt.NDArray[np.float32]]:
    """Panoramas of light by name: (H, W, 3) linear RGB, equirectangular, any brightness."""
    found = {}
    for path in sorted((fetch("panoramas") / "package" / "hdri").glob("*.exr.js")):
        match = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text(encoding="utf-8"))
        if match is None:
            raise ExportError(f"{path}: holds no base64 picture")
        with tempfile.NamedTemporaryFile(suffix=".exr") as file:
            file.write(base64.b64decode(match[1]))
            file.flush()
            with OpenEXR.File(file.name) as exr:
                found[path.name.removesuffix(".exr.js")] = _finite(exr.channels()["RGB"].pixels)
    return found


def _finite(light: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The sun is too bright for half floats: infinite there."""
    return np.nan_to_num(np.asarray(light, np.float32), posinf=1e3).clip(0.0, 1e3)


def look(panorama: npt.NDArray[np.float32], yaw: float, pitch: float, view: float, size_px: tuple[int, int]) -> Rgb:
    """A straight view into a panorama, exposed for its own brightness.

    Args:
        panorama: see `panoramas`.
        yaw: radians to the right.
        pitch: radians up.
        view: horizontal angle of view, radians.
        size_px: width and height.
    """
    width, height = size_px
    reach = np.tan(view / 2)
    xs, ys = np.meshgrid(np.linspace(-reach, reach, width), np.linspace(-reach, reach, height) * height / width)
    norm = np.sqrt(xs**2 + ys**2 + 1)
    up, ahead = (-ys * np.cos(pitch) + np.sin(pitch)) / norm, (ys * np.sin(pitch) + np.cos(pitch)) / norm
    right = xs / norm
    u = (np.arctan2(right, ahead) + yaw) / (2 * np.pi) % 1.0
    v = np.arccos(np.clip(up, -1, 1)) / np.pi
    rows, columns = panorama.shape[:2]
    wide = np.concatenate([panorama, panorama[:, :1]], axis=1)
    maps = (u * columns).astype(np.float32), np.clip(v * rows - 0.5, 0, rows - 1).astype(np.float32)
    light = cv2.remap(wide, *maps, cv2.INTER_LINEAR)
    exposed = light * (0.45 / max(1e-4, float(np.percentile(light.mean(axis=2), 60))))
    toned = np.clip(exposed / (1 + exposed) * 1.45, 0, 1) ** (1 / 2.2)
    return np.asarray(toned * 255, np.uint8)


def crop(rgb: Rgb, size_px: tuple[int, int], rng: np.random.Generator, *, least: float = 0.6) -> Rgb:
    """A random part in the shape of `size_px`, scaled to it: `least` to all of the largest such part. May flip."""
    width, height = size_px
    most = min(rgb.shape[1] / width, rgb.shape[0] / height)
    scale = most * float(rng.uniform(least, 1.0))
    w, h = max(2, int(width * scale)), max(2, int(height * scale))
    x = int(rng.integers(0, rgb.shape[1] - w + 1))
    y = int(rng.integers(0, rgb.shape[0] - h + 1))
    part = rgb[y : y + h, x : x + w]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(part), size_px, interpolation=interpolation), np.uint8)


ASSETS = Path(__file__).parent.parent / "edge_runtime" / "inputs" / "synthetic_assets"
"""What ships for the synthetic camera: free photographs, and a portrait with its matte."""


def with_people(rng: np.random.Generator, size_px: tuple[int, int], count: int = 1, *, held_out: bool = False) -> Rgb:
    """A photograph with `count` times the same free portrait before it, at different places and sizes, side by side."""
    width, height = size_px
    background = photos(held_out=held_out)
    picture = crop(background[int(rng.integers(len(background)))].rgb, size_px, rng)
    for number in range(count):
        tall = float(rng.uniform(0.55, 0.95)) * min(height, width / count * 1.2)
        middle = (number + float(rng.uniform(0.35, 0.65))) * width / count
        picture = stand(picture, middle, tall, light=float(rng.uniform(0.75, 1.15)))
    return picture


def stand(picture: Rgb, middle_px: float, tall_px: float, *, light: float = 1.0) -> Rgb:
    """The free portrait before a picture, from its lower edge up."""
    person: Any = cv2.imread(str(ASSETS / "person.jpg"), cv2.IMREAD_COLOR_RGB)
    matte: Any = cv2.imread(str(ASSETS / "person_matte.png"), cv2.IMREAD_GRAYSCALE)
    height, width = picture.shape[:2]
    scale = tall_px / person.shape[0]
    move = np.array([[scale, 0, middle_px - scale * person.shape[1] / 2], [0, scale, height - tall_px]])
    cut = cv2.warpAffine(person, move, (width, height), flags=cv2.INTER_AREA)
    share: Any = cv2.warpAffine(matte, move, (width, height))[:, :, None].astype(np.float32) / 255
    return np.asarray(np.clip(picture * (1 - share) + cut * share * light, 0, 255), np.uint8)


def tiles(rows: list[list[Rgb]], gap_px: int = 4) -> Rgb:
    """A sheet of equally large pictures."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3), 24, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            y, x = i * (height + gap_px), j * (width + gap_px)
            sheet[y : y + height, x : x + width] = picture
    return sheet
