"""What `send` and `why` say to people, without a device."""

import re

import pytest

from edge_runtime.__main__ import main
from edge_runtime.cli.send import parse_arguments, usage
from edge_runtime.cli.why import tell
from edge_runtime.commands import COMMANDS
from edge_runtime.errors import EdgeError


@pytest.mark.parametrize(
    ("name", "pairs", "line"),
    [
        ("set", ["parameter=a/b.c"], "set needs parameter= and value= [for_s=]"),
        ("scene", [], "scene needs scene= [fade_s=] [at=]"),
        ("brightness", ["40"], "brightness 40: expected percent=, e.g. percent=40"),
        ("set", ["a/b.c"], "set a/b.c: expected parameter= value= [for_s=]"),
        ("screenshot", ["now"], "screenshot now: expected no arguments"),
    ],
)
def test_an_argument_that_is_missing_is_named(name: str, pairs: list[str], line: str) -> None:
    with pytest.raises(EdgeError) as caught:
        parse_arguments(name, pairs)
    assert str(caught.value) == line


def test_values_are_json_and_words_stay_words() -> None:
    assert parse_arguments("set", ["parameter=a/b.c", "value=1.5"]) == {"parameter": "a/b.c", "value": 1.5}
    assert parse_arguments("set", ["parameter=a/b.c", "value=null"])["value"] is None
    assert parse_arguments("set", ["parameter=a/b.c", 'value="40"'])["value"] == "40"
    assert parse_arguments("prompt", ["text=42"]) == {"text": "42"}
    assert parse_arguments("prompt", ["text=a=b"]) == {"text": "a=b"}


def test_help_lists_every_command_with_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["send", "--help"])
    shown = capsys.readouterr().out
    for name in COMMANDS:
        needed, optional = usage(name)
        assert re.search(rf"^  {' '.join(map(re.escape, [name, *needed, *optional]))}( |$)", shown, re.MULTILINE), name


def test_a_broker_with_a_password_is_refused_without_showing_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["send", "box", "screenshot", "--url", "mqtt://user:s3cret@h"]) == 2
    line = capsys.readouterr().err
    assert "--url 'mqtt://***@h'" in line
    assert "s3cret" not in line


SIGNAL = {"by": "signal", "signal": "weather.rain", "raw": 6.0, "age_s": 5.8}


@pytest.mark.parametrize(
    ("why", "line"),
    [
        (
            {"value": 924.0123456, "mapped": 1080.00001, "filters": ["smoothing 3 s"], **SIGNAL},
            "a = 924 (signal weather.rain = 6, 5.8 s old, mapped to 1080, smoothing 3 s)",
        ),
        ({"value": 0.123456, "by": "fixed"}, "a = 0.1235 (fixed in the config)"),
        ({"value": 12345.6, "by": "held", "left_s": 2.0}, "a = 12346 (held by a command for 2 s more)"),
        ({**SIGNAL, "value": "6 mm", "filters": []}, "a = '6 mm' (signal weather.rain = 6, 5.8 s old)"),
        ({**SIGNAL, "value": 1.0, "raw": [0.5, 2.0]}, "a = 1 (signal weather.rain = [0.5, 2], 5.8 s old)"),
        ({**SIGNAL, "value": 1.0, "by": "fallback"}, "a = 1 (fallback: signal weather.rain = 6, 5.8 s old, stale)"),
    ],
)
def test_why_is_one_line_that_people_can_read(why: dict[str, object], line: str) -> None:
    assert tell("a", why) == line
