"""A real mosquitto with the role's own configuration: who can do what, and who cannot."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.__main__ import main
from edge_runtime.config import MqttConfig
from edge_runtime.control.client import send
from edge_runtime.control.mqtt import MqttLink
from edge_runtime.control.topics import CONTRACT, REPLY, Topics
from edge_runtime.errors import ChannelError
from tests.control.venue import Others, Venue, box_config, envelope
from tests.fixtures.parts import RunningPart
from tests.fixtures.waiting import eventually
from tests.fleet.broker import BROKER, VenueBroker, inventory
from tests.fleet.tls import Authority

pytestmark = pytest.mark.fleet
FOYER, WEST = "foyer-left", "west-1"
CLIENTS: list[dict[str, Any]] = [
    {"name": "desk.foyer", "role": "venue", "groups": ["foyer"]},
    {"name": "anna.operator", "role": "operator"},
    {"name": "weather.feed", "role": "feed", "topics": ["venue/weather"]},
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueBroker]:
    """One venue with two groups of one box each, and one client of each role."""
    venue = VenueBroker(tmp_path_factory.mktemp("venue"), inventory({"foyer": [FOYER], "west": [WEST]}, CLIENTS))
    venue.issue()
    venue.configure()
    with venue.running():
        yield venue


class Box(MqttLink):
    """The link of one box, and everything that reached it."""

    def __init__(self, config: MqttConfig, device_id: str, *groups: str) -> None:
        self.topics = Topics(device_id, groups)
        self.commands: list[str] = []
        self.signals: list[str] = []
        self.notes: list[tuple[str, str]] = []
        super().__init__(config, self.topics, will={"state": "offline"}, signals=["venue/#"], wake=lambda: None)

    @property
    def listens(self) -> bool:
        return self.told("mqtt_connected") is not None

    def hear(self) -> bool:
        """Take what came in; always true, for conditions."""
        notes, commands, signals = self.inbox.take(100)
        self.notes += [(note.name, str(note.fields.get("reason", ""))) for note in notes]
        self.commands += [command.topic for command in commands]
        self.signals += [signal.topic for signal in signals]
        return True

    def has(self, *commands: str) -> bool:
        return self.hear() and self.commands == list(commands)

    def told(self, name: str) -> str | None:
        """The reason of the newest note of that name."""
        self.hear()
        return next((reason for told, reason in reversed(self.notes) if told == name), None)


@contextmanager
def box_at(config: MqttConfig, device_id: str, *groups: str) -> Iterator[Box]:
    box = Box(config, device_id, *groups)
    box.open()
    try:
        yield box
    finally:
        box.close()


@contextmanager
def two_boxes(broker: VenueBroker) -> Iterator[tuple[Box, Box]]:
    """The box of the foyer and that of the west wing, both listening."""
    with box_at(broker.link(FOYER), FOYER, "foyer") as foyer, box_at(broker.link(WEST), WEST, "west") as west:
        eventually(lambda: foyer.listens and west.listens, 10.0, "both listen")
        yield foyer, west


@pytest.fixture
def operator(broker: VenueBroker) -> Iterator[Venue]:
    """Hears everything that boxes say."""
    with Venue(broker.link("anna.operator")) as anna:
        yield anna


CONNACK = b"\x20"
ELSEWHERE = [
    f"edge/{WEST}/cmd/scene",
    f"edge/{WEST}/desired",
    f"edge/{WEST}/availability",
    f"edge/{WEST}/ack",
    "edge/group/west/cmd/scene",
    "edge/all/cmd/scene",
]
"""What nobody of the foyer may write."""


def test_a_box_neither_commands_another_one_nor_hears_it(broker: VenueBroker, operator: Venue) -> None:
    with box_at(broker.link(WEST), WEST, "west") as west, Venue(broker.link(FOYER)) as stolen:
        eventually(lambda: west.listens, 10.0, "the box of the west wing listens")
        for topic in [*ELSEWHERE, f"edge/{FOYER}/cmd/scene", "venue/weather"]:
            stolen.publish(topic, envelope({"scene": "night"}), retain=True)
        assert stolen.denied == len(ELSEWHERE) + 2
        west.publish(west.topics.status, {"at": 1}, retain=True)
        eventually(lambda: operator.last(west.topics.status), 5.0, "the operator hears the west wing")
        operator.command("prompt", {"text": "to both"}, target="all")
        eventually(lambda: west.has("edge/all/cmd/prompt"), 5.0, "that command, and none before")
        eventually(lambda: stolen.heard, 5.0, "what is said to every box")
        assert {heard.topic for heard in stolen.heard} == {"edge/all/cmd/prompt"}
    assert not {heard.topic for heard in operator.heard} & (set(ELSEWHERE) - {f"edge/{WEST}/availability"})


def test_a_box_cannot_take_over_the_session_of_another_one(broker: VenueBroker, operator: Venue) -> None:
    with box_at(broker.link(WEST), WEST, "west") as west:
        eventually(lambda: west.listens, 10.0, "the box of the west wing listens")
        for name in (WEST, f"edge-{WEST}"):
            with Venue(broker.link(FOYER), client_id=name) as thief:
                operator.command("prompt", {"text": "secret"}, target=WEST)
                assert not thief.heard
        eventually(lambda: west.has(*[f"edge/{WEST}/cmd/prompt"] * 2), 5.0, "both commands")
        assert west.reconnects == 0


def test_without_a_certificate_of_the_authority_nobody_gets_in(broker: VenueBroker, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).issue(FOYER)
    files = {"ca_file": str(broker.pki / "ca.crt"), "cert_file": str(stranger.certificate)}
    forged = MqttConfig(url=broker.url, key_file=str(stranger.key), **files)
    before = len(broker.connects())
    for config in (broker.link(None), forged):
        with pytest.raises(ChannelError, match="the broker hung up before it let us in"):
            send("all", "screenshot", {}, broker=config, timeout_s=5.0)
    with socket.create_connection(("127.0.0.1", broker.port), timeout=5.0) as plain:
        plain.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))  # CONNECT, without TLS
        with suppress(ConnectionResetError):
            assert not plain.recv(4).startswith(CONNACK)
    assert len(broker.connects()) == before


def test_a_name_that_is_not_in_the_inventory_says_and_hears_nothing(broker: VenueBroker, operator: Venue) -> None:
    config = broker.authority.link(broker.url, broker.authority.issue("sold-last-year"))
    with two_boxes(broker) as (foyer, _), Venue(config) as former:
        for topic in ("edge/sold-last-year/status", "venue/weather", f"edge/{FOYER}/cmd/scene", "edge/all/cmd/scene"):
            former.publish(topic, envelope({"scene": "night"}))
        assert former.denied == 4
        operator.publish("venue/weather", {"rain_mm_h": 1})
        operator.command("prompt", {"text": "hello"}, target="all")
        eventually(lambda: foyer.has("edge/all/cmd/prompt"), 5.0, "the operator's alone")
        assert not former.heard


def test_a_venue_commands_its_own_group_and_no_other(broker: VenueBroker, operator: Venue) -> None:
    with two_boxes(broker) as (foyer, west):
        with Venue(broker.link("desk.foyer")) as desk:
            for topic in [*ELSEWHERE, "venue/weather", f"edge/{FOYER}/availability"]:
                desk.publish(topic, envelope({"scene": "night"}), retain=True)
            assert desk.denied == len(ELSEWHERE) + 2
            desk.publish(f"edge/{FOYER}/desired", {"revision": 1})
            desk.command("prompt", {"text": "hello"}, target=FOYER)
            desk.command("prompt", {"text": "hello"}, target="group/foyer")
            assert desk.denied == len(ELSEWHERE) + 2
            mine = [f"edge/{FOYER}/cmd/prompt", "edge/group/foyer/cmd/prompt"]
            eventually(lambda: foyer.has(*mine) and foyer.topics.desired in foyer.signals, 5.0, "what is its own")
            for box in (west, foyer):
                box.publish(box.topics.ack, {"id": "1", "ok": True})
            eventually(lambda: desk.all(foyer.topics.ack), 5.0, "the box of the foyer answers")
            assert {heard.topic.split("/")[1] for heard in desk.heard} == {FOYER}
        operator.command("prompt", {"text": "hello"}, target=WEST)
        eventually(lambda: west.has(f"edge/{WEST}/cmd/prompt"), 5.0, "the operator's alone")


def test_a_real_hub_does_all_of_the_contract_through_it(broker: VenueBroker, operator: Venue, tmp_path: Path) -> None:
    files = broker.link(FOYER).model_dump(include={"ca_file", "cert_file", "key_file"})
    with RunningPart("hub", box_config(broker.url, mqtt=files), tmp_path, model_folders=[Path("models")]) as hub:
        others = Others(hub)
        eventually(lambda: hub.events("mqtt_connected"), 15.0, "the hub is connected")
        hub.send("status", status={"schema": 1, "parts": {}, "governor": {"rung": "full"}})
        hub.send("event", event={"event": "part_back", "part": "supervisor", "level": "info", "name": "show"})
        reply = REPLY.of(FOYER).replace("NAME", "anna-7")
        operator.publish(f"edge/{FOYER}/cmd/brightness", envelope({"percent": 70}), ResponseTopic=reply)
        eventually(
            lambda: others.applied("brightness") and operator.last(reply), 5.0, "the answer, where it was wanted"
        )
        (ack,) = send("group/foyer", "prompt", {"text": "hello"}, broker=broker.link("desk.foyer"), timeout_s=2.0)
        assert (ack.device_id, ack.ok) == (FOYER, True)
        wanted = {kind.of(FOYER).replace("NAME", "anna-7") for kind in CONTRACT if kind.said_by == "the box"}
        eventually(lambda: wanted <= {heard.topic for heard in operator.heard}, 5.0, "all that a box says")
        with Venue(broker.link("weather.feed")) as feed:
            for topic in (f"edge/{FOYER}/cmd/scene", "venue/words", "edge/venue/weather"):
                feed.publish(topic, {"rain_mm_h": 9})
            assert feed.denied == 3
            feed.publish("venue/weather", {"rain_mm_h": 4.5})
            eventually(lambda: hub.board.snapshot(0.0).number("weather.rain") == 4.5, 5.0, "the weather")
            assert not feed.heard


def test_an_expired_certificate_is_named_in_one_line_and_a_renewed_one_is_taken(
    broker: VenueBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = broker.link(FOYER)
    good = kept(Path(str(config.cert_file)), Path(str(config.key_file)))
    broker.authority.issue(FOYER, days=-3.0)
    named = f"certificate {config.cert_file} expired on 20"
    try:
        with box_at(config, FOYER, "foyer") as box:
            eventually(lambda: named in (box.told("mqtt_unreachable") or ""), 10.0, "the link says so")
            assert [name for name, _ in box.notes] == ["mqtt_unreachable"], "once"
            assert named in _refusal(capsys, ["send", FOYER, "screenshot", *_as_options(config)])
            assert _doctor_and_check(capsys, config, tmp_path).count(named) == 2
            put_back(good)
            eventually(lambda: box.connected, 15.0, "it is back by itself")
    finally:
        put_back(good)


def test_an_expired_certificate_of_the_broker_is_named_in_one_line(
    broker: VenueBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = broker.link(FOYER)
    served = broker.folder / "etc" / "tls" / "broker.pem"
    good = kept(served)
    old = broker.authority.issue("old-broker", days=-3.0, server=True)
    try:
        served.write_bytes(old.certificate.read_bytes() + old.key.read_bytes())
        broker.stop()
        broker.start()
        named = f"the certificate of the broker, {broker.url}, has expired; renew it there"
        with box_at(config, FOYER, "foyer") as box:
            eventually(lambda: box.told("mqtt_unreachable") == named, 10.0, "the link says so")
        assert named in _refusal(capsys, ["send", FOYER, "screenshot", *_as_options(config)])
        dated = f"certificate of the broker, {broker.url}, expired on 20"
        assert dated in _doctor_and_check(capsys, config, tmp_path)
    finally:
        put_back(good)
        broker.stop()
        broker.start()


def test_only_what_is_about_to_end_is_issued_again(broker: VenueBroker) -> None:
    broker.authority.issue(WEST, days=20.0)
    assert broker.issue() == {BROKER: 0, FOYER: 0, WEST: 1}
    with box_at(broker.link(WEST), WEST) as box:
        eventually(lambda: box.connected, 10.0, "the new one is good")


def test_a_configuration_that_mosquitto_refuses_never_replaces_the_one_that_works(broker: VenueBroker) -> None:
    files = [broker.folder / "etc" / name for name in ("mosquitto.conf", "acl", "tls/ca.crt", "tls/broker.pem")]
    before, refuses = [file.read_bytes() for file in files], "mosquitto refuses this file:"
    for variables, reason in (
        ({"broker_boxes": [FOYER, "all"]}, "boxes are called a-z, 0-9 and -, not all or group"),
        ({"broker_venue_topics": ["venue/#/weather"]}, f"{refuses} Error: Invalid ACL topic"),
        ({"broker_certificate_key": f"{broker.pki}/{FOYER}.key"}, f"{refuses} Error: Unable to load server key file"),
        ({"broker_ca_certificate": f"{broker.pki}/{FOYER}.key"}, f"{refuses} it holds no certificate"),
    ):
        refused = broker.configure(check=False, **variables)
        assert refused.returncode != 0
        assert reason in refused.stdout + refused.stderr
        assert [file.read_bytes() for file in files] == before


def kept(*files: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in files}


def put_back(files: dict[Path, bytes]) -> None:
    for file, content in files.items():
        file.write_bytes(content)


def _as_options(config: MqttConfig) -> list[str]:
    files = ["--ca-file", config.ca_file, "--cert-file", config.cert_file, "--key-file", config.key_file]
    return ["--url", config.url, *map(str, files)]


def _refusal(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """The one line that a command ends with."""
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def _doctor_and_check(capsys: pytest.CaptureFixture[str], config: MqttConfig, folder: Path) -> str:
    """What doctor says of the broker of a box, and what check says of the same file."""
    file = folder / "device.toml"
    keys = config.model_dump(include={"url", "ca_file", "cert_file", "key_file"})
    mqtt = "\n".join(f'{key} = "{value}"' for key, value in keys.items())
    file.write_text(f'device_id = "{FOYER}"\n[[scenes]]\nname = "a"\nlayers = [{{ kind = "fill" }}]\n[mqtt]\n{mqtt}\n')
    main(["doctor", str(file), "--json"])
    answers: dict[str, Any] = {answer["name"]: answer for answer in json.loads(capsys.readouterr().out)}
    assert answers["broker"]["level"] == "warning"
    main(["check", str(file)])
    return str(answers["broker"]["text"]) + capsys.readouterr().err
