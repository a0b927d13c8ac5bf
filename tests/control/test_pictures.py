import threading
from pathlib import Path

import cv2
import numpy as np

from edge_runtime.control.background import Background
from edge_runtime.control.pictures import WAITING_PICTURES, PictureWriter, blur, copy_picture
from edge_runtime.layout import slot_bytes
from edge_runtime.memory import create_region, map_region
from edge_runtime.slots import SlotReader, SlotWriter

BGR = np.full((36, 64, 3), (10, 20, 30), np.uint8)


def write_all(
    background: Background, bell: threading.Semaphore, paths: list[Path], keep: int | None
) -> list[str | None]:
    writer = PictureWriter(background)
    results: list[str | None] = []
    for path in paths:
        writer.write(BGR.copy(), path, results.append, keep=keep)
        assert bell.acquire(timeout=5)
        background.tend()
    return results


def test_only_the_newest_pictures_are_kept_and_other_files_are_left_alone(tmp_path: Path) -> None:
    bell = threading.Semaphore(0)
    background = Background(bell.release)
    other = tmp_path / "notes.txt"
    other.write_text("keep me")
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    assert write_all(background, bell, paths, 3) == [None] * 6
    assert sorted(tmp_path.iterdir()) == [*paths[3:], other]
    read = cv2.imread(str(paths[-1]))
    assert read is not None
    assert (read == BGR).all()
    background.close()


def test_a_picture_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    bell = threading.Semaphore(0)
    background = Background(bell.release)
    (tmp_path / "file").write_text("in the way")
    (reason,) = write_all(background, bell, [tmp_path / "file" / "a.png"], None)
    assert reason is not None
    assert "a.png" in reason
    background.close()


def test_a_writer_with_enough_to_do_says_that_it_is_busy(tmp_path: Path) -> None:
    background = Background(lambda: None)
    writer = PictureWriter(background)
    for i in range(WAITING_PICTURES):
        assert not writer.busy
        writer.write(BGR.copy(), tmp_path / f"{i}.png", lambda _: None)
    assert writer.busy
    background.close()
    background.tend()


def test_a_copy_is_of_the_picture_asked_for_or_a_newer_one() -> None:
    region = map_region(create_region("presented", slot_bytes(36 * 64 * 4)))
    reader, slot = SlotReader(region), SlotWriter(region, 0)
    assert copy_picture(reader, 1) is None
    frame = slot.next((36, 64, 4))
    frame[...] = (10, 20, 30, 99)
    sequence = slot.publish(1.0, 1.0)
    assert copy_picture(reader, sequence + 1) is None
    copy = copy_picture(reader, sequence)
    assert copy is not None
    assert (copy == BGR).all()
    slot.next((36, 64, 4))[...] = 0
    assert (copy == BGR).all()


def test_a_blurred_picture_keeps_its_colours_and_loses_every_face() -> None:
    sharp = np.zeros((360, 640, 3), np.uint8)
    sharp[:, ::2] = 200  # stripes of one pixel
    soft = blur(sharp)
    assert soft.shape == sharp.shape
    assert float(soft.std()) < 3.0
    assert abs(float(soft.mean()) - float(sharp.mean())) < 3.0
