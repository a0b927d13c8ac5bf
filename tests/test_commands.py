import json
import random
from typing import Any

import pytest

from edge_runtime.commands import (
    REMEMBERED_IDS,
    BrightnessCommand,
    CommandRefused,
    Judge,
    SceneCommand,
    SetCommand,
    Vocabulary,
    read_json,
)
from edge_runtime.errors import Refused
from tests.control.venue import bad_commands, box_config

NOW = 1_800_000_000.0
VOCABULARY = Vocabulary.build(box_config(), {"stylize": {"style.ink_wave": (0.0, 1.0)}})


def payload(args: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"id": "a", "issued_at": NOW, "expires_s": 10, "args": args, **changes}).encode()


def parse(judge: Judge, name: str, raw: bytes, *, now: float = NOW, waited_s: float = 0.0) -> Any:
    return judge.parse(name, raw, retained=False, now_unix_s=now, waited_s=waited_s)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("scene", {"scene": "night", "fade_s": 2.5, "at": NOW + 60}),
        ("set", {"parameter": "mirror/fill.speed", "value": 0.5, "for_s": 3}),
        ("set", {"parameter": "mirror/text.text", "value": "Größe 10"}),
        ("set", {"parameter": "models.stylize.style.ink_wave", "value": 1}),
        ("set", {"parameter": "mirror/fill.speed", "value": None}),
        ("prompt", {"text": "a sea of\nglass 🌊"}),
        ("blackout", {"on": False}),
        ("brightness", {"percent": 0}),
        ("screenshot", {}),
        ("identify", {"seconds": 60}),
        ("restart-part", {"part": "worker:main"}),
    ],
)
def test_every_command_of_the_contract_is_understood(name: str, args: dict[str, Any]) -> None:
    order = parse(Judge(VOCABULARY), name, payload(args))
    assert order.id == "a"
    assert name == order.command.NAME
    assert {key: value for key, value in order.command.model_dump().items() if key in args} == args


def test_two_hundred_bad_commands_are_refused_each_with_its_reason() -> None:
    judge = Judge(Vocabulary.build(box_config(), {}))
    rng = random.Random(2026)
    commands = list(bad_commands(rng, 200, obeyed_id="first"))
    issued = json.loads(next(c.payload for c in commands if c.reason == "retained"))["issued_at"]
    good = {"id": "first", "issued_at": issued, "expires_s": 30, "args": {"on": True}}
    judge.parse("blackout", json.dumps(good).encode(), retained=False, now_unix_s=issued)
    for bad in commands:
        with pytest.raises(CommandRefused) as refused:
            judge.parse(bad.name, bad.payload, retained=bad.retained, now_unix_s=issued)
        assert bad.reason in str(refused.value), bad
        assert refused.value.command_id == bad.command_id, bad
        assert len(str(refused.value)) < 400


def test_a_refused_command_does_not_use_up_its_id() -> None:
    judge = Judge(VOCABULARY)
    with pytest.raises(CommandRefused):
        parse(judge, "brightness", payload({"percent": 200}))
    assert parse(judge, "brightness", payload({"percent": 20})).command == BrightnessCommand(percent=20)


def test_only_the_last_thousand_ids_are_remembered() -> None:
    judge = Judge(VOCABULARY)
    for i in range(REMEMBERED_IDS + 1):
        parse(judge, "screenshot", payload({}, id=f"n{i}"))
    with pytest.raises(CommandRefused, match="duplicate"):
        parse(judge, "screenshot", payload({}, id="n1"))
    parse(judge, "screenshot", payload({}, id="n0"))


def test_expiry_allows_for_clocks_that_are_a_little_apart() -> None:
    judge = Judge(VOCABULARY)
    parse(judge, "screenshot", payload({}, id="early"), now=NOW - 50)
    parse(judge, "screenshot", payload({}, id="late"), now=NOW + 11)
    with pytest.raises(CommandRefused, match=r"expired: issued 13\.0 s ago"):
        parse(judge, "screenshot", payload({}, id="expired"), now=NOW + 13)
    with pytest.raises(CommandRefused, match="61 s in the future"):
        parse(judge, "screenshot", payload({}, id="future"), now=NOW - 61)


def test_a_box_with_a_wrong_clock_judges_by_arrival() -> None:
    judge = Judge(VOCABULARY, trust_clock=False)
    parse(judge, "screenshot", payload({}, id="1970"), now=0.0)
    with pytest.raises(CommandRefused, match="waited"):
        parse(judge, "screenshot", payload({}, id="slow"), now=0.0, waited_s=10.5)
    with pytest.raises(CommandRefused, match="not trusted"):
        parse(judge, "scene", payload({"scene": "night", "at": NOW + 5}), now=NOW)


def test_commands_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SceneCommand(scene="night").scene = "mirror"  # type: ignore[misc]
    assert SetCommand(parameter="mirror/fill.speed", value=None).value is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"revision": "7"}, "revision = '7'"),
        ({"scene": "night"}, "revision: is missing"),
        ({"revision": 1, "scene": "nowhere"}, "no scene 'nowhere'"),
        ({"revision": 1, "brightness": 101}, "brightness = 101"),
        ({"revision": 1, "brigthness": 10}, "brigthness: no such key"),
        ({"revision": -1}, "revision = -1"),
        ([], "expected a JSON object"),
    ],
)
def test_a_malformed_desired_names_what_is_wrong(raw: object, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        Judge(VOCABULARY).parse_desired(json.dumps(raw).encode())
    assert reason in str(refused.value)


def test_json_of_untrusted_senders_keeps_whole_texts_and_numbers() -> None:
    assert read_json('{"a": [1, 2.5, "\\u00e9🌊", null, true]}'.encode(), 100) == {"a": [1, 2.5, "é🌊", None, True]}
    with pytest.raises(Refused, match="101 bytes, 100 at most"):
        read_json(b" " * 101, 100)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("W" * 401, "401 characters, 400 at most"),
        ("W" * 300 + "a\n" * 1200, "400 at most"),
        ("\x1b[2J", "control characters cannot be shown"),
        (40, """expected a text; put it in quotes, on the command line value='"40"'"""),
    ],
)
def test_words_that_cannot_be_shown_are_refused_by_set(value: object, reason: str) -> None:
    with pytest.raises(CommandRefused) as refused:
        parse(Judge(VOCABULARY), "set", payload({"parameter": "mirror/text.text", "value": value}))
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 400
