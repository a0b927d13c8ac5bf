"""People: how many, where, how lively, who has a hand up; and their skeletons as a picture of light."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tasks import FrameBgr, Work
from edge_runtime.inference.tasks.poses import BONES, JOINTS, SEEN, Floats, decode
from edge_runtime.inference.tasks.tracks import Track, Tracks
from edge_runtime.signals import Value

AT_LEAST = 0.2
"""Score of a person. Source: the walking and cycling people of two films are above, chairs and statues mostly below."""
KEEP_S = 0.6
CONFIRMED_RUNS = 3
"""Someone counts from the third picture on, and until `KEEP_S` after the last."""
_FULL_SPEED = 1.2
"""Body heights a second that are nearly full energy."""
_SETTLE_S = 0.5
_COLOURS = ((255, 214, 120), (190, 140, 255), (140, 255, 190), (120, 190, 255), (255, 160, 220), (200, 255, 255))
_EYES, _WRISTS = [1, 2], [9, 10]


class People:
    """Pictures in; readings out, and skeletons (BGRA, straight alpha) where somebody wants the picture."""

    def __init__(self, session: Session, manifest: Manifest) -> None:
        self.session = session
        self.parameters, self.defaults = manifest.parameters, manifest.defaults
        self.continuous, self.channels, self.behind_s = False, 4, 0.0
        self._input = manifest.inputs[0].name
        self._multiple_px = 32
        self._tracks: Tracks[Floats] = Tracks(KEEP_S)
        self._energy = 0.0
        self._at_s: float | None = None

    def run(self, work: Work, out: FrameBgr) -> Mapping[str, Value]:
        if not work.frames:
            raise SessionError("people runs on a picture; give the model an input")
        frame = work.frames[0][:, :, :3]
        size_px = _network_size(frame.shape[1] / frame.shape[0])
        small = cv2.resize(frame, size_px, interpolation=cv2.INTER_AREA)
        x_nchw = np.ascontiguousarray(small[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
        poses = decode(self.session.run({self._input: x_nchw}), at_least=AT_LEAST)
        step_s = 1 / 15 if self._at_s is None else max(1e-3, work.at_s - self._at_s)
        self._at_s = work.at_s
        self._tracks.update([(pose.box, pose.joints) for pose in poses], work.at_s)
        speeds = []
        for track in self._tracks.all:
            if track.fresh and track.before is not None:
                speeds.append(_speed(track, track.before, step_s))
                track.thing = _settled(track.thing, track.before, step_s)
        there = [track for track in self._tracks.all if track.runs >= CONFIRMED_RUNS]
        draw(there, out)
        lively = 1 - float(np.exp(-max(speeds, default=0.0) / (_FULL_SPEED / 2)))
        self._energy += (lively - self._energy) * (1 - float(np.exp(-step_s / _SETTLE_S)))
        return {**_told(there), "energy": self._energy}

    def reset(self) -> None:
        self._tracks.clear()
        self._energy, self._at_s = 0.0, None


def _network_size(aspect: float) -> tuple[int, int]:
    """About 256 pixels on the longer side, in multiples of 32."""
    longer, shorter = 256, max(64, round(256 / max(aspect, 1 / aspect) / 32) * 32)
    return (longer, shorter) if aspect >= 1 else (shorter, longer)


def _height(track: Track[Floats]) -> float:
    return max(0.05, track.box[3] - track.box[1])


def _speed(track: Track[Floats], before: Floats, step_s: float) -> float:
    """Body heights a second of the middle half of the joints."""
    seen = (track.thing[:, 2] > SEEN) & (before[:, 2] > SEEN)
    if seen.sum() < 3:
        return 0.0
    moved = np.hypot(*(track.thing[seen, :2] - before[seen, :2]).T)
    return max(0.0, float(np.median(moved)) / _height(track) / step_s - 0.08)


def _settled(joints: Floats, before: Floats, step_s: float) -> Floats:
    """Joints that hardly move are held against the network's jitter; quick ones follow at once."""
    moved = np.hypot(*(joints[:, :2] - before[:, :2]).T)[:, None]
    share = np.clip(0.25 + moved * 18, 0, 1) ** (1 / 30 / max(step_s, 1 / 60))
    settled = joints.copy()
    settled[:, :2] = before[:, :2] + (joints[:, :2] - before[:, :2]) * share
    return settled


def hands_up(joints: Floats) -> bool:
    """Whether a wrist is above the eyes."""
    eyes, wrists = joints[_EYES], joints[_WRISTS]
    seen_eyes, seen_wrists = eyes[eyes[:, 2] > SEEN], wrists[wrists[:, 2] > SEEN]
    return bool(len(seen_eyes) and len(seen_wrists) and seen_wrists[:, 1].min() < seen_eyes[:, 1].min())


def _told(there: Sequence[Track[Floats]]) -> dict[str, Value]:
    told: dict[str, Value] = {
        "count": float(len(there)),
        "hands_up": float(sum(hands_up(track.thing) for track in there)),
        "nearest": max((track.box[3] - track.box[1] for track in there), default=0.0),
    }
    if there:
        told["x"] = sum((track.box[0] + track.box[2]) / 2 for track in there) / len(there)
        told["y"] = sum((track.box[1] + track.box[3]) / 2 for track in there) / len(there)
    return told


def draw(there: Sequence[Track[Floats]], out: FrameBgr) -> None:
    """Skeletons of light: a bright line, its glow, a ring for the head. Fills `out`, BGRA."""
    height, width = out.shape[:2]
    light = np.zeros((height // 2, width // 2, 3), np.uint8)
    scale = np.array((width // 2, height // 2))
    for number, track in enumerate(there):
        colour = _COLOURS[number % len(_COLOURS)]
        points = np.rint(track.thing[:, :2] * scale * 8).astype(int)
        thick = max(1, round(_height(track) * height / 240))
        for a, b in BONES[4:]:
            if min(track.thing[a, 2], track.thing[b, 2]) > SEEN:
                cv2.line(light, tuple(points[a]), tuple(points[b]), colour, thick, cv2.LINE_AA, 3)
        _draw_head(light, track, colour, thick, scale)
    quarter = cv2.resize(light, (max(2, width // 8), max(2, height // 8)), interpolation=cv2.INTER_AREA)
    halo = cv2.addWeighted(cv2.GaussianBlur(quarter, (0, 0), 2.0), 2.2, cv2.GaussianBlur(quarter, (0, 0), 7.0), 3.0, 0)
    glow = cv2.add(light, cv2.resize(halo, (light.shape[1], light.shape[0]), interpolation=cv2.INTER_CUBIC))
    alpha = cv2.max(cv2.max(glow[:, :, 0], glow[:, :, 1]), glow[:, :, 2])
    straight = cv2.divide(glow, cv2.merge([alpha, alpha, alpha]), scale=255)
    cv2.resize(cv2.merge([*cv2.split(straight), alpha]), (width, height), dst=out, interpolation=cv2.INTER_LINEAR)


def _draw_head(
    light: FrameBgr, track: Track[Floats], colour: tuple[int, int, int], thick: int, scale: np.ndarray
) -> None:
    face = track.thing[: JOINTS.index("left_shoulder")]
    seen = face[face[:, 2] > SEEN]
    if len(seen) < 2:
        return
    middle = seen[:, :2].mean(axis=0) * scale
    reach = max(3.0, float(np.ptp(seen[:, 0] * scale[0])) * 0.85)
    cv2.circle(light, (round(middle[0] * 8), round(middle[1] * 8)), round(reach * 8), colour, thick, cv2.LINE_AA, 3)
