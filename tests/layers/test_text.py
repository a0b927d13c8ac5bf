import numpy as np
import pytest

from edge_runtime.config.scenes import TextConfig
from edge_runtime.errors import ConfigError
from edge_runtime.lettering import Face, Wording
from tests.layers.stage import Show, blank

SIZE = (480, 270)


def words(**keys: object) -> TextConfig:
    return TextConfig.model_validate({"name": "t", "kind": "text", "size": 0.1, "at": (0.5, 0.5), **keys})


def drawn(show: Show, text: str, frames: int, level: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    for _ in range(frames):
        canvas = blank(*SIZE, level)
        show.draw(canvas, text=text)
    return canvas[..., 0]


def test_words_appear_where_the_anchor_says() -> None:
    for anchor, left, right in (("left", 0.5, 0.9), ("centre", 0.3, 0.7), ("right", 0.1, 0.5)):
        ink = drawn(Show(words(anchor=anchor)), "crisp words", 60)
        columns = np.flatnonzero((ink > 128).any(axis=0))
        assert left * SIZE[0] - 3 <= columns.min()
        assert columns.max() <= right * SIZE[0] + 3
        rows = np.flatnonzero((ink > 128).any(axis=1))
        assert abs(rows.mean() - SIZE[1] / 2) < 6


def test_a_long_text_is_wrapped_inside_its_width() -> None:
    ink = drawn(Show(words(max_width=0.5)), "as many words as it takes to fill four lines or so of text", 60)
    columns = np.flatnonzero((ink > 128).any(axis=0))
    assert np.ptp(columns) <= 0.5 * SIZE[0]
    rows = (ink > 128).any(axis=1).astype(int)
    assert (np.diff(rows) == 1).sum() >= 3


def test_wrapping_keeps_every_word_and_every_line_break() -> None:
    face = Face()
    lines = face.wrap("one two three\nfour  five", 20, 400, face.width_px("one two", 20, 400) + 1)
    assert lines == ["one two", "three", "four", "five"]


def test_a_change_of_words_cross_fades() -> None:
    show = Show(words(fade_s=0.4))
    drawn(show, "IIIIIIII", 60)
    old = drawn(show, "IIIIIIII", 1) > 128
    new = drawn(Show(words()), "________", 60) > 200
    totals = []
    for _ in range(40):
        ink = drawn(show, "________", 1)
        totals.append((float(ink[old].mean()), float(ink[new].mean())))
    leaving, coming = zip(*totals, strict=True)
    assert (np.diff(leaving) <= 0.5).all()
    assert (np.diff(coming) >= -0.5).all()
    assert leaving[-1] < 30
    assert coming[-1] > 200
    assert any(60 < level < 180 for level in leaving)


def test_words_that_change_every_frame_still_appear() -> None:
    show = Show(words(fade_s=0.1))
    for number in range(90):
        ink = drawn(show, f"{number} visitors", 1)
    assert ink.max() > 150


def test_no_words_fade_away() -> None:
    show = Show(words(fade_s=0.1))
    assert drawn(show, "here", 30).max() == 255
    assert drawn(show, "", 30).max() == 0


def test_letters_have_soft_edges_and_the_colour_asked_for() -> None:
    show = Show(words(colour=(255, 128, 0)))
    for _ in range(40):
        canvas = blank(*SIZE)
        show.draw(canvas, text="smooth")
    ink = canvas[..., 2]
    assert len(np.unique(ink)) > 30
    np.testing.assert_allclose(canvas[np.unravel_index(ink.argmax(), ink.shape)][:3], (0, 128, 255), atol=1)


def test_a_plate_makes_white_words_readable_over_white() -> None:
    plain = drawn(Show(words()), "on snow", 40, level=255)
    plate = drawn(Show(words(shade=0.6)), "on snow", 40, level=255)
    assert plate[SIZE[1] // 2 - 8 : SIZE[1] // 2 + 8, 180:300].min() < 120
    assert plate.mean() < plain.mean()


def test_other_scripts_have_letters() -> None:
    show = Show(words())
    pictures = [drawn(show, text, 60) for text in ("größe", "Ελλάδα", "日本", "??")]
    for picture in pictures[:3]:
        assert picture.max() == 255
        assert (picture != pictures[3]).any()


def test_a_font_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.ttf"):
        Show(words(font="/nowhere.ttf"))


@pytest.mark.parametrize("text", ["W" * 300 + "a\n" * 1200, "a\n" * 198, "W" * 400, "wide words " * 700])
def test_no_words_make_a_sprite_or_a_step_that_kills_the_show(text: str) -> None:
    face = Face()
    lines = face.wrap(text, 32, 900, 600)
    assert len(lines) <= 8
    assert max(face.width_px(line, 32, 900) for line in lines) <= 1200
    sprite = face.set_now(Wording(text, 40, 600, weight=900))
    assert (sprite.height_px, sprite.width_px) <= (8 * 40 + 60, 1260)


def test_words_stay_while_the_canvas_changes_its_size() -> None:
    show = Show(words(fade_s=0.5))
    whole = drawn(show, "here to stay", 60)
    for frame in range(40):
        canvas = blank(SIZE[0] // 2, SIZE[1] // 2)
        show.draw(canvas, text="here to stay")
        ink = canvas[..., 0]
        assert ink.max() > 200, frame
        assert 4 * ink.astype(int).sum() == pytest.approx(whole.astype(int).sum(), rel=0.15), frame
