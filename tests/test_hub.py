"""The hub's real process at a real broker; the test is the supervisor, the show and the venue."""

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_runtime.clock import now_s, wall_s
from edge_runtime.config import MqttConfig
from edge_runtime.control.client import send
from edge_runtime.control.mqtt import WILL_DELAY_S
from edge_runtime.control.topics import CONTRACT, REPLY
from edge_runtime.errors import ChannelError
from tests.control.venue import DEVICE, REPOSITORY, Others, Venue, bad_commands, box_config, envelope
from tests.fixtures.broker import Mosquitto
from tests.fixtures.parts import RunningPart
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.broker
MODELS = [REPOSITORY / "models"]


@pytest.fixture
def venue(mosquitto: Mosquitto) -> Iterator[Venue]:
    with Venue(mosquitto.port) as client:
        yield client


@pytest.fixture
def hub(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[RunningPart]:
    with RunningPart("hub", box_config(mosquitto.url), tmp_path, model_folders=MODELS) as part:
        wait_until_connected(part)
        yield part


def wait_until_connected(hub: RunningPart, times: int = 1) -> None:
    eventually(lambda: len(hub.events("mqtt_connected")) >= times, 15.0, f"the hub is connected {times} times")


def number(hub: RunningPart, name: str) -> float | None:
    return hub.board.snapshot(now_s()).number(name)


def state_file(folder: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return tree


def test_two_hundred_bad_commands_are_refused_and_nothing_else_happens(
    hub: RunningPart, venue: Venue, tmp_path: Path
) -> None:
    others = Others(hub)
    obeyed = venue.command("brightness", {"percent": 70}, expires_s=3600)
    eventually(lambda: others.asked("apply"), 5.0, "the one good command reaches the show")
    assert venue.ack(obeyed) == {"id": obeyed, "ok": True}
    eventually(lambda: state_file(tmp_path).get("brightness") == 70, 5.0, "it is remembered")
    before = state_file(tmp_path)

    commands = list(bad_commands(random.Random(7), 200, obeyed_id=obeyed))
    reasons: list[str] = []
    for start in range(0, 200, 20):
        batch = commands[start : start + 20]
        told = len(venue.all(f"edge/{DEVICE}/ack"))
        for bad in batch:
            venue.publish(f"edge/{DEVICE}/cmd/{bad.name}", bad.payload, retain=bad.retained)
        eventually(lambda n=told: len(venue.all(f"edge/{DEVICE}/ack")) >= n + 20, 5.0, "twenty refusals")  # type: ignore[misc]
        acks = venue.all(f"edge/{DEVICE}/ack")[told:]
        for bad, ack in zip(batch, acks, strict=True):
            assert ack["ok"] is False, bad
            assert ack["id"] == bad.command_id, bad
            assert bad.reason in ack["reason"], bad
            reasons.append(ack["reason"])
    assert len(reasons) == 200

    assert others.applied("brightness") == [{"percent": 70}]
    assert len(others.asked("apply")) == 1
    for kind in ("expose", "hold", "restart-part"):
        assert not hub.messages(kind)
    assert hub.board.snapshot(now_s()).value("prompt.text") is None
    assert hub.exit_code is None
    assert hub.stop() == 0
    assert state_file(tmp_path) == before


def test_every_command_reaches_the_part_that_carries_it_out(hub: RunningPart, venue: Venue, tmp_path: Path) -> None:
    others = Others(hub)
    parameter, style = "mirror/fill.speed", "models.stylize.style.ink_wave"
    sent = {
        "scene": venue.command("scene", {"scene": "night", "fade_s": 0.5}),
        "set": venue.command("set", {"parameter": parameter, "value": 2, "for_s": 60}, target="all"),
        "blackout": venue.command("blackout", {"on": True}, target="group/foyer"),
        "brightness": venue.command("brightness", {"percent": 40.5}),
        "identify": venue.command("identify", {}),
    }
    eventually(lambda: len(others.asked("apply")) == 5, 5.0, "the show hears five commands")
    assert {name: others.applied(name) for name in sent} == {
        "scene": [{"scene": "night", "fade_s": 0.5}],
        "set": [{"parameter": parameter, "value": 2.0, "for_s": 60.0}],
        "blackout": [{"on": True}],
        "brightness": [{"percent": 40.5}],
        "identify": [{"seconds": 10.0}],
    }
    assert all(venue.ack(number) == {"id": number, "ok": True} for number in sent.values())

    held = venue.command("set", {"parameter": style, "value": 0.8})
    assert venue.ack(held)["ok"]
    hold = eventually(lambda: hub.messages("hold"), 5.0, "the worker is told to hold")[0]
    assert (hold["to"], hold["model"], hold["parameter"]) == ("worker:main", "stylize", "style.ink_wave")
    assert (hold["value"], hold["until_s"]) == (0.8, None)

    assert venue.ack(venue.command("prompt", {"text": "a sea of glass"}))["ok"]
    assert hub.board.snapshot(now_s()).value("prompt.text") == "a sea of glass"

    assert others.ack(venue, venue.command("restart-part", {"part": "worker:main"}))["ok"]
    assert [(asked["to"], asked["part"]) for asked in others.asked("restart-part")] == [("supervisor", "worker:main")]

    states = {thing: venue.last(f"edge/{DEVICE}/state/{thing}") for thing in ("scene", "blackout", "brightness")}
    assert states == {"scene": {"scene": "night"}, "blackout": {"on": True}, "brightness": {"percent": 40.5}}
    eventually(lambda: venue.last(f"edge/{DEVICE}/state/holds") == {parameter: 2.0, style: 0.8}, 5.0, "holds are told")
    eventually(lambda: state_file(tmp_path).get("scene") == "night", 5.0, "the scene is remembered")


def test_a_command_arrives_within_milliseconds(hub: RunningPart, venue: Venue) -> None:
    others = Others(hub)
    waits_s = []
    for percent in range(20):
        sent_s = now_s()
        assert others.ack(venue, venue.command("brightness", {"percent": percent}))["ok"]
        waits_s.append(others.asked("apply")[-1]["arrived_s"] - sent_s)
    assert 0.0 < sorted(waits_s)[10] < 0.02


def test_what_the_show_refuses_or_does_not_answer_is_told_and_not_remembered(
    hub: RunningPart, venue: Venue, tmp_path: Path
) -> None:
    others = Others(hub)
    others.result = {"ok": False, "reason": "no such layer"}
    refused = venue.command("scene", {"scene": "night"})
    eventually(lambda: others.asked("apply"), 5.0, "the show hears it")
    assert venue.ack(refused) == {"id": refused, "ok": False, "reason": "no such layer"}
    others.silent = True
    unheard = venue.command("blackout", {"on": True})
    assert venue.ack(unheard) == {"id": unheard, "ok": False, "reason": "the show did not answer"}
    assert venue.last(f"edge/{DEVICE}/state/scene") == {"scene": "mirror"}
    assert venue.last(f"edge/{DEVICE}/state/blackout") == {"on": False}
    assert "scene" not in state_file(tmp_path)


@pytest.mark.usefixtures("hub")
def test_answers_also_go_where_the_sender_asks_for_them(venue: Venue) -> None:
    tree = envelope({"text": "hello"})
    venue.publish(f"edge/{DEVICE}/cmd/prompt", tree, ResponseTopic="reply/desk", CorrelationData=b"\x00\xff7")
    eventually(lambda: venue.all("reply/desk"), 5.0, "an answer on the reply topic")
    answer = next(heard for heard in venue.heard if heard.topic == "reply/desk")
    assert answer.payload == {"id": tree["id"], "ok": True}
    assert answer.correlation == b"\x00\xff7"
    again = envelope({"text": "hello"})
    venue.publish(f"edge/{DEVICE}/cmd/prompt", again, ResponseTopic="$SYS/broker")
    assert venue.ack(again["id"])["ok"]


def test_an_answer_that_is_too_large_is_dropped_and_told_once(hub: RunningPart, venue: Venue) -> None:
    for _ in range(2):
        hub.send("command", name="scene", payload="{}", request="r" * 130_978)
    (dropped,) = eventually(lambda: hub.events("message_dropped"), 5.0, "it is told")
    assert "128" in dropped["reason"] or "131072" in dropped["reason"]
    assert venue.ack(venue.command("prompt", {"text": "still here"}))["ok"]
    assert len(hub.events("message_dropped")) == 1


def test_a_flood_of_commands_is_answered_to_the_last(hub: RunningPart, venue: Venue) -> None:
    hub.signal(signal.SIGSTOP)  # its queue is full when it looks again, or the broker still holds some back
    numbers = [venue.command("prompt", {"text": f"{i}"}) for i in range(120)]
    hub.signal(signal.SIGCONT)
    eventually(lambda: all(venue.find_ack(number) for number in numbers), 10.0, "everybody has an answer")
    reasons = {ack.get("reason") for ack in map(venue.find_ack, numbers) if ack and not ack["ok"]}
    assert reasons <= {"busy: too many commands at once"}


def test_a_scene_can_be_told_when_to_start(hub: RunningPart, venue: Venue) -> None:
    others = Others(hub)
    at = wall_s() + 0.6
    number = venue.command("scene", {"scene": "night", "at": at})
    assert venue.ack(number)["result"] == {"scheduled": at}
    assert not others.asked("apply")
    eventually(lambda: others.applied("scene"), 5.0, "the scene starts")
    assert 0.0 <= wall_s() - at < 0.2
    assert others.applied("scene") == [{"scene": "night"}]


def test_holds_are_told_again_to_a_part_that_started_anew(hub: RunningPart, venue: Venue) -> None:
    others = Others(hub)
    for parameter, value, for_s in (
        ("mirror/fill.speed", 2.0, None),
        ("mirror/fill.warmth", 0.1, 0.2),
        ("models.stylize.style.ink_wave", 0.5, 60.0),
        ("models.stylize.style.night_swirls", 0.5, None),
    ):
        args = {"parameter": parameter, "value": value, **({"for_s": for_s} if for_s else {})}
        assert others.ack(venue, venue.command("set", args))["ok"]
    assert venue.ack(venue.command("set", {"parameter": "models.stylize.style.night_swirls", "value": None}))["ok"]
    seen = len(hub.messages("hold"))
    eventually(lambda: "mirror/fill.warmth" not in venue.last(f"edge/{DEVICE}/state/holds"), 5.0, "a hold ends")

    hub.send("started", part="worker:main")
    eventually(lambda: len(hub.messages("hold")) == seen + 1, 5.0, "the worker hears of its hold")
    again = hub.messages("hold")[-1]
    assert (again["to"], again["parameter"], again["value"]) == ("worker:main", "style.ink_wave", 0.5)
    assert 0 < again["until_s"] - now_s() <= 60
    hub.send("started", part="show")
    eventually(lambda: len(hub.messages("hold")) == seen + 2, 5.0, "the show hears of its hold")
    assert {k: hub.messages("hold")[-1][k] for k in ("to", "parameter", "value", "until_s")} == {
        "to": "show",
        "parameter": "mirror/fill.speed",
        "value": 2.0,
        "until_s": None,
    }


def test_a_hub_that_was_killed_keeps_what_it_promised(hub: RunningPart, venue: Venue, tmp_path: Path) -> None:
    others = Others(hub)
    style, at = "models.stylize.style.ink_wave", wall_s() + 4.0
    assert others.ack(venue, venue.command("set", {"parameter": "mirror/fill.speed", "value": 2, "for_s": 60}))["ok"]
    assert others.ack(venue, venue.command("set", {"parameter": style, "value": 0.5}))["ok"]
    assert others.ack(venue, venue.command("scene", {"scene": "night", "at": at}))["ok"]
    held, seen = len(hub.messages("hold")), len(hub.messages("apply"))
    hub.kill()
    hub.start()
    eventually(lambda: len(hub.messages("hold")) == held + 2, 5.0, "it holds on")
    again = {message["parameter"]: message["until_s"] for message in hub.messages("hold")[held:]}
    assert again["style.ink_wave"] is None
    assert 50 < again["mirror/fill.speed"] - now_s() <= 60
    scene = eventually(lambda: hub.messages("apply")[seen:], 8.0, "the scene starts")[0]
    assert (scene["command"], scene["args"]["scene"]) == ("scene", "night")
    assert wall_s() >= at
    kept = json.loads((tmp_path / "orders.json").read_text())
    assert kept["scheduled"] == []


def test_promises_of_another_run_binds_nobody(mosquitto: Mosquitto, tmp_path: Path) -> None:
    kept = {"run": 1.0, "holds": [["mirror/fill.speed", 2.0, None]], "scheduled": [], "owed": []}
    (tmp_path / "orders.json").write_text(json.dumps(kept))
    with RunningPart("hub", box_config(mosquitto.url), tmp_path, model_folders=MODELS) as hub:
        wait_until_connected(hub)
        assert not hub.messages("hold")
        assert not hub.events("orders_unreadable")


@pytest.mark.parametrize("policy", ["blurred", "forbidden"])
def test_screenshots_obey_the_box_policy(mosquitto: Mosquitto, venue: Venue, tmp_path: Path, policy: str) -> None:
    display = {"kind": "headless", "canvas_px": [64, 36], "screenshots": policy}
    config = box_config(mosquitto.url, display=display)
    with RunningPart("hub", config, tmp_path, model_folders=MODELS) as hub:
        wait_until_connected(hub)
        slot = hub.memory.writer("presented")
        frame = slot.next((36, 64, 4))
        frame[...] = 0
        frame[:, ::2] = 200
        slot.publish(1.0, 1.0)
        others = Others(hub)
        hub.send("preview", path=str(tmp_path / "preview.png"), every_s=0.2)
        ack = others.ack(venue, venue.command("screenshot", {}))
        if policy == "forbidden":
            assert (ack["ok"], "forbidden" in ack["reason"]) == (False, True)
            assert not (tmp_path / "preview.png").exists()
            assert not (tmp_path / "screenshots").exists()
            assert not others.asked("expose")
            return
        picture = cv2.imread(ack["result"]["path"])
        assert picture is not None
        assert float(picture.std()) < 30


def test_messages_of_the_venue_reach_the_board_and_wrong_ones_do_not(hub: RunningPart, venue: Venue) -> None:
    venue.publish("venue/weather", {"rain_mm_h": 2.5})
    venue.publish("venue/votes/main", {"options": [{"share": 0.2}, {"share": 0.8}]})
    venue.publish("venue/words", "Grüße")
    eventually(lambda: number(hub, "weather.rain") == 2.5, 5.0, "the rain")
    eventually(lambda: number(hub, "votes.wave") == 0.8, 5.0, "the votes")
    eventually(lambda: hub.board.snapshot(now_s()).value("venue.words") == "Grüße", 5.0, "the words")
    venue.publish("venue/weather", {"rain_mm_h": "heavy"})
    refused = eventually(lambda: hub.events("signal_refused"), 5.0, "the wrong type is told")[0]
    assert refused["reason"] == "/rain_mm_h = 'heavy': expected a number"
    assert number(hub, "weather.rain") == 2.5
    for name in ("clock.hour", "clock.day_fraction", "device.memory_free_mb"):
        assert eventually(lambda n=name: number(hub, n) is not None, 5.0, name)  # type: ignore[misc]
    stats = eventually(hub.stats, 5.0, "a report")
    assert stats is not None
    assert stats["signals"]["weather.rain"]["stale"] is False or stats["signals"]["weather.rain"]["value"] is None


def test_a_filter_that_catches_our_own_commands_is_refused_and_they_are_obeyed_once(
    mosquitto: Mosquitto, venue: Venue, tmp_path: Path
) -> None:
    signals = [{"name": "everything", "mqtt": "#"}, {"name": "broken", "mqtt": "a/#/b"}, {"name": "good", "mqtt": "ok"}]
    with RunningPart("hub", box_config(mosquitto.url, signals=signals), tmp_path, model_folders=MODELS) as hub:
        wait_until_connected(hub)
        assert sorted(event["filter"] for event in hub.events("signal_filter_refused")) == ["#", "a/#/b"]
        assert venue.ack(venue.command("prompt", {"text": "once"}))["ok"]
        venue.publish("ok", 3)
        eventually(lambda: number(hub, "good") == 3, 5.0, "the other filter works")
        assert len(venue.all(f"edge/{DEVICE}/ack")) == 1


def test_the_broker_may_stop_and_come_back(hub: RunningPart, venue: Venue, mosquitto: Mosquitto) -> None:
    hub.send("presenting", on=True)
    eventually(lambda: venue.last(f"edge/{DEVICE}/availability"), 5.0, "online is told")
    venue.publish("venue/weather", {"rain_mm_h": 1})
    eventually(lambda: number(hub, "weather.rain") == 1, 5.0, "signals flow")
    mosquitto.stop()
    eventually(lambda: hub.events("mqtt_lost"), 5.0, "the loss is noticed")
    for i in range(1500):  # more than may wait
        said = {"event": f"during_the_outage_{i}", "part": "show", "level": "info"}
        eventually(lambda e=said: hub.send("event", event=e), 2.0, "the hub listens on")  # type: ignore[misc]
    assert hub.pulse.promised_s("hub") > now_s()
    eventually(lambda: hub.events("mqtt_messages_dropped"), 5.0, "what is lost is told")
    stopped_s = now_s()
    mosquitto.start()
    wait_until_connected(hub, times=2)
    assert now_s() - stopped_s < 16.0  # the waits up to here sum to less
    with Venue(mosquitto.port) as newcomer:  # the broker forgot all retained topics
        told = {f"edge/{DEVICE}/availability", f"edge/{DEVICE}/state/scene", f"edge/{DEVICE}/state/brightness"}
        eventually(lambda: told <= {heard.topic for heard in newcomer.heard}, 5.0, "all is published again")
        assert newcomer.last(f"edge/{DEVICE}/availability")["state"] == "online"
        assert newcomer.last(f"edge/{DEVICE}/state/scene") == {"scene": "mirror"}
        newcomer.publish("venue/weather", {"rain_mm_h": 9})
        eventually(lambda: number(hub, "weather.rain") == 9, 5.0, "signals flow again")
        assert newcomer.ack(newcomer.command("prompt", {"text": "again"}))["ok"]


def test_a_dead_hub_is_offline_after_a_while_and_a_restarted_one_never_was(
    hub: RunningPart, venue: Venue, mosquitto: Mosquitto
) -> None:
    topic = f"edge/{DEVICE}/availability"
    hub.send("presenting", on=True)
    first = eventually(lambda: venue.last(topic), 5.0, "online")
    assert first["state"] == "online"
    hub.kill()
    killed_s = now_s()
    hub.start()
    eventually(lambda: hub.events("mqtt_connected")[1:], 10.0, "the next hub is connected")
    hub.send("presenting", on=True)
    second = {"state": "online", "session": first["session"] + 1}
    eventually(lambda: venue.last(topic) == second, 5.0, "the new session is online")
    assert hub.stop() == 0  # asked to stop: the same delay, in case it is only a restart
    stopped_s = now_s()
    offline = {"state": "offline", "session": second["session"]}
    eventually(lambda: venue.last(topic) == offline, WILL_DELAY_S + 4, "offline")
    assert now_s() - stopped_s > WILL_DELAY_S - 1
    assert now_s() - killed_s > WILL_DELAY_S, "the first death had its chance"
    assert venue.all(topic) == [first, second, offline]
    with Venue(mosquitto.port) as newcomer:
        eventually(lambda: newcomer.last(topic) == offline, 5.0, "offline is retained")


def test_online_means_that_pictures_are_presented(hub: RunningPart, venue: Venue) -> None:
    topic = f"edge/{DEVICE}/availability"
    for on, state in ((True, "online"), (False, "offline"), (True, "online")):
        hub.send("presenting", on=on)
        eventually(lambda s=state: (venue.last(topic) or {}).get("state") == s, 5.0, state)  # type: ignore[misc]


def test_status_is_published_at_once_when_a_part_or_the_rung_changes(hub: RunningPart, venue: Venue) -> None:
    topic = f"edge/{DEVICE}/status"
    up = {"schema": 1, "parts": {"show": {"state": "up", "pid": 1}}, "governor": {"rung": "full"}, "frames": {"due": 1}}
    hub.send("status", status=up)
    eventually(lambda: len(venue.all(topic)) == 1, 2.0, "the first status")
    hub.send("status", status={**up, "frames": {"due": 99}})
    hub.send("status", status={**up, "governor": {"rung": "light"}})
    eventually(lambda: len(venue.all(topic)) == 2, 2.0, "the rung")
    hub.send("status", status={**up, "parts": {"show": {"state": "backoff", "pid": None}}})
    eventually(lambda: len(venue.all(topic)) == 3, 2.0, "the part")
    assert [status["governor"]["rung"] for status in venue.all(topic)] == ["full", "light", "full"]
    assert abs(venue.last(topic)["at"] - wall_s()) < 5
    assert venue.all(f"edge/{DEVICE}/state/rung") == [{"rung": "full"}, {"rung": "light"}, {"rung": "full"}]
    for _ in range(50):
        hub.send("event", event={"event": "part_ended", "part": "supervisor", "level": "warning", "name": "show"})
    hub.send("event", event={"event": "part_back", "part": "supervisor", "level": "info", "name": "show"})
    eventually(
        lambda: [e for e in venue.all(f"edge/{DEVICE}/event") if e["event"] == "part_back"], 5.0, "the last event"
    )
    assert len(venue.all(f"edge/{DEVICE}/event")) == 7  # six of the fifty


def test_what_a_hub_says_is_in_the_contract_and_retained_where_that_says_so(
    mosquitto: Mosquitto, hub: RunningPart, venue: Venue
) -> None:
    hub.send("status", status={"schema": 1, "parts": {}, "governor": {"rung": "full"}})
    hub.send("event", event={"event": "part_back", "part": "supervisor", "level": "info", "name": "show"})
    venue.ack(venue.command("prompt", {"text": "hello"}))
    hub.send("presenting", on=True)
    own = {kind.of(DEVICE): kind.retained for kind in CONTRACT if kind.said_by == "the box" and kind != REPLY}
    eventually(lambda: own.keys() <= {heard.topic for heard in venue.heard}, 5.0, "all of it was said")
    with Venue(mosquitto.port) as late:
        kept = {topic for topic, retained in own.items() if retained}
        eventually(lambda: kept == {heard.topic for heard in late.heard if heard.retained}, 5.0, "what is kept")
    others = {heard.topic for heard in venue.heard} - own.keys()
    assert others == {f"edge/{DEVICE}/cmd/prompt"}


def test_a_box_that_was_off_obeys_what_is_desired_and_only_once(
    mosquitto: Mosquitto, venue: Venue, tmp_path: Path
) -> None:
    desired = {"revision": 7, "scene": "night", "blackout": True, "brightness": 25}
    venue.publish(f"edge/{DEVICE}/desired", desired, retain=True)
    with RunningPart("hub", box_config(mosquitto.url), tmp_path, model_folders=MODELS) as hub:
        others = Others(hub)
        others.silent = True  # the show is not there yet
        eventually(lambda: len(others.asked("apply")) == 3, 10.0, "the show is asked")
        eventually(lambda: venue.last(f"edge/{DEVICE}/state/desired") == {"revision": 7}, 5.0, "the revision is told")
        eventually(lambda: state_file(tmp_path).get("brightness") == 25, 5.0, "it is on disk before the show answers")
        eventually(lambda: len(others.asked("apply")) == 6, 5.0, "it is asked until it obeys")
        others.silent = False
        assert (others.applied("scene")[-1], others.applied("blackout")[-1]) == ({"scene": "night"}, {"on": True})
        venue.publish(f"edge/{DEVICE}/desired", {"revision": 6, "blackout": False}, retain=True)
        venue.publish(f"edge/{DEVICE}/desired", {"revision": "8"}, retain=True)
        eventually(
            lambda: [e for e in venue.all(f"edge/{DEVICE}/event") if e["event"] == "desired_refused"], 5.0, "the fault"
        )
        assert len(others.asked("apply")) == 6
        hub.kill()
        hub.start()
        wait_until_connected(hub, times=2)
        venue.publish(f"edge/{DEVICE}/desired", {**desired, "revision": 8, "blackout": False}, retain=True)
        eventually(lambda: others.applied("blackout")[-1] == {"on": False}, 5.0, "a newer revision is obeyed")
        assert len(others.asked("apply")) == 9
        assert state_file(tmp_path)["session"] == 2


def test_a_screenshot_is_a_file_on_the_box(hub: RunningPart, venue: Venue, tmp_path: Path) -> None:
    others = Others(hub)
    path = Path(others.ack(venue, venue.command("screenshot", {}))["result"]["path"])
    assert path.parent == tmp_path / "screenshots"
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape == (36, 64, 3)
    assert picture[0, 0].tolist() == [10, 20, 30]
    assert path.stat().st_mode & 0o777 == 0o600


def test_local_commands_are_judged_alike_and_need_no_broker(tmp_path: Path) -> None:
    with RunningPart("hub", box_config(), tmp_path, model_folders=MODELS) as hub:
        eventually(lambda: hub.messages("ready"), 10.0, "the hub works without a broker")
        others = Others(hub)

        def command(request: str, name: str, payload: object) -> None:
            text = payload if isinstance(payload, str) else json.dumps(payload)
            hub.send("command", **{"from": "client:7", "request": request, "name": name, "payload": text})

        good = envelope({"percent": 10})
        command("a", "brightness", good)
        eventually(lambda: others.asked("apply"), 5.0, "the show hears it")
        command("b", "brightness", good)
        command("c", "brightness", "{")
        replies = eventually(lambda: hub.messages("reply")[2:] and hub.messages("reply"), 5.0, "three replies")
        assert {reply["to"] for reply in replies} == {"client:7"}
        results = {reply["request"]: reply["result"] for reply in replies}
        assert results["a"] == {"id": good["id"], "ok": True}
        assert "duplicate" in results["b"]["reason"]
        assert results["c"]["id"] is None
        preview = tmp_path / "preview.png"
        hub.send("preview", path=str(preview), every_s=0.2)
        eventually(lambda: others.asked("expose") and preview.is_file(), 5.0, "a preview")
        first = preview.stat().st_ino
        eventually(lambda: others.asked("expose") and preview.stat().st_ino != first, 5.0, "the next one")


def test_a_recording_plays_as_if_the_venue_were_there(tmp_path: Path) -> None:
    recording = tmp_path / "venue.jsonl"
    lines = [{"at_s": 0.0, "topic": "venue/weather", "payload": {"rain_mm_h": 4}}]
    lines += [{"at_s": 0.3, "topic": "venue/weather", "payload": {"rain_mm_h": 5}}]
    recording.write_text("\n".join(json.dumps(line) for line in lines))
    replay = {"file": str(recording), "loop": False}
    with RunningPart("hub", box_config(replay=replay), tmp_path, model_folders=MODELS) as hub:
        eventually(lambda: number(hub, "weather.rain") == 4, 10.0, "the first message")
        eventually(lambda: number(hub, "weather.rain") == 5, 5.0, "the second message")
    with RunningPart("hub", box_config(replay={"file": "nowhere.jsonl"}), tmp_path, model_folders=MODELS) as hub:
        eventually(lambda: hub.events("replay_unusable"), 10.0, "a missing recording is told")
        eventually(lambda: hub.messages("ready"), 10.0, "and the hub works on")


def test_the_hub_may_be_restarted_by_command_and_its_sender_is_told(hub: RunningPart, venue: Venue) -> None:
    number = venue.command("restart-part", {"part": "hub"})
    assert venue.ack(number) == {"id": number, "ok": True}
    asked = eventually(lambda: hub.messages("restart-part"), 5.0, "the supervisor is asked")
    assert asked[0]["part"] == "hub"


@pytest.mark.usefixtures("hub")
def test_send_fills_in_the_envelope_and_waits_for_the_answers(mosquitto: Mosquitto) -> None:
    broker = MqttConfig(url=mosquitto.url)
    (ack,) = send(DEVICE, "prompt", {"text": "hello"}, broker=broker)
    assert (ack.device_id, ack.ok, ack.reason) == (DEVICE, True, None)
    (ack,) = send("group/foyer", "scene", {"scene": "nowhere"}, broker=broker, timeout_s=0.7)
    assert (ack.ok, ack.reason) == (False, "no scene 'nowhere'; known: mirror, night")
    with pytest.raises(ChannelError, match=r"no ack from foyer-right within 0\.3 s"):
        send("foyer-right", "prompt", {"text": "hello"}, broker=broker, timeout_s=0.3)
    mosquitto.stop()
    with pytest.raises(ChannelError, match="no broker"):
        send(DEVICE, "prompt", {"text": "hello"}, broker=broker)


def test_an_unusable_certificate_costs_the_broker_and_nothing_else(tmp_path: Path) -> None:
    config = box_config("mqtts://127.0.0.1:1", mqtt={"ca_file": str(tmp_path / "none.pem")})
    with RunningPart("hub", config, tmp_path, model_folders=MODELS) as hub:
        told = eventually(lambda: hub.events("mqtt_unusable"), 10.0, "the fault is told")[0]
        assert "none.pem" in told["reason"]
        eventually(lambda: hub.messages("ready"), 10.0, "local commands still work")


def test_a_broker_that_is_not_there_is_told_once_with_the_reason(mosquitto: Mosquitto, tmp_path: Path) -> None:
    mosquitto.stop()
    with RunningPart("hub", box_config(mosquitto.url), tmp_path, model_folders=MODELS) as hub:
        eventually(lambda: hub.events("mqtt_unreachable"), 10.0, "the reason is told")
        mosquitto.start()
        wait_until_connected(hub)
        (told,) = hub.events("mqtt_unreachable")
        assert told["reason"] == "[Errno 111] Connection refused"
