import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.control.client import send
from edge_runtime.control.local import request
from edge_runtime.errors import ChannelError

Answer = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Answer], Path]]:
    """Starts a control socket that gives one client the answers of a function, then hangs up."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    threads: list[threading.Thread] = []

    def start(answer: Answer) -> Path:
        path = tmp_path / "control"
        listener.bind(str(path))
        listener.listen(1)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                for reply in answer(json.loads(connection.recv(65536))):
                    connection.send(json.dumps(reply).encode())

        threads.append(threading.Thread(target=run))
        threads[0].start()
        return path

    yield start
    listener.close()
    for thread in threads:
        thread.join(5)


def test_a_request_gets_the_reply_that_is_its_own(serve: Callable[[Answer], Path]) -> None:
    def answer(asked: dict[str, Any]) -> list[dict[str, Any]]:
        assert (asked["type"], asked["parameter"]) == ("why", "mirror/rain.rate")
        other = {"type": "reply", "request": "somebody else's", "result": 1}
        return [other, {"type": "reply", "request": asked["request"], "result": {"value": 2}}]

    assert request(serve(answer), "why", parameter="mirror/rain.rate") == {"value": 2}


def test_a_command_over_the_socket_carries_a_whole_envelope(serve: Callable[[Answer], Path]) -> None:
    def answer(asked: dict[str, Any]) -> list[dict[str, Any]]:
        envelope = json.loads(asked["payload"])
        assert (asked["type"], asked["name"]) == ("command", "blackout")
        assert set(envelope) == {"id", "issued_at", "expires_s", "args"}
        result = {"id": envelope["id"], "ok": False, "reason": str(envelope["args"])}
        return [{"type": "reply", "request": asked["request"], "result": result}]

    (ack,) = send("foyer-left", "blackout", {"on": True}, control_socket=serve(answer))
    assert (ack.device_id, ack.ok, ack.reason) == ("foyer-left", False, "{'on': True}")


def test_a_runtime_that_is_not_there_or_silent_is_one_clear_line(
    tmp_path: Path, serve: Callable[[Answer], Path]
) -> None:
    with pytest.raises(ChannelError, match="is edge-runtime running"):
        request(tmp_path / "nobody", "ps")
    path = serve(lambda _: [])
    with pytest.raises(ChannelError, match="hung up"):
        request(path, "ps")
