import numpy as np
import pytest

from edge_runtime.config.scenes import PictureConfig
from edge_runtime.layers import PictureLayer, PictureSource
from edge_runtime.slots import SlotFrame, SlotReader
from tests.layers.stage import Show, Slot, blank

CAMERA = ["camera.main"]


def open_picture(config: PictureConfig, **slots: Slot) -> tuple[Show, PictureLayer]:
    sources = {name.replace("_", "."): slot.source for name, slot in slots.items()}
    show = Show(config, sources=sources)
    assert isinstance(show.layer, PictureLayer)
    return show, show.layer


def mirror(**keys: object) -> PictureConfig:
    return PictureConfig.model_validate({"name": "p", "kind": "picture", "source": "picture.stylized", **keys})


def shown(layer: PictureLayer) -> tuple[str, int] | None:
    return (layer.shown[0], layer.shown[1].sequence) if layer.shown else None


def test_the_first_source_that_is_fresh_is_shown() -> None:
    stylized, camera = Slot(), Slot()
    config = mirror(fallback=CAMERA, fade_s=0.0)
    show, layer = open_picture(config, picture_stylized=stylized, camera_main=camera)
    canvas = blank(64, 36)
    show.draw(canvas)
    assert shown(layer) is None
    camera.write(100, show.clock.now_s())
    show.draw(canvas)
    assert shown(layer) == ("camera.main", 1)
    assert (canvas[..., :3] == 100).all()
    stylized.write(150, show.clock.now_s())
    stylized.write(200, show.clock.now_s())
    show.draw(canvas)
    assert shown(layer) == ("picture.stylized", 2)
    assert (canvas[..., :3] == 200).all()


def test_a_source_that_stops_is_left_when_it_is_stale_and_not_before() -> None:
    stylized, camera = Slot(), Slot()
    show, layer = open_picture(
        mirror(fallback=CAMERA, stale_after_s=0.3), picture_stylized=stylized, camera_main=camera
    )
    canvas = blank(64, 36)
    stopped_s = show.clock.now_s()
    stylized.write(200, stopped_s)
    left_s = None
    for _ in range(40):
        camera.write(100, show.clock.now_s())
        timeline = show.draw(canvas)
        if left_s is None and layer.shown and layer.shown[0] == "camera.main":
            left_s = timeline.now_s - stopped_s
    assert left_s == pytest.approx(0.3, abs=0.02)


def test_a_model_slower_than_promised_is_shown_all_the_same() -> None:
    stylized = Slot(interval_s=1.0 / 30.0)
    show, layer = open_picture(mirror(), picture_stylized=stylized)
    canvas, names = blank(64, 36), []
    for frame in range(120):
        if frame % 20 == 0:  # three a second
            stylized.write(200, show.clock.now_s())
        show.draw(canvas)
        names.append(layer.shown is not None)
    assert all(names[20:])


def test_one_gap_and_a_fallback_that_nobody_looked_at_teach_no_patience() -> None:
    stylized, camera = Slot(), Slot()
    show, layer = open_picture(mirror(fallback=CAMERA), picture_stylized=stylized, camera_main=camera)
    canvas = blank(64, 36)
    for frame in range(240):
        if frame % 2 == 0 and not 100 < frame < 220:  # a gap of two seconds, ten frames, and the end of both
            stylized.write(200, show.clock.now_s())
        if frame % 2 == 0 and not 120 < frame < 180:
            camera.write(60, show.clock.now_s())
        show.draw(canvas)
    show.play(canvas, 18)
    assert layer.shown is None


def test_a_cross_fade_rises_steadily_from_one_picture_to_the_other() -> None:
    stylized, camera = Slot(), Slot()
    show, _ = open_picture(mirror(fallback=CAMERA, fade_s=0.4), picture_stylized=stylized, camera_main=camera)
    canvas, levels = blank(64, 36), []
    camera.write(60, show.clock.now_s())
    show.draw(canvas)
    for _ in range(30):
        stylized.write(220, show.clock.now_s())
        show.draw(canvas)
        levels.append(float(canvas[..., :3].mean()))
    steps = np.diff([60.0, *levels])
    assert (steps >= 0.0).all()
    assert steps.max() < 0.1 * 160
    assert levels[-1] == 220.0
    assert sum(60.0 < level < 220.0 for level in levels) > 15


def test_a_fade_that_is_interrupted_starts_from_what_is_on_the_glass() -> None:
    stylized, camera = Slot(), Slot()
    config = mirror(fallback=CAMERA, fade_s=0.4, stale_after_s=0.1)
    show, _ = open_picture(config, picture_stylized=stylized, camera_main=camera)
    canvas, levels = blank(64, 36), []
    for frame in range(60):
        camera.write(60, show.clock.now_s())
        if 10 <= frame < 16:  # comes, and stops before its fade is over
            stylized.write(220, show.clock.now_s())
        show.draw(canvas)
        levels.append(float(canvas[..., :3].mean()))
    assert max(levels) > 100.0
    assert np.abs(np.diff(levels[5:])).max() < 0.12 * 160
    assert levels[-1] == 60.0


def test_without_any_source_the_picture_is_never_black_and_never_frozen() -> None:
    slot = Slot()
    show, layer = open_picture(mirror(), picture_stylized=slot)
    canvas = blank(160, 90)
    show.draw(canvas)
    first = canvas.copy()
    show.play(canvas, 60)
    assert layer.shown is None
    assert canvas[..., :3].mean() > 8.0
    assert (canvas != first).mean() > 0.1


