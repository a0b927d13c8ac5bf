"""The engine ladder: run at once on what is there, build what is better beside it, change over between two runs.

`TensorRT engine → ONNX Runtime CUDA → ONNX Runtime CPU`. The rung below the engine is loaded first and stays loaded:
shapes for which there is no engine yet run on it, and so does everything when an engine fails. Engines are built by a
process of their own, which may take minutes, crash or be killed; the show only ever sees the better session come.
"""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from edge_runtime.clock import now_s
from edge_runtime.errors import DeviceLostError, SessionError
from edge_runtime.inference.engines import EngineKey, EngineShelf, precision_for_engine, prove, shapes_text
from edge_runtime.inference.manifest import Bundle, Manifest
from edge_runtime.inference.session import Session
from edge_runtime.inference.tensorrt import TensorRtSession, library_for
from edge_runtime.logs import event
from edge_runtime.slots import Array

BUILD_TIMEOUT_S = 3600.0
RETRY_S = 600.0
PROVEN_RUNS = 1000
"""Runs after which an engine's earlier failures are forgiven."""
MAX_ATTEMPTS = 3


class Toolkit(Protocol):
    """What the ladder needs of TensorRT. There is one; tests bring builders that are slow, crash or cheat."""

    def key(self, bundle: Bundle, precision: str, shapes: str) -> EngineKey:
        """What an engine of these shapes depends on, here and now."""
        ...

    def command(self, bundle: Bundle, key: EngineKey, shelf: EngineShelf) -> list[str]:
        """The command that builds it, tells how far it is as lines `{"share": 0-1}`, and puts it on the shelf."""
        ...

    def open(self, manifest: Manifest, plan: bytes) -> Session:
        """Load an engine."""
        ...


class TensorRtToolkit:
    """The real one: this machine's GPU, driver and TensorRT."""

    def key(self, bundle: Bundle, precision: str, shapes: str) -> EngineKey:
        """Asks the driver; raises SessionError where there is none, or none that TensorRT runs on."""
        from edge_runtime.inference.cuda import cuda

        device = cuda().device
        sha256 = next(file.sha256 for file in bundle.manifest.files if file.precision == precision)
        return EngineKey(
            model_sha256=sha256,
            precision=precision,
            shapes=shapes,
            gpu=device.name,
            compute_capability=device.compute_capability,
            sm_count=device.sm_count,
            library=library_for(device),
            driver=device.driver,
        )

    def command(self, bundle: Bundle, key: EngineKey, shelf: EngineShelf) -> list[str]:
        """`edge-runtime models build`, as an engineer would type it."""
        return [
            *(sys.executable, "-m", "edge_runtime", "models", "build", str(bundle.folder)),
            *("--precision", key.precision, "--shapes", key.shapes, "--engines", str(shelf.folder), "--json"),
        ]

    def open(self, manifest: Manifest, plan: bytes) -> Session:
        """Raises SessionError where it cannot be loaded."""
        return TensorRtSession(manifest, plan)


@dataclass(slots=True)
class _Rung:
    """What is known of the engine for one shape."""

    session: Session | None = None
    attempts: int = 0
    """That failed in a row, to build, to load or to run."""
    runs: int = 0
    """Of this engine."""
    retry_at_s: float = 0.0
    wanted: bool = False
    """Somebody works on it."""


