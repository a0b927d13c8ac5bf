"""One model at work inside a worker: looks for news, runs its task on the newest frames, publishes the picture."""

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_runtime.binding import Parameters
from edge_runtime.clock import Rate, now_s
from edge_runtime.config import ModelConfig, RungConfig
from edge_runtime.errors import ConfigError, SessionError
from edge_runtime.inference.manifest import find_faults, open_bundle
from edge_runtime.inference.tasks import Work, open_task
from edge_runtime.logs import event
from edge_runtime.part import Part
from edge_runtime.pulse import BEAT_S
from edge_runtime.slots import Array, SlotFrame, SlotReader

MAX_FAILURES = 5
"""Runs that may fail in a row before the whole part starts afresh."""
CHANGE = 1e-3
"""A parameter that moved less than this since the last run is not news: it cannot be seen."""
FIRST_RUN_S = 10.0
QUIET_S = 0.5
"""Inputs that are silent for longer have ended: a task that goes on by itself stops, so that its picture ages too."""
_WINDOW_RUNS = 300
_RATE_WINDOW_S = 5.0
_COPY_ATTEMPTS = 3


class LiveModel:
    """A model with its inputs, parameters, ceiling and output. Used from the worker's one thread."""

    def __init__(self, part: Part, model: ModelConfig) -> None:
        """Load the model.

        Raises:
            BundleError: the bundle is missing or altered.
            ConfigError: the bundle cannot do what the config asks for.
            SessionError: no runtime here can load it.
        """
        bundle = open_bundle(model.bundle, part.model_folders, part.config.trust)
        if faults := find_faults(model, bundle.manifest, part.config):
            raise ConfigError(f"model {model.name!r}: {faults[0]}")
        self.name = model.name
        self.bundle = f"{bundle.manifest.name} {bundle.manifest.version}"
        self.task = open_task(model, bundle, model.size_px, part.state_folder / "engines")
        self.parameters = Parameters.build(
            self.task.parameters, {**self.task.defaults, **model.set}, model.bind, part.config
        )
        self._part, self._config = part, model
        self._size_px, self._rate = model.size_px, Rate(model.rate_hz)
        self._proven_px: tuple[int, int] | None = None
        self._readers = [part.reader(source) for source in model.inputs]
        self._copies: list[Array] = [np.empty(0, np.uint8) for _ in self._readers]
        self._writer = part.writer(model.output) if model.output else None
        self._signals = part.config.readings(model.name)
        self._frames: list[SlotFrame] = []
        self._values: Mapping[str, float | str] = {}
        self._opened_s = self._looked_s = now_s()
        self._ran_on: list[tuple[int, int]] = []
        self._ran_with: dict[str, float | str] = {}
        self._failures = 0
        self.runs = 0
        self._finished_s: deque[float] = deque(maxlen=_WINDOW_RUNS)
        self._task_s: deque[float] = deque(maxlen=_WINDOW_RUNS)
        self._run_s: deque[float] = deque(maxlen=_WINDOW_RUNS)
        self._age_s: deque[float] = deque(maxlen=_WINDOW_RUNS)

    @property
    def settled(self) -> bool:
        """True when it has given a result, or has nothing yet to give one of."""
        return self.runs > 0 or len(self._frames) < len(self._readers)

    @property
    def patience_s(self) -> float:
        """The longest that a healthy run may take from now; the first of a size compiles and allocates."""
        if self._size_px != self._proven_px:
            return FIRST_RUN_S
        return max(BEAT_S, 10.0 * statistics.median(self._task_s))

    def climb(self, rung: RungConfig) -> None:
        """Take the size and the ceiling of a rung of the ladder; what it leaves out is the config's own."""
        change = rung.models.get(self.name)
        self._size_px = (change and change.size_px) or self._config.size_px
        rate_hz = (change and change.rate_hz) or self._config.rate_hz
        if rate_hz != self._rate.rate_hz:
            self._rate = Rate(rate_hz)

    def look(self) -> float | None:
        """Look at inputs and signals: seconds until a run is due, 0 for now, None when there is nothing new."""
        at_s = now_s()
        self._values = self.parameters.update(self._part.board.snapshot(at_s), at_s - self._looked_s)
        self._looked_s = at_s
        latest = [reader.latest() for reader in self._readers]
        self._frames = [frame for frame in latest if frame is not None]
        if len(self._frames) < len(latest):
            return None
        if not (self._goes_on(at_s) or self._news()):
            return None
        return self._rate.due_in_s(at_s)

    def _goes_on(self, at_s: float) -> bool:
        """Whether it runs without news: a continuous task, unless all that it is fed with has ended."""
        published_s = [frame.published_s for frame in self._frames]
        return self.task.continuous and (not published_s or at_s - max(published_s) < QUIET_S)

    def _identities(self) -> list[tuple[int, int]]:
        return [(frame.ring, frame.sequence) for frame in self._frames]

    def _news(self) -> bool:
        """A new frame, a parameter that moved, or no run yet."""
        if not self._ran_on and not self._ran_with and self.runs == 0:
            return True
        return self._identities() != self._ran_on or any(
            _moved(value, self._ran_with.get(name, value)) for name, value in self._values.items()
        )

    def run(self) -> None:
        """Run once on what `look` found.

        Raises:
            SessionError: this was the last of `MAX_FAILURES` failures in a row.
        """
        start_s = now_s()
        self._rate.take(start_s)
        fresh = self._identities() != self._ran_on
        self._ran_on, self._ran_with = self._identities(), dict(self._values)
        try:
            captured_s = self._make_picture(start_s)
        except Exception as error:  # noqa: BLE001 - the worker's own: one bad frame must not cost the part
            self._note_failure(error)
            return
        self._failures, self._proven_px = 0, self._size_px
        end_s = now_s()
        self.runs += 1
        self._finished_s.append(end_s)
        self._task_s.append(end_s - start_s)
        self._run_s.append(self.task.session.run_s)
        if fresh:
            self._age_s.append(end_s - captured_s)

    def _make_picture(self, start_s: float) -> float:
        """Run the task and publish; returns when the light fell in. The first input's time is the picture's."""
        frames = self._copy_frames()
        captured_s = self._frames[0].captured_s if self._frames else start_s
        width, height = self._size_px
        shape = (height, width, self.task.channels)
        out = self._writer.next(shape) if self._writer else np.empty(shape, np.uint8)
        work = Work(frames, self._values, [frame.captured_s for frame in self._frames], start_s)
        readings = self.task.run(work, out)
        captured_s -= self.task.behind_s
        if self._writer:
            self._writer.publish(captured_s, now_s())
        for reading, signal in self._signals.items():
            if reading in readings:
                self._part.board.put(signal, readings[reading], captured_s)
        if self._writer or readings:
            self._part.bell.ring()
        return captured_s

    def _copy_frames(self) -> Sequence[Array]:
        """The frames of `look`, or newer ones, in memory of our own: a run may outlast the slot's buffers."""
        for i, reader in enumerate(self._readers):
            self._frames[i], self._copies[i] = _copy_newest(reader, self._frames[i], self._copies[i])
        self._ran_on = self._identities()
        return self._copies

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self.task.reset()
        if self._failures == 1:
            event("model_failed", "error", model=self.name, reason=f"{type(error).__name__}: {error}"[:400])
        if self._failures >= MAX_FAILURES:
            raise SessionError(f"model {self.name!r} failed {self._failures} times in a row: {error}") from error

    def statistics(self) -> dict[str, Any]:
        """The model's share of the statistics, over the last runs."""
        at_s = now_s()
        recent = sum(1 for finished_s in self._finished_s if finished_s > at_s - _RATE_WINDOW_S)
        return {
            "bundle": self.bundle,
            "backend": self._config.backend,
            "provider": self.task.session.provider,
            "engine": self.task.session.engine,
            "runs": self.runs,
            "rate_hz": round(recent / min(_RATE_WINDOW_S, max(0.1, at_s - self._opened_s)), 1),
            "task_ms": _percentiles_ms(self._task_s),
            "run_ms": _percentiles_ms(self._run_s),
            "age_ms": _percentiles_ms(self._age_s),
        }


def _moved(value: float | str, before: float | str) -> bool:
    if isinstance(value, str) or isinstance(before, str):
        return value != before
    return abs(value - before) > CHANGE


def _copy_newest(reader: SlotReader, frame: SlotFrame, copy: Array) -> tuple[SlotFrame, Array]:
    for _ in range(_COPY_ATTEMPTS):
        if copy.shape != frame.array.shape or copy.dtype != frame.array.dtype:
            copy = np.empty_like(frame.array)
        np.copyto(copy, frame.array)
        if reader.intact(frame):
            return frame, copy
        frame = reader.latest() or frame
    raise SessionError("the input is overwritten faster than it can be read")


def _percentiles_ms(seconds: deque[float]) -> dict[str, float | None]:
    if not seconds:
        return {"p50": None, "p95": None}
    ordered = sorted(seconds)
    return {f"p{n}": round(1e3 * ordered[min(len(ordered) - 1, n * len(ordered) // 100)], 2) for n in (50, 95)}
