"""The tasks that look at people, with the networks that ship."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import cv2
import numpy as np
import pytest

from edge_runtime.config import ModelConfig, bundle_folders
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import open_bundle
from edge_runtime.inference.tasks import FrameBgr, Task, Work, open_task
from edge_runtime.inference.tasks.face import cover, parts
from edge_runtime.inference.tasks.people import hands_up
from edge_runtime.inference.tasks.poses import JOINTS, decode
from edge_runtime.inference.tasks.tracks import Tracks
from edge_runtime.signals import Value
from edge_runtime.slots import Array
from tests.fixtures.portraits import hang, wall

SIZE_PX = (640, 360)


@contextmanager
def opened(name: str, precision: str | None = None) -> Iterator[Task]:
    model = ModelConfig(name=name, bundle=name, precision=precision, size_px=SIZE_PX)
    task = open_task(model, open_bundle(name, bundle_folders()), SIZE_PX)
    with task.session:
        yield task


def looked(task: Task, *frames: FrameBgr, times: int = 1, step_s: float = 1 / 15) -> tuple[FrameBgr, dict[str, Value]]:
    out = np.zeros((SIZE_PX[1], SIZE_PX[0], task.channels), np.uint8)
    told: dict[str, Value] = {}
    for number in range(times):
        told |= task.run(Work(frames, task.defaults, at_s=100 + number * step_s), out)
    return out, told


@pytest.mark.parametrize("bundle", ["matte", "matte-square"])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_matte_finds_the_person_and_nothing_else(bundle: str, precision: str) -> None:
    frame, truth = hang(wall(), 0.3)
    with opened(bundle, precision) as task:
        out, told = looked(task, frame, times=4)
    seen, wanted = out[..., 3] > 127, truth > 127
    assert (seen & wanted).sum() / (seen | wanted).sum() > 0.85
    assert float(told["x"]) == pytest.approx(0.3, abs=0.06)  # type: ignore[arg-type]
    assert float(told["coverage"]) == pytest.approx(wanted.mean(), abs=0.05)  # type: ignore[arg-type]
    assert out[:, -80:, 3].max() == 0


def test_the_edge_of_a_matte_keeps_still_under_the_noise_of_a_camera() -> None:
    rng = np.random.default_rng(6)
    still, _ = hang(wall(), 0.5)
    changes: dict[bool, list[float]] = {True: [], False: []}
    for steady, seen in changes.items():
        before = None
        with opened("matte") as task:
            for number in range(8):
                frame = np.clip(still + rng.normal(0, 2.5, still.shape), 0, 255).astype(np.uint8)
                if not steady:
                    task.reset()
                alpha = looked(task, frame)[0][..., 3].astype(float)
                if before is not None and number > 3:
                    seen.append(float(np.abs(alpha - before).mean()))
                before = alpha
    assert np.mean(changes[True]) < 0.5 * np.mean(changes[False])


def test_a_matte_cuts_the_last_input_along_the_first() -> None:
    frame, _ = hang(wall(), 0.5)
    painted = np.full((90, 160, 3), (200, 30, 90), np.uint8)
    with opened("matte") as task:
        out, _ = looked(task, frame, painted, times=3)
    solid = out[..., 3] > 250
    assert solid.mean() > 0.1
    assert (out[solid][:, :3] == (200, 30, 90)).all()


def test_a_matte_of_a_person_who_stands_still_hardly_trembles_and_one_who_jumps_is_followed_at_once() -> None:
    rng = np.random.default_rng(0)
    frame, _ = hang(wall(), 0.4)
    away, _ = hang(wall(), 0.75)
    changes = []
    with opened("matte") as task:
        last, _ = looked(task, frame, times=5)
        for _ in range(8):
            noisy = np.clip(frame + rng.normal(0, 2.5, frame.shape), 0, 255).astype(np.uint8)
            now, _ = looked(task, noisy)
            changes.append(np.abs(now[..., 3].astype(int) - last[..., 3]).mean())
            last = now
        jumped, _ = looked(task, away)
    assert max(changes) < 1.0
    assert jumped[:, 420:540, 3].mean() > 4 * jumped[:, 160:260, 3].mean()


@pytest.mark.parametrize("places", [[], [0.5], [0.25, 0.75]])
def test_people_are_counted_once_they_have_stayed_and_until_they_have_gone(places: list[float]) -> None:
    frame = wall()
    for x in places:
        frame, _ = hang(frame, x, 0.85)
    with opened("people") as task:
        _, told = looked(task, frame)
        assert told["count"] == 0
        out, told = looked(task, frame, times=4)
        assert told["count"] == len(places)
        assert (out[..., 3].max() > 100) == bool(places)
        if places:
            assert float(told["x"]) == pytest.approx(np.mean(places), abs=0.06)  # type: ignore[arg-type]
            assert float(told["energy"]) < 0.25  # type: ignore[arg-type]
        _, told = looked(task, wall(), times=16)
        assert told["count"] == 0


def test_who_moves_has_energy() -> None:
    with opened("people") as task:
        for number in range(12):
            frame, _ = hang(wall(), 0.35 + 0.03 * (number % 8))
            out = np.zeros((SIZE_PX[1], SIZE_PX[0], 4), np.uint8)
            told = task.run(Work([frame], task.defaults, at_s=number / 15), out)
    assert float(told["energy"]) > 0.3  # type: ignore[arg-type]


def test_a_hand_is_up_when_a_wrist_is_above_the_eyes() -> None:
    joints = np.zeros((17, 3), np.float32)
    joints[:, 2] = 0.9
    joints[:, 1] = 0.5
    joints[[JOINTS.index("left_eye"), JOINTS.index("right_eye")], 1] = 0.2
    assert not hands_up(joints)
    joints[JOINTS.index("left_wrist"), 1] = 0.1
    assert hands_up(joints)
    joints[JOINTS.index("left_wrist"), 2] = 0.05  # not believed
    assert not hands_up(joints)


def test_maps_are_decoded_into_boxes_and_joints() -> None:
    height, width = 20, 32
    maps = {
        "centers": np.zeros((1, 1, height, width), np.float32),
        "box_sizes": np.zeros((1, 2, height, width), np.float32),
        "box_offsets": np.zeros((1, 2, height, width), np.float32),
        "heatmaps": np.zeros((1, 17, height, width), np.float32),
        "joints": np.zeros((1, 34, height, width), np.float32),
        "joint_offsets": np.full((1, 34, height, width), 0.5, np.float32),
    }
    maps["centers"][0, 0, 10, 8] = 0.9
    maps["box_sizes"][0, :, 10, 8] = (12, 8)
    maps["heatmaps"][0, :, 10, 8] = 0.6
    maps["heatmaps"][0, 0, 6, 9] = 0.95  # the nose is elsewhere, and told to be near
    maps["joints"][0, 0:2, 10, 8] = (-4, 1)
    (pose,) = decode(maps, at_least=0.2)
    assert pose.box == pytest.approx((4 / 32, 4 / 20, 12 / 32, 16 / 20))
    assert pose.joints[0] == pytest.approx((9.5 / 32, 6.5 / 20, 0.95), abs=0.01)
    assert pose.joints[5] == pytest.approx((8.5 / 32, 10.5 / 20, 0.6), abs=0.01)
    assert decode(maps, at_least=0.8) == []


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(("x", "height"), [(0.5, 0.95), (0.2, 0.6), (0.85, 0.7)])
def test_a_face_is_covered_wherever_it_is(x: float, height: float, precision: str) -> None:
    frame, _ = hang(wall(), x, height)
    with opened("face", precision) as task:
        out, told = looked(task, frame)
    assert told == {"count": 1.0, "present": 1.0}
    scale = height * 360 / 512
    middle = x * 640 + (0.46 - 0.5) * 512 * scale, 360 - (1 - 0.24) * 512 * scale
    face = np.s_[
        int(middle[1] - 40 * scale) : int(middle[1] + 40 * scale),
        int(middle[0] - 40 * scale) : int(middle[0] + 40 * scale),
    ]
    sharpness = [cv2.Laplacian(picture[face], cv2.CV_32F).std() for picture in (frame, out)]
    assert sharpness[1] < 0.35 * sharpness[0]


def test_a_face_that_the_network_loses_stays_covered_for_a_second() -> None:
    frame, _ = hang(wall(), 0.5)
    empty = wall()
    with opened("face") as task:
        looked(task, frame)
        out = np.zeros((360, 640, 3), np.uint8)
        assert task.run(Work([empty], task.defaults, at_s=100.8), out)["count"] == 1
        assert task.run(Work([empty], task.defaults, at_s=101.3), out)["count"] == 0
        assert np.array_equal(out, empty)


def test_a_face_that_walks_is_covered_in_every_picture() -> None:
    with opened("face") as task:
        for number in range(8):
            x = 0.3 + 0.06 * number  # half a face a picture
            frame, _ = hang(wall(), x, 0.7)
            out = np.zeros((360, 640, 3), np.uint8)
            assert task.run(Work([frame], task.defaults, at_s=number / 15), out)["present"] == 1
            scale = 0.7 * 360 / 512
            middle = x * 640 + (0.46 - 0.5) * 512 * scale, 360 - (1 - 0.24) * 512 * scale
            face = np.s_[
                int(middle[1] - 40 * scale) : int(middle[1] + 40 * scale),
                int(middle[0] - 40 * scale) : int(middle[0] + 40 * scale),
            ]
            bare = (out[face] == frame[face]).all(axis=2).mean()
            assert bare < 0.02


def test_a_newcomer_is_not_taken_for_somebody_who_has_gone() -> None:
    tracks: Tracks[str] = Tracks(keep_s=1.0)
    for number in range(20):
        tracks.update([((0.0, 0.0, 0.2, 0.2), f"a{number}"), ((0.3, 0.3, 0.5, 0.5), f"b{number}")], 10.0 * number)
        assert [track.before for track in tracks.all] == [None, None], "they are others: the last ones are long gone"
        tracks.update([((0.0, 0.0, 0.2, 0.2), f"c{number}")], 10.0 * number + 0.5)
        assert [track.before for track in tracks.all] == [f"a{number}", f"b{number}"]


def test_one_number_that_is_none_is_refused_and_does_not_stay() -> None:
    frame, _ = hang(wall(), 0.5)
    with opened("matte") as task:
        sound = task.session

        class Broken:
            provider, engine, run_s = sound.provider, "", 0.0

            def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
                outputs = {name: array.copy() for name, array in sound.run(inputs).items()}
                for array in outputs.values():
                    array[..., 5, 5] = np.nan
                return outputs

            def close(self) -> None:
                """Nothing."""

            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                """Nothing."""

        _, before = looked(task, frame, times=3)
        task.session = Broken()
        with pytest.raises(SessionError, match="not finite"):
            looked(task, frame)
        task.session = sound
        _, after = looked(task, frame, times=3)
    assert after["coverage"] == pytest.approx(before["coverage"], abs=0.02)


def test_the_whole_picture_and_all_of_its_squares_are_looked_at() -> None:
    for width, height in ((640, 360), (360, 640), (300, 300), (1920, 400)):
        covered = np.zeros((height, width), bool)
        for x, y, side, _ in parts(width, height)[1:]:
            assert 0 <= x <= width - side
            assert 0 <= y <= height - side
            covered[y : y + side, x : x + side] = True
        assert covered.all() or width == height


def test_a_cover_at_the_edge_of_the_picture_stays_within() -> None:
    for box in ((-0.1, -0.1, 0.1, 0.1), (0.95, 0.95, 1.2, 1.2), (2.0, 2.0, 2.1, 2.1)):
        cover(wall((64, 48)), box)


def test_tracks_keep_their_identity_and_are_forgotten_in_time() -> None:
    tracks: Tracks[str] = Tracks(keep_s=1.0)
    tracks.update([((0.0, 0.0, 0.2, 0.2), "a"), ((0.5, 0.5, 0.8, 0.8), "b")], 0.0)
    a, b = tracks.all
    tracks.update([((0.52, 0.5, 0.82, 0.8), "b2")], 0.5)
    assert (b.thing, b.runs, b.fresh) == ("b2", 2, True)
    assert (a.thing, a.runs, a.fresh) == ("a", 1, False)
    assert tracks.update([], 1.2) == [b]