def test_the_way_to_the_procedural_picture_and_back_is_never_black() -> None:
    slot = Slot()
    show, _ = open_picture(mirror(fade_s=0.3), picture_stylized=slot)
    canvas, levels = blank(160, 90), []
    for frame in range(150):
        if frame < 30 or frame > 100:
            slot.write(200, show.clock.now_s())
        show.draw(canvas)
        levels.append(float(canvas[..., :3].mean()))
    assert min(levels) > 8.0
    assert np.abs(np.diff(levels)).max() < 30.0


class _Overtaken(SlotReader):
    """A real reader beside a writer that laps it: while it looks at a frame, four newer ones are written."""

    def __init__(self, slot: Slot, region_reader: SlotReader, laps: int) -> None:
        self.__dict__.update(region_reader.__dict__)
        self._slot, self._laps = slot, laps
        self.looks = 0

    def latest(self) -> SlotFrame | None:
        frame = super().latest()
        self.looks += 1
        if frame is not None and self._laps > 0:
            self._laps -= 1
            for _ in range(4):
                self._slot.write(int(frame.array[0, 0, 0]) + 10, frame.published_s)
        return frame


def test_a_frame_that_was_overwritten_while_it_was_drawn_is_taken_again() -> None:
    slot = Slot()
    reader = _Overtaken(slot, slot.source.reader, laps=1)
    show = Show(mirror(), sources={"picture.stylized": PictureSource(reader, 1 / 30)})
    assert isinstance(show.layer, PictureLayer)
    canvas = blank(64, 36)
    slot.write(100, show.clock.now_s())
    show.draw(canvas)
    assert reader.looks == 2
    assert (canvas[..., :3] == 110).all()
    assert show.layer.shown is not None
    assert show.layer.shown[1].sequence == 5


def test_a_writer_that_always_laps_the_reader_does_not_hold_up_the_frame() -> None:
    slot = Slot()
    reader = _Overtaken(slot, slot.source.reader, laps=1000)
    show = Show(mirror(), sources={"picture.stylized": PictureSource(reader, 1 / 30)})
    canvas = blank(64, 36)
    slot.write(1, show.clock.now_s())
    show.draw(canvas)
    assert reader.looks <= 4
    assert canvas[..., :3].min() > 0


def halves(width_px: int, height_px: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = np.zeros((height_px, width_px, 3), np.uint8)
    picture[:, width_px // 2 :] = 200
    return picture


def test_mirror_turns_left_and_right() -> None:
    slot = Slot()
    show, _ = open_picture(mirror(mirror=True), picture_stylized=slot)
    canvas = blank(128, 72)
    slot.writer.write(halves(64, 36), 0.0, show.clock.now_s())
    show.draw(canvas)
    assert canvas[:, :50, :3].min() == 200
    assert canvas[:, 78:, :3].max() == 0


def test_cover_cuts_and_contain_shows_all() -> None:
    frame = np.full((36, 64, 3), 100, np.uint8)
    frame[:, :8] = frame[:, -8:] = 250
    for fit, brightest in (("cover", 100), ("contain", 250)):
        slot = Slot()
        show, _ = open_picture(mirror(fit=fit), picture_stylized=slot)
        canvas = blank(72, 72)
        slot.writer.write(frame, 0.0, show.clock.now_s())
        show.draw(canvas)
        middle = canvas[30:42, :, :3]
        assert abs(int(middle.max()) - brightest) <= 12
        assert canvas[..., :3].min() > 0, "beside the picture it is never black"


def test_a_slow_zoom_does_not_tremble() -> None:
    slot = Slot()
    show, _ = open_picture(mirror(), picture_stylized=slot)
    edges = []
    frame = np.zeros((36, 64, 3), np.uint8)
    frame[:, 40:] = 200
    slot.writer.write(frame, 0.0, show.clock.now_s() + 1e6)
    for zoom in np.linspace(1.0, 2.0, 60):
        canvas = blank(640, 360)
        show.draw(canvas, zoom=float(zoom))
        edges.append(int(np.argmax(canvas[180, :, 0] > 100)))
    steps = np.diff(edges)
    assert steps.min() >= 0
    assert steps.max() <= 3
    assert edges[-1] - edges[0] == pytest.approx(80, abs=4)


def test_saturation_zero_is_grey_and_gain_brightens() -> None:
    slot = Slot()
    show, _ = open_picture(mirror(), picture_stylized=slot)
    slot.writer.write(np.full((36, 64, 3), (20, 60, 120), np.uint8), 0.0, show.clock.now_s() + 1e6)
    canvas = blank(64, 36)
    show.draw(canvas, saturation=0.0)
    assert np.ptp(canvas[0, 0, :3]) <= 1
    assert canvas[0, 0, 0] == pytest.approx(0.114 * 20 + 0.587 * 60 + 0.299 * 120, abs=1)
    show.draw(canvas, gain=2.0)
    np.testing.assert_allclose(canvas[0, 0, :3], (40, 120, 240), atol=1)


def test_the_box_keeps_the_picture_inside() -> None:
    slot = Slot()
    show, _ = open_picture(mirror(box=(0.25, 0.5, 0.75, 1.0)), picture_stylized=slot)
    canvas = blank(100, 60, 5)
    slot.write(200, show.clock.now_s())
    show.draw(canvas)
    assert (canvas[30:, 25:75, :3] == 200).all()
    assert (canvas[:30] == 5).all()
    assert (canvas[:, :25] == 5).all()
