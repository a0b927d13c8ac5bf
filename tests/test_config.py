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

PARTICLES = 'kind = "particles"\npreset = "rain"\nbind.rate = { signal = "weather.rain", to = [0, 400] }'
WORDS = 'kind = "text"\nbind.text = { signal = "weather.rain", '


def write(folder: Path, text: str, name: str = "foyer.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def fault(folder: Path, old: str, new: str) -> str:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(write(folder, GOOD.replace(old, new, 1)))
    line = str(caught.value)
    assert not any(word in line for word in ("Input should", "a valid", "pattern", "tuple", "tag")), line
    return line


def test_a_good_config_survives_the_way_to_the_parts(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert DeviceConfig.model_validate(config.model_dump(mode="json", by_alias=True)) == config


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("range = [0, 10]", "rnge = [0, 10]", ["signals[0].rnge", "did you mean 'range'"]),
        ('device_id = "foyer"', "", ["device_id", "missing"]),
        ('device_id = "foyer"', 'device_id = "Foyer 1"', ["device_id", "'Foyer 1'"]),
        ('source = "synthetic"', "source = 3", ["cameras[0].source = 3: expected a text in quotes"]),
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
        ("to = [0, 400]", "to = [0, 4001]", ["scenes[0].layers[1].bind.rate.to = [0, 4001] is not within 0 to 4000"]),
        ("to = [0, 400]", "fallback = -1", [".bind.rate.fallback = -1 is not within 0 to 4000"]),
        ("to = [0, 400]", 'fallback = "x"', [".bind.rate.fallback = 'x': expected a number"]),
        ("to = [0, 400]", 'format = "{}"', [".bind.rate.format is for texts"]),
        ("to = [0, 400]", "to = 5", ["bind.rate.to = 5: expected two numbers, e.g. [0, 10]"]),
        ("to = [0, 400]", "to = [5]", ["bind.rate.to: expected two numbers, e.g. [0, 10]"]),
        ("to = [0, 400]", "to = [1, 2, 3]", ["bind.rate.to = [1, 2, 3]: expected two numbers, e.g. [0, 10]"]),
        (PARTICLES, WORDS + "smooth_s = 1.0 }", [".bind.text.smooth_s is for numbers and this is a text"]),
        (PARTICLES, WORDS + "to = [0, 1] }", [".bind.text.to is for numbers"]),
        (PARTICLES, WORDS + "from = [0, 1] }", [".bind.text.from is for numbers"]),
        (PARTICLES, WORDS + "format = '{:.0f' }", [".bind.text.format = '{:.0f'"]),
        (PARTICLES, WORDS + "format = '{0.size}' }", [".bind.text.format"]),
        (PARTICLES, WORDS + "format = '{rain}' }", [".bind.text.format"]),
        (
            'device_id = "foyer"',
            'device_id = "foyer"\ndisplay.canvas_px = [0, 5]',
            ["canvas_px[0] = 0: expected at least 1"],
        ),
        ('device_id = "foyer"', 'device_id = "foyer"\ndisplay.canvas_px = 5', ["expected width and height"]),
        ("size_px = [320, 180]", "size_px = [320, 99999]", ["size_px[1] = 99999: expected at most 16384"]),
        ('preset = "rain"', 'preset = "rain"\ncolour = [0, 0, 256]', ["colour[2] = 256: expected at most 255"]),
        ('preset = "rain"', 'preset = "rain"\ncolour = "red"', ["colour = 'red': expected red, green and blue"]),
        ('device_id = "foyer"', 'device_id = "foyer"\nrate_hz = 1', ["rate_hz = 1: expected at least 5 or 'display'"]),
        ('source = "synthetic"', 'source = "rstp://h/s"', ["cameras[0].source = 'rstp://h/s': expected synthetic"]),
        ('name = "mirror"', 'name = "mirror"\nlayers = 5\n[[scenes]]\nname = "b"', ["layers = 5: expected a list"]),
        (
            'kind = "particles"',
            'kind = "particle"',
            [".kind = 'particle': expected picture, cutout, fill, text or particles"],
        ),
        ('kind = "particles"', 'kind = "particle"', ["; did you mean 'particles'?"]),
        ('kind = "particles"', "", ["layers[1].kind: is missing; expected picture, cutout, fill, text or particles"]),
        ('name = "mirror"', 'name = "Mirror"', ["scenes[0].name = 'Mirror': expected small letters, digits, - and _"]),
        ("[[scenes]]", "[scenes]\n[scenes]", ["not TOML", "; write [[scenes]], with two brackets"]),
    ],
)
def test_every_fault_is_one_line_that_says_where_and_what(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    line = fault(tmp_path, old, new)
    assert "\n" not in line
    assert str(tmp_path / "foyer.toml") in line
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "section",
    [
        '[mqtt]\nurl = "mqtt://user:s3cret@h"',
        '[[cameras]]\nname = "b"\nsurce = "rtsp://u:s3cret@h/stream"',
        '[[cameras]]\nname = "b"\nsource = "rstp://u:s3cret@h/stream"',
        '[mqtt]\nurl = "mqtt://h"\npassword = "s3cret"',
        'mqtt = "mqtt://u:s3cret@h"',
        f'[mqtt]\nurl = "{"h" * 60}://user-with-a-long-name:s3cret@h"',
    ],
)
def test_no_fault_shows_a_secret(tmp_path: Path, section: str) -> None:
    top = section.startswith("mqtt")
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, f"{section}\n{GOOD}" if top else f"{GOOD}{section}\n"))
    assert "s3cret" not in str(caught.value)
    assert "mqtt" in str(caught.value) or "cameras[1]" in str(caught.value)