class LadderSession:
    """A session that gets better while it runs. `run` and `close` belong to one thread, the worker's."""

    def __init__(
        self,
        bundle: Bundle,
        below: Session,
        shelf: EngineShelf,
        toolkit: Toolkit,
        *,
        precision: str | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        """Begin on the rung below; nothing is built before the first run tells the shapes.

        Args:
            bundle: verified already.
            below: loaded already; owned from here on.
            shelf: where engines lie.
            toolkit: TensorRT.
            precision: which file was asked for; None: the best for an engine.
            retry_s: how long after a failure it is tried again.

        Raises:
            SessionError: the bundle has no file that could become an engine.
        """
        self._bundle, self._below, self._retry_s = bundle, below, retry_s
        self._maker = _Maker(bundle, shelf, toolkit, precision_for_engine(bundle, precision))
        self._rungs: dict[str, _Rung] = {}
        self._last: Session = below
        self.run_s = 0.0

    @property
    def provider(self) -> str:
        """Of the last run."""
        return self._last.provider

    @property
    def engine(self) -> str:
        """How the engine stands: "in use", "building 40 %", or why there is none."""
        return "in use" if self._last is not self._below else self._maker.state

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        self._take_news()
        shapes = shapes_text({name: array.shape for name, array in inputs.items()})
        rung = self._rungs.setdefault(shapes, _Rung())
        if rung.session is not None:
            try:
                outputs = rung.session.run(inputs)
            except DeviceLostError:
                raise  # nothing in this process will run on the GPU again: the part has to start afresh
            except SessionError as error:
                self._lose(rung, error)
            else:
                self._last, self.run_s = rung.session, rung.session.run_s
                rung.runs += 1
                if rung.runs == PROVEN_RUNS:
                    rung.attempts = 0
                return outputs
        elif not rung.wanted and rung.attempts < MAX_ATTEMPTS and now_s() >= rung.retry_at_s:
            rung.wanted = True
            self._maker.want(shapes)
        outputs = self._below.run(inputs)
        self._last, self.run_s = self._below, self._below.run_s
        return outputs

    def _take_news(self) -> None:
        """Change over to what was made meanwhile. Costs nothing where there is no news."""
        while True:
            try:
                shapes, made = self._maker.made.get_nowait()
            except queue.Empty:
                return
            rung = self._rungs[shapes]
            rung.wanted = False
            if isinstance(made, DeviceLostError):
                raise made
            if isinstance(made, Exception):
                self._put_off(rung, shapes, str(made))
            else:
                rung.session, rung.runs = made, 0
                event("engine_in_use", bundle=self._bundle.manifest.name, shapes=shapes, before=self._below.provider)

    def _put_off(self, rung: _Rung, shapes: str, reason: str) -> None:
        rung.attempts += 1
        rung.retry_at_s = now_s() + self._retry_s
        again = f"in {self._retry_s:g} s" if rung.attempts < MAX_ATTEMPTS else "no more until the next start"
        event(
            "engine_build_failed",
            "warning",
            bundle=self._bundle.manifest.name,
            shapes=shapes,
            runs_on=self._below.provider,
            reason=reason,
            again=again,
        )

    def _lose(self, rung: _Rung, error: SessionError) -> None:
        """An engine failed at work: this run and the next ones are the rung below's."""
        name = self._bundle.manifest.name
        event("engine_failed", "error", bundle=name, runs_on=self._below.provider, reason=str(error))
        if rung.session is not None:
            rung.session.close()
        rung.session, rung.attempts, rung.retry_at_s = None, rung.attempts + 1, now_s() + self._retry_s
        self._maker.state = f"none: {error}"

    def close(self) -> None:
        """End the builder at work, if any, and let go of every session. Closing twice is fine."""
        self._maker.close()
        with contextlib.suppress(SessionError):
            self._take_news()
        for rung in self._rungs.values():
            if rung.session is not None:
                rung.session.close()
        self._below.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Maker:
    """Finds, builds, loads and tests engines on a thread of its own, one at a time."""

    def __init__(self, bundle: Bundle, shelf: EngineShelf, toolkit: Toolkit, precision: str) -> None:
        self._bundle, self._shelf, self._toolkit, self._precision = bundle, shelf, toolkit, precision
        self.made: queue.SimpleQueue[tuple[str, Session | Exception]] = queue.SimpleQueue()
        """Shapes, and the session for them or why there is none."""
        self.state = "not asked for yet"
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._builder: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="engines", daemon=True)
        self._thread.start()

    def want(self, shapes: str) -> None:
        """Ask for an engine; the answer comes through `made`."""
        self.state = "looked for"
        self._wanted.put(shapes)

    def _serve(self) -> None:
        while (shapes := self._wanted.get()) is not None:
            try:
                session = self._make(shapes)
                self.state = "ready"
                self.made.put((shapes, session))
            except Exception as error:  # noqa: BLE001 - the worker's own: a full disk must not end the ladder
                self.state = f"none: {error}"
                self.made.put((shapes, error))

    def _make(self, shapes: str) -> Session:
        """From the shelf where there is one that holds, else built first."""
        key = self._toolkit.key(self._bundle, self._precision, shapes)
        try:
            if session := self._load(key):
                return session
        except SessionError as error:
            event("engine_refused", "warning", reason=str(error), then="it is built anew")
            if isinstance(error, DeviceLostError):
                raise
            self._shelf.discard(self._bundle.manifest.name, key)
        if reason := self._shelf.ended_a_process(self._bundle.manifest.name, key):
            raise SessionError(reason)
        self._build(key)
        session = self._load(key)
        if session is None:
            raise SessionError("the builder ended well and left no engine")
        return session

    def _load(self, key: EngineKey) -> Session | None:
        """The engine on the shelf, loaded and tested."""
        manifest = self._bundle.manifest
        engine = self._shelf.read(manifest.name, key)
        if engine is None:
            return None
        self.state = "loading"
        with self._shelf.trying(engine):
            session = self._toolkit.open(manifest, engine.plan)
            try:
                prove(session, manifest, engine, key)
            except SessionError:
                session.close()
                raise
        return session

    def _build(self, key: EngineKey) -> None:
        """Run the builder and follow its progress.

        Raises:
            SessionError: it failed, crashed, took too long or was stopped.
        """
        name, start_s = self._bundle.manifest.name, now_s()
        self.state = "building 0 %"
        event("engine_building", bundle=name, shapes=key.shapes, precision=key.precision)
        command = self._toolkit.command(self._bundle, key, self._shelf)
        with self._lock:
            if self._closing.is_set():
                raise SessionError("the show ends")
            self._builder = builder = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        timer = threading.Timer(BUILD_TIMEOUT_S, builder.kill)
        try:
            last = self._follow(builder, begun=timer.start)
        finally:
            timer.cancel()
            builder.kill()
            builder.__exit__(None, None, None)  # closes its pipes and waits
            self._builder = None
        if builder.returncode != 0:
            raise SessionError(f"the builder {_ended(builder.returncode)}{f': {last}' if last else ''}")
        event("engine_built", bundle=name, shapes=key.shapes, took_s=round(now_s() - start_s, 1))

    def _follow(self, builder: "subprocess.Popen[str]", begun: Callable[[], None]) -> str:
        """Read progress until the builder ends; its last complaint. `begun`: called when it need not wait any more."""
        complaints: list[str] = []
        assert builder.stdout is not None and builder.stderr is not None  # noqa: PT018 - both were asked for
        reader = threading.Thread(target=lambda: complaints.extend(builder.stderr or ()), daemon=True)
        reader.start()
        waits = True
        for line in builder.stdout:
            if waits:  # it tells nothing while another builder is at work
                waits = False
                begun()
            try:
                self.state = f"building {100 * float(json.loads(line)['share']):.0f} %"
            except (ValueError, KeyError, TypeError):
                continue
        builder.wait()
        reader.join()
        told = [line.strip() for line in complaints if line.strip()]
        return told[-1][:300] if told else ""

    def close(self) -> None:
        """End the builder and the thread."""
        with self._lock:
            self._closing.set()
            if self._builder is not None:
                self._builder.kill()
        self._wanted.put(None)
        self._thread.join(10.0)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def open_ladder(bundle: Bundle, below: Session, engines: Path, precision: str | None, *, insist: bool) -> Session:
    """The ladder above a session, where this machine can climb it; else that session, and one line that says why.

    Args:
        bundle: verified already.
        below: loaded already.
        engines: folder of the shelf.
        precision: which file was asked for.
        insist: whether a machine without a GPU is worth a warning.
    """
    from edge_runtime.inference.cuda import cuda

    try:
        device = cuda().device
    except SessionError as error:
        if insist:
            _tell_unavailable(bundle, below, error)
        return below
    try:
        library_for(device)
        return LadderSession(bundle, below, EngineShelf(engines), TensorRtToolkit(), precision=precision)
    except (SessionError, OSError) as error:
        _tell_unavailable(bundle, below, error)
        return below


def _tell_unavailable(bundle: Bundle, below: Session, error: Exception) -> None:
    event("engine_unavailable", "warning", bundle=bundle.manifest.name, runs_on=below.provider, reason=str(error)[:300])
