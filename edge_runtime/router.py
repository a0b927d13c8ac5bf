"""The router: carries messages between parts, and answers local clients. Used from the supervisor's one thread."""

from collections.abc import Callable, Mapping
from typing import Any

from edge_runtime import logs
from edge_runtime.channel import Message
from edge_runtime.children import Child
from edge_runtime.config import DeviceConfig
from edge_runtime.control_socket import MAX_REQUEST_LENGTH, ControlSocket
from edge_runtime.errors import ChannelError

TAKEN_AT_ONCE = 64
MAX_NAME_LENGTH = 300
"""Of a parameter or a command that a local client names: longer than any that a config can declare."""


class Router:
    """Knows who is up and who answers for what. It never waits: what cannot be delivered is dropped."""

    def __init__(
        self,
        config: DeviceConfig,
        children: Mapping[str, Child],
        control: ControlSocket,
        statistics: Callable[[], dict[str, Any]],
    ) -> None:
        self._children, self._control, self._statistics = children, control, statistics
        self._workers = {f"models.{model.name}.": f"worker:{model.worker}" for model in config.models}

    def send(self, to: str, message: Message) -> bool:
        """Send to a part; False when it is not up or does not keep up."""
        child = self._children.get(to)
        if child is None or child.channel is None or child.state != "up":
            return False
        try:
            return child.channel.send(message)
        except ChannelError as error:
            logs.event("message_dropped", "error", to=to, reason=str(error))
            return False

    def collect(self, child: Child) -> list[Message]:
        """Pass on what a part has sent; returns what is for the supervisor itself.

        Raises:
            ChannelError: the part talks nonsense.
        """
        ours: list[Message] = []
        for message in child.channel.drain(TAKEN_AT_ONCE) if child.channel else []:
            to = str(message.get("to", ""))
            if to == "supervisor":
                ours.append(message)
            elif to.startswith("client:"):
                self._control.reply(to, message.get("request"), message.get("result"))
            else:
                self.send(to, {**message, "from": child.name})
        return ours

    def serve_client(self, name: str) -> None:
        """Answer what a local client asks and we know, pass on the rest."""
        for message in self._control.read(name):
            request = message.get("request")
            result: object
            match message.get("type"):
                case _ if (reason := _too_long(message)) is not None:
                    result = {"ok": False, "reason": reason}
                case "ps":
                    result = self._statistics()["parts"]
                case "status":
                    result = self._statistics()
                case "why":
                    parameter = str(message.get("parameter", ""))
                    result = self._pass_on(self._answering(parameter), "why", name, request, {"parameter": parameter})
                case "command":
                    words = {key: str(message.get(key, "")) for key in ("name", "payload")}
                    result = self._pass_on("hub", "command", name, request, words)
                case other:
                    reason = f"no request {str(other)[:40]!r}; known: ps, status, why, command"
                    result = {"ok": False, "reason": reason}
            if result is not None:
                self._control.reply(name, request, result)

    def _pass_on(self, to: str, kind: str, client: str, request: object, words: Mapping[str, str]) -> object:
        """Have a part answer; None when it will. It is handed texts and nothing else: a stranger wrote them."""
        if self.send(to, {"type": kind, "from": client, "request": request, **words}):
            return None
        return {"ok": False, "reason": f"{to} is restarting or busy; try again in a second"}

    def _answering(self, parameter: str) -> str:
        """The part that knows a parameter: models.NAME.p is its worker's, anything else the show's."""
        return next((part for prefix, part in self._workers.items() if parameter.startswith(prefix)), "show")


def _too_long(message: Mapping[str, Any]) -> str | None:
    """What a client made longer than an answer could give back; None where all is well."""
    for key, limit in (("request", MAX_REQUEST_LENGTH), ("parameter", MAX_NAME_LENGTH), ("name", MAX_NAME_LENGTH)):
        if (length := len(str(message.get(key, "")))) > limit:
            return f"{key} has {length} characters, {limit} at most"
    return None
