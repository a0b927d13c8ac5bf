"""The worker part: keeps its models fed, always with the newest frame, and answers for their parameters.

One thread, no queue: look at every model, run those with news, sleep until the bell rings. Run as `worker:NAME`;
the models of a config whose `worker` is NAME share this process.
"""

import contextlib
import gc

import cv2

from edge_runtime.channel import Message
from edge_runtime.clock import now_s
from edge_runtime.errors import Refused
from edge_runtime.inference.live import LiveModel
from edge_runtime.logs import event
from edge_runtime.part import Part
from edge_runtime.signals import Value

LOADING_S = 10.0
REPORT_S = 1.0
HEAR_S = 0.02
"""Longest sleep: new frames and signals ring the bell, messages on the channel do not."""


def run(part: Part) -> None:
    """Serve until asked to stop.

    Raises:
        BundleError, ConfigError, SessionError: a model cannot be loaded, or fails on every input.
    """
    cv2.setNumThreads(1)
    with contextlib.ExitStack() as sessions:
        models: dict[str, LiveModel] = {}
        for config in part.config.models:
            if config.worker == part.label:
                part.beat(within_s=LOADING_S)
                models[config.name] = LiveModel(part, config)
                sessions.enter_context(models[config.name].task.session)
        _settle_memory()
        _Worker(part, models).serve()


def _settle_memory() -> None:
    """What is loaded stays: garbage is looked for among newer things only, and only when we say so."""
    gc.collect()
    gc.freeze()
    gc.disable()


class _Worker:
    """The loop and what it remembers."""

    def __init__(self, part: Part, models: dict[str, LiveModel]) -> None:
        self._part = part
        self._models = models
        self._rung = -1
        self._on_air: Value | None = None
        self._needed = frozenset(models)
        self._ready = False
        self._report_due_s = 0.0

    def serve(self) -> None:
        """Hear, look, run, sleep."""
        part = self._part
        while not part.stop.requested:
            seen = part.bell.seen()
            for message in part.drain():
                self._obey(message)
            self._follow_show()
            due_in_s = [self._serve_model(model) for name, model in self._models.items() if self._works(name)]
            self._tell()
            part.beat()
            part.bell.wait(seen, min([HEAR_S, *due_in_s]))

    def _serve_model(self, model: LiveModel) -> float:
        """Run the model if it is due; seconds until it should be looked at again."""
        due_in_s = model.look()
        if due_in_s is None:
            return HEAR_S
        if due_in_s > 0:
            return due_in_s
        self._part.beat(within_s=model.patience_s)
        model.run()
        self._part.beat(did=1)
        return 0.0

    def _works(self, name: str) -> bool:
        """Whether a model has work: what no scene shows rests, once it has proved that it runs."""
        return name in self._needed or self._models[name].runs == 0

    def _follow_show(self) -> None:
        """Take the rung that the governor picked, and note which scenes are on air."""
        signals, config = self._part.board.snapshot(now_s()), self._part.config
        on_air = signals.value("show.scenes")
        if on_air != self._on_air:
            self._on_air = on_air
            self._needed = config.models_of(str(on_air).split(","))
        rungs = config.rungs
        at = signals.number("governor.rung")
        rung = min(len(rungs) - 1, max(0, int(at or 0)))
        if rung != self._rung:
            self._rung = rung
            for model in self._models.values():
                model.climb(rungs[rung])

    def _tell(self) -> None:
        if not self._ready and all(model.settled for model in self._models.values()):
            self._ready = True
            self._part.ready()
        at_s = now_s()
        if at_s >= self._report_due_s:
            self._report_due_s = at_s + REPORT_S
            self._part.report({"models": {name: model.statistics() for name, model in self._models.items()}})
            gc.collect()  # 0.2 ms: all that was there at start is frozen

    def _obey(self, message: Message) -> None:
        """Act on a message; whoever asked is answered."""
        if message.get("type") not in {"hold", "why"}:
            return
        try:
            model, parameter = self._addressed(message)
            if message["type"] == "hold":
                model.parameters.hold(parameter, message["value"], message.get("until_s"))
                result: dict[str, object] = {"ok": True, "result": None}
            else:
                why = model.parameters.why(parameter, self._part.board.snapshot(now_s()))
                result = {"ok": True, "result": why}
        except Refused as refusal:
            result = {"ok": False, "reason": str(refusal)}
            event("parameter_refused", "warning", reason=str(refusal))
        if "request" in message:
            self._part.send(message["from"], "reply", request=message["request"], result=result)

    def _addressed(self, message: Message) -> tuple[LiveModel, str]:
        """The model and the parameter meant: by two fields, or by one address models.NAME.PARAMETER."""
        name, parameter = message.get("model"), str(message.get("parameter", ""))
        if name is None:
            _, name, parameter = [*parameter.split(".", 2), "", ""][:3]
        if name not in self._models:
            raise Refused(f"no model {name!r} in {self._part.name}; known: {', '.join(self._models)}")
        return self._models[name], parameter
