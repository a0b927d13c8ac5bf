"""The local control socket answers the right ones and suffers the wrong ones; the show does not care."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.channel import MAX_MESSAGE_BYTES
from edge_runtime.clock import now_s
from edge_runtime.control.local import request
from tests.fixtures.device import RunningDevice
from tests.fixtures.waiting import eventually


@contextmanager
def client(device: RunningDevice) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        end.settimeout(5.0)
        end.connect(str(device.control))
        yield end


def answer(end: socket.socket) -> Any:
    return json.loads(end.recv(MAX_MESSAGE_BYTES))


def test_it_answers_ps_status_why_and_command(device: RunningDevice) -> None:
    assert set(device.ps()) == {"show", "camera:main", "worker:main", "hub"}
    eventually(lambda: device.status()["frames"].get("presented"), 5.0, "frames are counted")
    assert device.why("mirror/picture.zoom")["result"]["by"] in {"fixed", "held"}
    assert "no scene" in device.why("nowhere/picture.zoom")["reason"]
    assert "no parameter" in device.why("mirror/picture.nothing")["reason"]
    assert not device.why("models.echo.nothing")["ok"]
    ack = device.send("scene", scene="nowhere")
    assert (ack.ok, "mirror, night" in str(ack.reason)) == (False, True)
    refused = request(device.control, "launch")
    assert refused == {"ok": False, "reason": "no request 'launch'; known: ps, status, why, command"}


NONSENSE = [
    b"\xff\xfe",
    b"[]",
    b"17",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 20_000,
    b"{" + b" " * (MAX_MESSAGE_BYTES + 1000) + b"}",
]
STRANGE = [
    {"type": []},
    {"type": {"a": 1}},
    {"type": None},
    {},
    {"type": "why", "parameter": ["mirror/picture.zoom"]},
    {"type": "why", "parameter": None},
    {"type": "why", "parameter": "models.echo.x", "model": ["echo"]},
    {"type": "why", "parameter": "models.echo.x", "model": {"a": 1}},
    {"type": "command", "name": {"a": 1}, "payload": [1]},
    {"type": "command", "name": "scene", "payload": "x" * 100_000},
    {"type": "command", "name": "x" * 120_000, "payload": "{}"},
    {"type": "ps", "to": "show", "from": "hub"},
    {"type": "why", "parameter": "x" * (MAX_MESSAGE_BYTES - 60)},
]


@pytest.mark.parametrize("packet", NONSENSE, ids=range(len(NONSENSE)))
def test_who_talks_nonsense_is_hung_up_on(device: RunningDevice, packet: bytes) -> None:
    before = device.ps()
    with client(device) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        end.send(packet)
        with suppress(ConnectionResetError):
            assert end.recv(100) == b""
    assert device.ps() == before


@pytest.mark.parametrize("message", STRANGE, ids=range(len(STRANGE)))
def test_who_asks_strange_things_is_answered_or_not_and_nobody_else_suffers(
    device: RunningDevice, message: dict[str, Any]
) -> None:
    before = device.ps()
    with client(device) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        end.send(json.dumps({"request": "q", **message}, separators=(",", ":")).encode())
        reply = answer(end)
        assert (reply["type"], reply["request"]) == ("reply", "q")
    assert device.ps() == before


def test_what_is_too_long_to_be_given_back_is_refused_and_reaches_no_part(device: RunningDevice) -> None:
    before = device.ps()
    for message in ({"parameter": "x" * 130_912, "request": "q"}, {"parameter": "a/b.c", "request": "r" * 130_900}):
        with client(device) as end:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            end.send(json.dumps({"type": "why", **message}, separators=(",", ":")).encode())
            result = answer(end)["result"]
        assert (result["ok"], "at most" in result["reason"]) == (False, True)
    assert device.ps() == before


def test_thirty_clients_at_once_are_all_answered(device: RunningDevice) -> None:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(device.ps())) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert len(answers) == 30


def test_clients_that_never_leave_and_never_read_hold_up_nobody(device: RunningDevice) -> None:
    begun_s = now_s()
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(150)]
    try:
        for number, end in enumerate(idle):
            end.connect(str(device.control))
            if number % 10 == 0:  # asks a lot and never reads
                end.setblocking(False)
                with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    for _ in range(500):
                        end.send(b'{"type":"status","request":"x"}')
        asked_s = now_s()
        assert device.ps()["show"]["state"] == "up"
        assert now_s() - asked_s < 3.0
    finally:
        for end in idle:
            end.close()
    shown = device.shown(begun_s)
    assert shown.missed / max(1, shown.presented) <= 0.1
    folder = Path(f"/proc/{device.process.pid}/fd")
    eventually(lambda: len(list(folder.iterdir())) < 80, 5.0, "the descriptors of those who left are closed")
