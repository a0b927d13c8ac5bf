"""Device configs: every fault is one line that names file, key, value and remedy."""

from pathlib import Path

import pytest

from edge_runtime.config import DeviceConfig, check, load
from edge_runtime.errors import ConfigError

GOOD = """
device_id = "foyer"
[[cameras]]
source = "synthetic"
[[signals]]
name = "weather.rain"
mqtt = "venue/weather"
pointer = "/rain_mm_h"
range = [0, 10]
[[models]]
name = "stylize"
bundle = "stylize"
input = "camera.main"
output = "picture.stylized"
[[scenes]]
name = "mirror"
[[scenes.layers]]
kind = "picture"
source = "picture.stylized"
fallback = ["camera.main"]
[[scenes.layers]]
kind = "particles"
preset = "rain"
bind.rate = { signal = "weather.rain", to = [0, 400] }
[[ladder]]
name = "full"
[[ladder]]
name = "light"
models.stylize = { size_px = [320, 180] }
hide = ["mirror/particles"]
"""


def write(folder: Path, text: str, name: str = "foyer.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def fault(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(write(folder, GOOD.replace(old, new, 1)))
    return str(caught.value)


def test_a_good_config_survives_the_way_to_the_parts(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert DeviceConfig.model_validate(config.model_dump(mode="json", by_alias=True)) == config


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("range = [0, 10]", "rnge = [0, 10]", ["signals[0].rnge", "did you mean 'range'"]),
        ('device_id = "foyer"', "", ["device_id", "missing"]),
        ('device_id = "foyer"', 'device_id = "Foyer 1"', ["device_id", "'Foyer 1'"]),
        ('source = "synthetic"', "source = 3", ["cameras[0].source = 3", "string"]),
        ('source = "synthetic"', "", ["cameras[0]", "either source or pipe"]),
        ('signal = "weather.rain"', 'signal = "weather.ran"', ["bind.rate.signal = 'weather.ran'", "weather.rain"]),
        ("bind.rate", "bind.rte", ["scenes[0].layers[1]", "bind.rte", "rate"]),
        ('preset = "rain"', 'preset = "hail"', ["layers[1].preset = 'hail'", "'snow'"]),
        ('input = "camera.main"', 'input = "camera.door"', ["models[0].input = 'camera.door'", "camera.main"]),
        ('fallback = ["camera.main"]', 'fallback = ["camera.x"]', ["layers[0].fallback = 'camera.x'", "procedural"]),
        (
            'hide = ["mirror/particles"]',
            'hide = ["mirror/rain"]',
            ["ladder[1].hide = 'mirror/rain'", "mirror/particles"],
        ),
        ("range = [0, 10]", "range = [10, 0]", ["signals[0]", "range", "empty"]),
        ('name = "weather.rain"', 'name = "clock.hour"', ["signals", "'clock.hour' is there twice"]),
        ('name = "light"', 'name = "full"', ["ladder", "'full' is there twice"]),
        ("[[cameras]]", "[cameras]", ["cameras", "[[cameras]]"]),
        ('kind = "particles"', 'kind = "particals"', ["layers[1]", "particals"]),
        ("[[scenes]]", "= nonsense", ["not TOML", "line"]),
    ],
)
def test_every_fault_is_one_line_that_says_where_and_what(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    line = fault(tmp_path, old, new)
    assert "\n" not in line
    assert str(tmp_path / "foyer.toml") in line
    for word in words:
        assert word in line


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        load(tmp_path / "nowhere.toml")


def test_includes_join_lists_and_the_including_file_wins(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[[scenes]]\nname = "night"\n[[scenes.layers]]\nkind = "fill"\n[display]\nrotation = 90\nwindowed = true',
        "night.toml",
    )
    config = load(write(tmp_path, 'include = ["night.toml"]\n' + GOOD + "[display]\nrotation = 180\n"))
    assert [scene.name for scene in config.scenes] == ["night", "mirror"]
    assert (config.display.rotation, config.display.windowed) == (180, True)


def test_a_file_that_includes_itself_is_told_so(tmp_path: Path) -> None:
    write(tmp_path, 'include = ["foyer.toml"]', "loop.toml")
    with pytest.raises(ConfigError, match="includes itself"):
        load(write(tmp_path, 'include = ["loop.toml"]\n' + GOOD))


def test_unnamed_layers_are_named_after_their_kind(tmp_path: Path) -> None:
    more = '[[scenes.layers]]\nkind = "particles"\npreset = "snow"\n[[ladder]]'
    config = load(write(tmp_path, GOOD.replace("[[ladder]]", more, 1)))
    assert [layer.name for layer in config.scenes[0].layers] == ["picture", "particles", "particles-2"]


def test_signals_without_a_broker_are_worth_a_warning(tmp_path: Path) -> None:
    (finding,) = check(load(write(tmp_path, GOOD)))
    assert (finding.level, "weather.rain" in finding.text) == ("warning", True)


def test_a_missing_recording_is_an_error(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD + '[replay]\nfile = "gone.jsonl"\n'))
    assert any(finding.level == "error" and "gone.jsonl" in finding.text for finding in check(config))


@pytest.mark.parametrize("path", sorted(Path("device_configs").glob("*.toml")), ids=lambda path: path.name)
def test_every_config_we_ship_is_right(path: Path) -> None:
    config = load(path)
    assert not [finding for finding in check(config) if finding.level == "error"]