def test_a_binding_may_fill_a_format_from_a_number_a_text_or_a_vector(tmp_path: Path) -> None:
    for template in ("{:.0f} °C", "«{:>10s}»", "{:.0f} / {:.0f}", "plain"):
        config = load(
            write(tmp_path, GOOD.replace(PARTICLES, WORDS + f'format = "{template}" }}').replace("hide", "#"))
        )
        assert config.scenes[0].layers[1].bind["text"].format == template


def test_files_are_looked_up_beside_the_config_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    more = '[mqtt]\nurl = "mqtts://h"\nca_file = "ca.pem"\npassword_file = "secret"\n'
    text = GOOD.replace('bundle = "stylize"', 'bundle = "mine/stylize"').replace("hide", "#")
    (tmp_path / "ca.pem").write_text("")
    config = load(write(tmp_path, text.replace(PARTICLES, 'kind = "text"\nfont = "gone.ttf"') + more))
    assert config.models[0].bundle == str(tmp_path / "mine/stylize")
    assert config.mqtt is not None
    assert config.mqtt.ca_file == str(tmp_path / "ca.pem")
    errors = [finding.text for finding in check(config) if finding.level == "error"]
    assert errors == [
        f"mqtt.password_file = '{tmp_path / 'secret'}': no such file",
        f"scenes[0].layers[1].font = '{tmp_path / 'gone.ttf'}': no such file",
    ]


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


def test_a_table_of_an_included_name_changes_that_one_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "base.toml")
    own = 'include = ["base.toml"]\n[[models]]\nname = "stylize"\nsize_px = [272, 480]\nset = { "style.a" = 1.0 }\n'
    own += '[[ladder]]\nname = "light"\nmodels.stylize.rate_hz = 10\n[[ladder]]\nname = "least"\n'
    config = load(write(tmp_path, own))
    (model,) = config.models
    assert (model.size_px, model.input, model.set) == ((272, 480), "camera.main", {"style.a": 1.0})
    assert [rung.name for rung in config.ladder] == ["full", "light", "least"]
    assert (config.ladder[1].hide, config.ladder[1].models["stylize"].rate_hz) == (["mirror/particles"], 10)


@pytest.mark.parametrize("where", ["in one file", "in two includes"])
def test_a_name_that_is_there_twice_is_refused_all_the_same(tmp_path: Path, where: str) -> None:
    write(tmp_path, GOOD, "base.toml")
    again = '[[cameras]]\nname = "main"\nsource = "synthetic"\n'
    write(tmp_path, again, "again.toml")
    own = 'include = ["base.toml"]\n' + 2 * again if where == "in one file" else 'include = ["base.toml", "again.toml"]'
    with pytest.raises(ConfigError, match="cameras: 'main' is there twice"):
        load(write(tmp_path, own))


def test_what_a_config_names_is_looked_up_beside_it_first_and_then_among_those_that_we_ship(tmp_path: Path) -> None:
    own = 'include = ["scenes/drift.toml"]\ndevice_id = "foyer"\nreplay = { file = "replays/evening.jsonl" }\n'
    own += 'signals = [{ name = "crowd.energy" }, { name = "weather.temperature" }, { name = "weather.wind" }]\n'
    config = load(write(tmp_path, own))
    assert (config.first_scene, check(config)) == ("drift", [])
    (tmp_path / "scenes").mkdir()
    write(tmp_path, '[[scenes]]\nname = "mine"\nlayers = [{ kind = "fill" }]', "scenes/drift.toml")
    assert load(tmp_path / "foyer.toml").first_scene == "mine"


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


def test_a_scene_needs_the_models_of_its_pictures_its_bindings_and_all_that_those_need() -> None:
    picture = {"kind": "picture", "source": "picture.between", "fallback": ["picture.painted"]}
    rain = {"kind": "particles", "preset": "rain", "bind": {"rate": {"signal": "crowd"}}}
    config = DeviceConfig.model_validate(
        {
            "device_id": "foyer",
            "cameras": [{"source": "synthetic"}],
            "signals": [{"name": "crowd", "model": "people.count"}, {"name": "wave", "model": "words.style.wave"}],
            "models": [
                {"name": "paint", "bundle": "b", "input": "camera.main", "output": "picture.painted"}
                | {"bind": {"style.wave": {"signal": "wave"}}},
                {"name": "between", "bundle": "b", "input": "picture.painted", "output": "picture.between"},
                {"name": "people", "bundle": "b", "input": "camera.main"},
                {"name": "words", "bundle": "b"},
                {"name": "counter", "bundle": "b", "rest": "never"},
            ],
            "scenes": [
                {"name": "mirror", "layers": [picture]},
                {"name": "crowd", "layers": [rain]},
                {"name": "dark", "layers": [{"kind": "fill"}]},
            ],
        }
    )
    assert config.models_of(["dark"]) == {"counter"}
    assert config.models_of(["crowd"]) == {"people", "counter"}
    assert config.models_of(["mirror"]) == {"between", "paint", "words", "counter"}
    assert config.models_of(["mirror", "crowd"]) == {model.name for model in config.models}


def test_a_signal_of_a_model_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    words = fault(tmp_path, 'mqtt = "venue/weather"', 'model = "people.count"')
    assert "signals[0].model = 'people' is not declared" in words
