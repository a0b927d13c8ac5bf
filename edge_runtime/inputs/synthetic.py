"""The synthetic camera: a person in front of cross-fading photographs, drawn as a function of time.

It stands in for a camera on a laptop, in the demo, in CI and on a box whose camera is not there yet, so it must
look like one: it moves the way people do, it carries sensor noise, and somebody walks in and out of the picture.
It holds no clock, no thread and no state that a later frame depends on; it opens no device. The photographs and
the cut-out are in `synthetic_assets/`, with author, source and licence in `SOURCES.md` beside them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge_runtime.errors import InputError

U8: TypeAlias = npt.NDArray[np.uint8]

ASSETS: Final = Path(__file__).parent / "synthetic_assets"
CYCLE_S: Final = 60.0  # five photographs of 12 s; every motion below has a whole number of periods in it
FADE_S: Final = 2.0
_OVERSCAN: Final = 1.12  # photographs are kept this much larger than the frame: room to pan
_SHADOW_STRENGTH: Final = 0.22
_SHADOW_PAD: Final = 0.10  # of the person's height: room for the blur of the shadow
_NOISE_ROLL_PX: Final = 64
_STEPS_HZ: Final = 1.5


@dataclass(frozen=True, slots=True)
class _Scene:
    """A photograph, how the view drifts over it, and the light it throws on the person.

    `pan` and `zoom` go from their first to their last value while it is shown: pan in parts of the free margin
    (-1 .. 1), zoom in parts of the kept size (1 / _OVERSCAN .. 1).
    """

    file: str
    gain_bgr: tuple[float, float, float]
    pan: tuple[tuple[float, float], tuple[float, float]]
    zoom: tuple[float, float]


_SCENES: Final = (
    _Scene("river_chateau.jpg", (0.97, 0.97, 0.98), ((-0.8, 0.3), (0.7, -0.1)), (0.93, 0.98)),
    _Scene("gate_at_dusk.jpg", (0.66, 0.72, 0.84), ((0.6, -0.5), (-0.5, 0.2)), (0.99, 0.93)),
    _Scene("mountain_city.jpg", (0.98, 0.92, 0.88), ((-0.7, 0.0), (0.6, 0.4)), (0.93, 0.99)),
    _Scene("white_castle.jpg", (0.98, 0.96, 0.94), ((0.8, 0.2), (-0.4, -0.4)), (0.94, 0.99)),
    _Scene("great_wall.jpg", (0.96, 1.00, 1.00), ((-0.6, -0.3), (0.6, 0.3)), (0.98, 0.93)),
)

# Where the person is: (time in the cycle, middle of the body in frame widths). She is there at 0 s, so that the
# very first frame shows her; she leaves to the left for some five seconds, so that counting people has work.
_WALK: Final = (
    (0.0, 0.46),
    (7.0, 0.46),
    (14.0, 0.70),
    (20.0, 0.68),
    (29.0, 0.31),
    (35.0, 0.33),
    (41.5, -0.45),
    (51.0, 0.50),
    (60.0, 0.46),
)


class SyntheticPicture:
    """A person before a photograph, as a camera would see it.

    The same size, seed and time give the same picture, bit for bit. Every frame is drawn from the time alone, so
    times may be asked for in any order. Used from one thread: it draws into buffers of its own.
    """

    def __init__(
        self, *, size_px: tuple[int, int], seed: int = 0, noise_sigma: float = 2.0, still: bool = False
    ) -> None:
        """Load the pictures and fit them to the frame.

        Args:
            size_px: Width and height of the frame; any size, odd ones too.
            seed: Picks the grain, and the photograph that comes first.
            noise_sigma: Sensor noise in 8-bit levels; 0 for none. A webcam indoors has 2 to 3.
            still: Hold the motion of 0 s while the noise goes on: the scene that flicker is measured on.

        Raises:
            ValueError: for a frame without pixels, or negative noise.
            InputError: if the package was installed without its pictures.
        """
        width, height = size_px
        if width < 1 or height < 1 or noise_sigma < 0:
            raise ValueError(f"size_px = {size_px}, noise_sigma = {noise_sigma}: a size >= 1 and noise >= 0 expected")
        self._width, self._height = width, height
        self._still = still
        self._seed = seed
        self._photos = [_fit_photo(_read(scene.file), width, height) for scene in _SCENES]
        self._person_px = min(1.0 * height, 1.05 * width)
        self._person = _fit_person(self._person_px)
        self._lit = self._person.copy()
        self._lit_gain: tuple[float, float, float] | None = None
        self._canvas: U8 = np.empty((height, width, 4), np.uint8)
        self._canvas_next: U8 = np.empty((height, width, 4), np.uint8)
        self._grain = _grain(width, height, noise_sigma, seed) if noise_sigma > 0 else None

    def frame(self, time_s: float, out_bgr_hwc: U8 | None = None) -> U8:
        """Draw the picture at `time_s`.

        Args:
            time_s: Any time, on any scale; the picture repeats every `CYCLE_S`, its grain does not.
            out_bgr_hwc: Contiguous (height, width, 3) to draw into, as a slot hands it out; a new array if None.

        Returns:
            `out_bgr_hwc`, or the new array; it belongs to the caller.

        Raises:
            ValueError: if `out_bgr_hwc` is not of this size, or not contiguous.
        """
        shape = (self._height, self._width, 3)
        if out_bgr_hwc is None:
            out_bgr_hwc = np.empty(shape, np.uint8)
        elif out_bgr_hwc.shape != shape or not out_bgr_hwc.flags.c_contiguous:
            # OpenCV would answer with a new array and leave the caller's untouched.
            raise ValueError(f"out_bgr_hwc is {out_bgr_hwc.shape}: contiguous {shape} expected")
        motion_s = 0.0 if self._still else time_s % CYCLE_S
        gain = self._draw_photo(motion_s, out_bgr_hwc)
        self._draw_person(motion_s, gain, out_bgr_hwc)
        self._add_grain(time_s, out_bgr_hwc)
        return out_bgr_hwc

    def _draw_photo(self, motion_s: float, out: U8) -> tuple[float, float, float]:
        """Draw the photograph, or two of them in a fade; return the light on the person."""
        slot_s = CYCLE_S / len(_SCENES)
        index, local_s = divmod(motion_s, slot_s)
        now = (int(index) + self._seed) % len(_SCENES)
        self._draw_view(now, local_s, self._canvas)
        gain = _SCENES[now].gain_bgr
        into_fade_s = local_s - (slot_s - FADE_S)
        if into_fade_s > 0:
            after = (now + 1) % len(_SCENES)
            mix = _smooth(into_fade_s / FADE_S)
            self._draw_view(after, local_s - slot_s, self._canvas_next)
            cv2.addWeighted(self._canvas, 1 - mix, self._canvas_next, mix, 0, dst=self._canvas)
            b, g, r = (p + mix * (q - p) for p, q in zip(gain, _SCENES[after].gain_bgr, strict=True))
            gain = (b, g, r)
        cv2.cvtColor(self._canvas, cv2.COLOR_BGRA2BGR, dst=out)
        return gain

    def _draw_view(self, index: int, local_s: float, canvas: U8) -> None:
        """Draw the drifting view of one photograph; `local_s` runs from -FADE_S to the length of its slot."""
        scene, photo = _SCENES[index], self._photos[index]
        part = (local_s + FADE_S) / (CYCLE_S / len(_SCENES) + FADE_S)
        zoom = _between(*scene.zoom, part)
        (x0, y0), (x1, y1) = scene.pan
        photo_h, photo_w = photo.shape[:2]
        margin_x, margin_y = (photo_w - self._width / zoom) / 2, (photo_h - self._height / zoom) / 2
        centre_x = photo_w / 2 + margin_x * _between(x0, x1, part)
        centre_y = photo_h / 2 + margin_y * _between(y0, y1, part)
        view = np.array(
            [[zoom, 0.0, self._width / 2 - zoom * centre_x], [0.0, zoom, self._height / 2 - zoom * centre_y]]
        )
        # Four channels, the fourth unused: OpenCV warps 8UC4 in half the time of 8UC3 (0.6 against 1.2 ms at
        # 640x360, one x86 thread, OpenCV 5.0, November 2026).
        cv2.warpAffine(photo, view, (self._width, self._height), dst=canvas, borderMode=cv2.BORDER_REPLICATE)

    def _draw_person(self, motion_s: float, gain_bgr: tuple[float, float, float], out: U8) -> None:
        """Lay the lit person and the shadow over the photograph, inside their bounding box only."""
        pose = _pose(motion_s, self._width, self._height, self._person_px, self._person.shape[1])
        person_h, person_w = self._person.shape[:2]
        corners = pose @ np.array([[0, person_w, 0, person_w], [0, 0, person_h, person_h], [1, 1, 1, 1]])
        left, top = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
        right = min(math.ceil(corners[0].max()), self._width)
        bottom = min(math.ceil(corners[1].max()), self._height)
        if right <= left or bottom <= top:
            return
        if gain_bgr != self._lit_gain:
            levels = np.arange(256)[:, np.newaxis] * np.array([*gain_bgr, 1.0])  # (256, 4)
            cv2.LUT(self._person, np.rint(levels).astype(np.uint8)[np.newaxis], dst=self._lit)
            self._lit_gain = gain_bgr
        pose[:, 2] -= (left, top)
        cut = cv2.warpAffine(self._lit, pose, (int(right - left), int(bottom - top)))
        through = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(cut, 3)), cv2.COLOR_GRAY2BGR)
        box = out[top:bottom, left:right]
        behind = cv2.multiply(box, through, scale=1 / 255)
        cv2.add(behind, cv2.cvtColor(cut, cv2.COLOR_BGRA2BGR), dst=box)

    def _add_grain(self, time_s: float, out: U8) -> None:
        """Add the noise tile, rolled by an offset that follows from the time alone."""
        if self._grain is None:
            return
        lighter, darker = self._grain
        # Fibonacci hashing of the millisecond: neighbours in time get unrelated offsets.
        mixed = ((round(time_s * 1000) + self._seed) * 0x9E3779B97F4A7C15) >> 40
        x, y = mixed % _NOISE_ROLL_PX, (mixed // _NOISE_ROLL_PX) % _NOISE_ROLL_PX
        window = (slice(y, y + self._height), slice(x, x + self._width))
        # Two saturating 8-bit passes cost a tenth of one signed 16-bit addition.
        cv2.add(out, lighter[window], dst=out)
        cv2.subtract(out, darker[window], dst=out)


def _pose(motion_s: float, width: int, height: int, person_px: float, image_w: int) -> npt.NDArray[np.float64]:
    """frame_from_person: the 2x3 matrix that puts the cut-out where she is at `motion_s`.

    She turns, leans and grows about a point below the frame, so the picture's cropped lower border never shows.
    """

    def wave(cycles: int, phase: float) -> float:
        return math.sin(2 * math.pi * (cycles * motion_s / CYCLE_S + phase))

    x, speed = _walk(motion_s)
    stride = min(1.0, abs(speed) / 0.06)  # 0 standing, 1 walking
    step = 2 * math.pi * _STEPS_HZ * motion_s
    angle = math.radians(1.1 * wave(7, 0.1) + 0.6 * wave(13, 0.4) + 0.9 * stride * math.sin(step / 2)) + 0.25 * speed
    lean = 0.030 * wave(5, 0.3) + 0.012 * wave(11, 0.0) + 0.35 * speed
    scale = 1.0 + 0.035 * wave(3, 0.6) + 0.006 * wave(16, 0.0)  # comes nearer and goes back; breathes
    bob = 0.012 * stride * (1 - math.cos(step)) / 2 + 0.004 * wave(16, 0.25)
    pivot_x, pivot_y = image_w / 2, person_px * (1 + _SHADOW_PAD)
    foot_x = width * x + person_px * 0.012 * wave(9, 0.7)
    foot_y = height + person_px * (0.075 - bob)
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, -sin - lean], [sin, cos]])
    offset = np.array([foot_x, foot_y]) - linear @ np.array([pivot_x, pivot_y])
    return np.column_stack([linear, offset])


def _walk(motion_s: float) -> tuple[float, float]:
    """Place on the walk and its speed, in frame widths and frame widths per second."""
    for (start_s, start), (end_s, end) in pairwise(_WALK):
        if motion_s <= end_s:
            part = (motion_s - start_s) / (end_s - start_s)
            slope = 30 * part**2 * (1 - part) ** 2
            return _between(start, end, _smooth(part)), (end - start) * slope / (end_s - start_s)
    return _WALK[-1][1], 0.0


def _between(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _smooth(part: float) -> float:
    """Ease in and out, without a jump in speed or acceleration (Perlin 2002, "Improving Noise")."""
    return part**3 * (part * (6 * part - 15) + 10)


def _read(file: str, flags: int = cv2.IMREAD_COLOR) -> U8:
    picture = cv2.imread(str(ASSETS / file), flags)
    if picture is None:
        raise InputError(f"{ASSETS / file}: not a readable picture; reinstall edge-runtime with its assets")
    return picture.astype(np.uint8, copy=False)


def _resize(picture: U8, width: int, height: int) -> U8:
    shrinks = width < picture.shape[1]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return resized.astype(np.uint8, copy=False)


def _fit_photo(photo_bgr_hwc: U8, width: int, height: int) -> U8:
    """Scale to cover the frame with room to pan, so that the warp neither blurs nor aliases."""
    photo_h, photo_w = photo_bgr_hwc.shape[:2]
    scale = max(width / photo_w, height / photo_h) * _OVERSCAN
    fitted = _resize(photo_bgr_hwc, math.ceil(photo_w * scale), math.ceil(photo_h * scale))
    return cv2.cvtColor(fitted, cv2.COLOR_BGR2BGRA).astype(np.uint8, copy=False)


def _fit_person(person_px: float) -> U8:
    """The cut-out at its size in the frame: premultiplied BGRA, its soft shadow already in the alpha.

    A shadow is black with some cover, so premultiplied it adds nothing to the colour and costs nothing per frame.
    """
    side, pad = max(2, round(person_px)), round(person_px * _SHADOW_PAD)
    colour = _resize(_read("person.jpg"), side, side)
    matte = _resize(_read("person_matte.png", cv2.IMREAD_GRAYSCALE), side, side)
    # No padding below: the lower border is where the original picture cut her off, and it stays out of the frame.
    colour = cv2.copyMakeBorder(colour, pad, 0, pad, pad, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    matte = cv2.copyMakeBorder(matte, pad, 0, pad, pad, cv2.BORDER_CONSTANT, value=0.0).astype(np.uint8, copy=False)
    alpha = matte[:, :, np.newaxis].astype(np.float32) / 255  # (h, w, 1)
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(0.5, person_px * 0.035))[:, :, np.newaxis] * _SHADOW_STRENGTH
    cover = 1 - (1 - alpha) * (1 - shadow)
    premultiplied = np.concatenate([colour * alpha, cover * 255], axis=2)  # (h, w, 4)
    rounded: U8 = np.rint(premultiplied).astype(np.uint8)
    return rounded


def _grain(width: int, height: int, sigma: float, seed: int) -> tuple[U8, U8]:
    """Noise larger than the frame, split in what it adds and what it takes away; mostly grey, a little coloured."""
    random = np.random.default_rng(seed)
    shape = (height + _NOISE_ROLL_PX, width + _NOISE_ROLL_PX)
    grey = random.standard_normal((*shape, 1), dtype=np.float32)
    coloured = random.standard_normal((*shape, 3), dtype=np.float32)
    noise = np.rint((0.8 * grey + 0.6 * coloured) * sigma)  # 0.8² + 0.6² = 1: sigma holds in every channel
    return np.clip(noise, 0, 255).astype(np.uint8), np.clip(-noise, 0, 255).astype(np.uint8)
