"""The link alone, at a real broker: secrets, certificates, bounded queues."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_runtime.config import MqttConfig
from edge_runtime.control.broker import QUEUED_MESSAGES, address, read_secrets
from edge_runtime.control.client import send
from edge_runtime.control.inbox import (
    KEPT_OF_DROPPED_BYTES,
    WAITING_COMMANDS,
    WAITING_TOPICS,
    Inbox,
    Received,
)
from edge_runtime.control.mqtt import MqttLink
from edge_runtime.control.topics import Topics
from edge_runtime.errors import ChannelError, ConfigError
from tests.control.venue import DEVICE, Venue
from tests.fixtures.broker import Mosquitto
from tests.fixtures.children import bound_to_us, find_program, stop_child
from tests.fixtures.ports import find_free_port
from tests.fixtures.waiting import eventually

TOPICS = Topics(DEVICE)
WILL = {"state": "offline", "session": 1}


def link_to(config: MqttConfig, signals: tuple[str, ...] = ()) -> MqttLink:
    link = MqttLink(config, TOPICS, will=WILL, signals=signals, wake=lambda: None)
    link.open()
    return link


def received(topic: str, payload: bytes = b"1") -> Received:
    return Received(topic, payload, retained=False, arrived_s=0.0)


def test_an_inbox_drops_the_newest_commands_and_keeps_the_newest_of_each_topic() -> None:
    rings: list[int] = []
    inbox = Inbox(lambda: rings.append(1))
    for i in range(WAITING_COMMANDS + 10):
        inbox.file_command(received(f"edge/all/cmd/{i}"))
    for i in range(WAITING_TOPICS + 10):
        inbox.file_signal(received(f"venue/{i}"))
        inbox.file_signal(received(f"venue/{i}", b"2"))
    inbox.file_signal(received(TOPICS.desired), keep=True)
    assert inbox.dropped == 10 + 20
    assert len(rings) == WAITING_COMMANDS + 10 + 2 * (WAITING_TOPICS + 10) + 1
    _, commands, signals = inbox.take(1000)
    assert [message.topic for message in commands] == [f"edge/all/cmd/{i}" for i in range(WAITING_COMMANDS)]
    assert [message.topic for message in signals] == [f"venue/{i}" for i in range(WAITING_TOPICS)] + [TOPICS.desired]
    assert {message.payload for message in signals[:-1]} == {b"2"}
    assert inbox.take(1000) == ([], [], [])


def test_the_beginnings_of_commands_that_find_the_inbox_full_are_kept_to_answer_them() -> None:
    inbox = Inbox(lambda: None)
    for i in range(3 * WAITING_COMMANDS):
        payload = b'{"id": "%d", ' % i + b"x" * 60_000
        inbox.file_command(Received("edge/all/cmd/scene", payload, False, 0.0, "reply/desk", b"7"))
    refused = inbox.take_refused()
    assert len(refused) == WAITING_COMMANDS
    assert refused[-1].payload.startswith(b'{"id": "191", x')
    assert {len(message.payload) for message in refused} == {KEPT_OF_DROPPED_BYTES}
    assert {(message.response_topic, message.correlation) for message in refused} == {("reply/desk", b"7")}
    assert inbox.take_refused() == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [("mqtt://broker", ("broker", 1883)), ("mqtts://b.example", ("b.example", 8883)), ("mqtt://[::1]:7", ("::1", 7))],
)
def test_ports_have_their_usual_defaults(url: str, expected: tuple[str, int]) -> None:
    assert address(MqttConfig(url=url)) == expected


@pytest.mark.parametrize("url", ["mqtt://:1883", "mqtt://broker:99999", "mqtt://broker:0", f"mqtt://{'x' * 70}"])
def test_a_url_that_no_connection_can_be_made_to_is_one_clear_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.url = "):
        address(MqttConfig(url=url))


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_RUNTIME_MQTT_USER", raising=False)
    monkeypatch.delenv("EDGE_RUNTIME_MQTT_PASSWORD", raising=False)
    file = tmp_path / "mqtt"
    file.write_text("box:of:secrets\n")
    plain, filed = MqttConfig(url="mqtt://b"), MqttConfig(url="mqtt://b", password_file=str(file))
    assert read_secrets(plain) == (None, None)
    assert read_secrets(filed) == ("box", "of:secrets")
    monkeypatch.setenv("EDGE_RUNTIME_MQTT_USER", "me")
    assert read_secrets(filed) == ("me", "box:of:secrets")
    monkeypatch.setenv("EDGE_RUNTIME_MQTT_PASSWORD", "pass")
    assert read_secrets(filed) == ("me", "pass")
    monkeypatch.delenv("EDGE_RUNTIME_MQTT_PASSWORD")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secrets(MqttConfig(url="mqtt://b", password_file=str(tmp_path / "none")))


@pytest.mark.broker
def test_what_cannot_be_sent_is_bounded_counted_and_does_not_hold_up_what_is_retained(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    link = link_to(MqttConfig(url=mosquitto.url))
    for i in range(2000):
        link.publish(TOPICS.event, {"event": f"e{i}"})
        link.publish(TOPICS.status, {"at": i}, retain=True)
    assert link.lost_messages == 2000 - QUEUED_MESSAGES
    mosquitto.start()
    eventually(lambda: link.connected, 15.0, "connected")
    with Venue(mosquitto.port) as venue:
        link.publish_retained()

        def told() -> bool:
            link.tend()
            return bool(venue.last(TOPICS.status) == {"at": 1999})

        eventually(told, 5.0, "the newest status")
    link.close()


@pytest.mark.broker
def test_two_boxes_with_one_name_both_say_that_they_lose_the_broker(mosquitto: Mosquitto) -> None:
    links = [link_to(MqttConfig(url=mosquitto.url)) for _ in range(2)]
    eventually(lambda: all(link.reconnects for link in links), 10.0, "each has thrown the other out")
    for link in links:
        assert "mqtt_lost" in {note.name for note in link.inbox.take(50)[0]}
        link.close()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A broker that takes TLS with a password only; its port and the folder of the certificates."""
    mosquitto, passwords, openssl = (find_program(name) for name in ("mosquitto", "mosquitto_passwd", "openssl"))
    if not (mosquitto and passwords and openssl):
        pytest.skip("mosquitto or openssl is not installed")
    folder, port = tmp_path_factory.mktemp("tls"), find_free_port()

    def make(*argv: str) -> None:
        subprocess.run(argv, cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for ca in ("ca", "other"):
        make(openssl, "req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-subj", f"/CN=Venue {ca}")
    make(openssl, "req", *key[:-2], "-keyout", "broker.key", "-out", "broker.csr", "-subj", "/CN=127.0.0.1")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    make(openssl, "x509", "-req", "-in", "broker.csr", *signing, "-out", "broker.pem")
    make(passwords, "-b", "-c", "passwords", "box", "of:secrets")
    (folder / "secret").write_text("box:of:secrets\n")
    (folder / "wrong").write_text("box:wrong\n")
    (folder / "mosquitto.conf").write_text(
        f"listener {port} 127.0.0.1\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
        f"allow_anonymous false\npassword_file {folder}/passwords\nuser root\nlog_dest file {folder}/log\n"
    )
    process = subprocess.Popen(bound_to_us([mosquitto, "-c", str(folder / "mosquitto.conf")]))
    try:
        eventually(
            lambda: "running" in (folder / "log").read_text() if (folder / "log").exists() else False, 5.0, "it runs"
        )
        yield port, folder
    finally:
        stop_child(process)


@pytest.mark.broker
def test_a_broker_with_tls_and_a_password_is_talked_to(secured: tuple[int, Path]) -> None:
    port, folder = secured
    files = {"ca_file": str(folder / "ca.pem"), "password_file": str(folder / "secret")}
    config = MqttConfig.model_validate({"url": f"mqtts://127.0.0.1:{port}", **files})
    link = link_to(config)
    eventually(lambda: link.connected, 5.0, "connected by TLS")
    with pytest.raises(ChannelError, match="no ack"):
        send(DEVICE, "prompt", {"text": "hello"}, broker=config, timeout_s=0.3)
    _, commands, _ = link.inbox.take(10)
    assert [command.topic for command in commands] == [f"edge/{DEVICE}/cmd/prompt"]
    link.close()


@pytest.mark.broker
def test_a_wrong_authority_and_a_wrong_password_are_refused(secured: tuple[int, Path]) -> None:
    port, folder = secured
    url = f"mqtts://127.0.0.1:{port}"
    stranger = MqttConfig(url=url, ca_file=str(folder / "other.pem"), password_file=str(folder / "secret"))
    with pytest.raises(ChannelError, match="certificate verify failed"):
        send(DEVICE, "prompt", {"text": "hello"}, broker=stranger)
    guest = MqttConfig(url=url, ca_file=str(folder / "ca.pem"), password_file=str(folder / "wrong"))
    with pytest.raises(ChannelError, match="refused: Not authorized"):
        send(DEVICE, "prompt", {"text": "hello"}, broker=guest)
    link = link_to(guest)
    notes = []

    def refused() -> bool:
        notes.extend(link.inbox.take(10)[0])
        return any(note.name == "mqtt_refused" for note in notes)

    eventually(refused, 5.0, "the refusal is told")
    assert not link.connected
    link.close()
