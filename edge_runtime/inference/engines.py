"""The engine cache: built once for one model, one GPU, one TensorRT and one shape, and believed only after a test.

An engine is one file: a line of JSON that says what it was built from and for, the engine, and what the network
answered on the CPU to inputs that anyone can draw again. It is written whole or not at all. One that was being tried
each of the last times that a process died is set aside and not tried again.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Bundle, Manifest
from edge_runtime.inference.onnx import CPU, OnnxSession
from edge_runtime.inference.session import Session
from edge_runtime.inference.tensorrt import Shape, build, capabilities_asked, fixed, write_whole
from edge_runtime.slots import Array

FORMAT = 2
STRIKES = 3
"""Processes in a row that died while they tried an engine before it is held guilty: a box may lose its power."""
TOLERANCE = {"fp32": 0.03, "fp16": 0.06, "int8-trt": 0.15}
"""Largest root mean square error beside what the CPU answers, in standard deviations of that. fp32 runs as TF32."""
_SEED = 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PICTURE_DIMENSIONS, _PICTURE_PX = 4, 32


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine depends on. Two that differ in anything are not exchangeable."""

    model_sha256: str
    precision: str
    shapes: str
    """Of every input, as JSON with sorted names."""
    gpu: str
    compute_capability: str
    sm_count: int
    library: str
    """TensorRT's name and build."""
    driver: str

    def difference(self, other: "EngineKey") -> str:
        """What of `other` is not as here; empty when nothing is."""
        found = [
            f"{field.name} is {getattr(other, field.name)!r}, here {getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]
        return "; ".join(found)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine as it lies on the shelf."""

    path: Path
    plan: bytes
    expected: Mapping[str, Array]
    """The outputs for `proof_inputs`."""


def shapes_text(shapes: Mapping[str, Shape]) -> str:
    """As it stands in a key."""
    return json.dumps({name: list(shape) for name, shape in shapes.items()}, sort_keys=True, separators=(",", ":"))


def precision_for_engine(bundle: Bundle, wanted: str | None) -> str:
    """Which file of the bundle an engine is built from: what was asked for where TensorRT can read it, else the best.

    int8 for CPUs has unsigned activations and biases, which TensorRT refuses; its own int8 takes its place.

    Raises:
        SessionError: the bundle has none that TensorRT can read.
    """
    shipped = {file.precision for file in bundle.manifest.files}
    order = {
        None: ("fp16", "fp32", "int8-trt"),
        "fp16": ("fp16", "fp32"),
        "fp32": ("fp32", "fp16"),
        "int8": ("int8-trt", "fp16", "fp32"),
        "int8-trt": ("int8-trt", "fp16", "fp32"),
    }
    for precision in order.get(wanted, order[None]):
        if precision in shipped:
            return precision
    raise SessionError(f"{bundle.manifest.name}: none of {sorted(shipped)} can become an engine")


def proof_inputs(manifest: Manifest, shapes: Mapping[str, Shape]) -> dict[str, Array]:
    """Inputs for a self-test, the same every time: soft pictures, a mix of all styles, noise for the rest."""
    rng = np.random.default_rng(_SEED)
    found: dict[str, Array] = {}
    for spec in manifest.inputs:
        dtype, shape = np.dtype(spec.dtype), shapes[spec.name]
        low, high = spec.range or ((0.0, 1.0) if dtype.kind == "f" else (0.0, 255.0 if spec.dtype == "uint8" else 1.0))
        values = rng.random(shape, np.float32)
        if len(shape) == _PICTURE_DIMENSIONS and min(shape[2:]) >= _PICTURE_PX:
            values = np.stack([[_soft(channel) for channel in picture] for picture in values])
        elif manifest.styles and shape == (len(manifest.styles),):
            values /= values.sum()
        values = low + (high - low) * values
        found[spec.name] = values.astype(dtype) if dtype.kind == "f" else values.round().astype(dtype)
    return found


def _soft(noise: Array) -> Array:
    """Clouds with a little grain, 0-1, of the same size."""
    height, width = noise.shape
    clouds = cv2.resize(noise[:6, :10], (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(0.95 * clouds + 0.05 * noise, 0, 1), np.float32)


def check_parity(name: str, expected: Mapping[str, Array], seen: Mapping[str, Array], tolerance: float) -> float:
    """Compare one answer of a network with another; the largest error of any output, in standard deviations.

    Raises:
        SessionError: an output is missing, not finite or too far off.
    """
    worst = 0.0
    for output, wanted in expected.items():
        if output not in seen or seen[output].shape != wanted.shape:
            raise SessionError(f"{name}: {output!r} is missing or has another shape")
        got, aim = seen[output].astype(np.float64), wanted.astype(np.float64)
        if not np.isfinite(got).all():
            raise SessionError(f"{name}: {output!r} is not finite")
        error = float(np.sqrt(np.mean((got - aim) ** 2)) / (aim.std() + 1e-3))
        worst = max(worst, error)
        if error > tolerance:
            raise SessionError(f"{name}: {output!r} is off by {error:.3f} standard deviations; at most {tolerance:g}")
    return worst


def prove(session: Session, manifest: Manifest, engine: Engine, key: EngineKey) -> float:
    """Run the self-test, twice: the second run is the recorded one. Returns the error.

    Raises:
        SessionError: it failed.
    """
    inputs, name = proof_inputs(manifest, shapes_of(key)), f"engine of {manifest.name}"
    check_parity(name, engine.expected, session.run(inputs), TOLERANCE[key.precision])
    return check_parity(name, engine.expected, session.run(inputs), TOLERANCE[key.precision])


class EngineShelf:
    """A folder of engines. Used by workers and builders alike; every file is whole at all times."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def timing_cache(self) -> Path:
        """What builds have measured on this machine."""
        return self.folder / "timing.cache"

    def path(self, name: str, key: EngineKey) -> Path:
        """Where the engine of a bundle, precision and shape lies, whatever it was built by: a new one replaces it."""
        mark = hashlib.sha256(f"{key.precision} {key.shapes}".encode()).hexdigest()[:12]
        return self.folder / f"{name}.{key.precision}.{mark}.engine"

    def write(self, name: str, key: EngineKey, plan: bytes, expected: Mapping[str, Array]) -> Path:
        """Put an engine on the shelf, replacing an older one."""
        stored = io.BytesIO()
        np.savez(stored, **expected)  # type: ignore[arg-type] # no name of an output is allow_pickle
        rest = plan + stored.getvalue()
        header = {
            "edge_engine": FORMAT,
            "key": asdict(key),
            "plan_bytes": len(plan),
            "rest_bytes": len(rest),
            "sha256": _seal(key, len(plan), rest),
        }
        path = self.path(name, key)
        write_whole(path, json.dumps(header).encode() + b"\n" + rest)
        for stale in (self._bad(path), self._strikes(path)):
            stale.unlink(missing_ok=True)
        return path

    def discard(self, name: str, key: EngineKey) -> None:
        """Take an engine off the shelf that is whole and does not work, so that the next one is built."""
        self.path(name, key).unlink(missing_ok=True)

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """While something is built: one builder at a time on this machine. What dead ones left half done goes."""
        with (self.folder / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for half in self.folder.glob(".*"):
                half.unlink(missing_ok=True)
            yield

    def read(self, name: str, key: EngineKey) -> Engine | None:
        """The engine for a key; None where there is none.

        Raises:
            SessionError: the one there is truncated, altered, built by or for something else, or ended a process.
        """
        path = self.path(name, key)
        self._set_aside(path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SessionError(f"{path}: cannot be read: {error.strerror}") from error
        line, _, rest = content.partition(b"\n")
        try:
            header = json.loads(line)
            found = EngineKey(**header["key"])
            plan_bytes, rest_bytes, expected = int(header["plan_bytes"]), int(header["rest_bytes"]), header["sha256"]
            known = header["edge_engine"] == FORMAT
        except (ValueError, KeyError, TypeError) as error:
            raise SessionError(f"{path}: is no engine of this runtime") from error
        if difference := key.difference(found) or ("" if known else "the file has another format"):
            raise SessionError(f"{path}: was built for something else: {difference}")
        if len(rest) < rest_bytes:
            raise SessionError(f"{path}: is cut short: {len(rest)} of {rest_bytes} bytes")
        if _seal(found, plan_bytes, rest) != expected:
            raise SessionError(f"{path}: was altered: its sha256 is not the one it was written with")
        return Engine(path, rest[:plan_bytes], _arrays(rest[plan_bytes:]))

    def ended_a_process(self, name: str, key: EngineKey) -> str:
        """Why no engine is built for this key any more; empty when nothing speaks against it."""
        path = self._bad(self.path(name, key))
        try:
            header = json.loads(path.read_bytes().partition(b"\n")[0])
            same = EngineKey(**header["key"]) == key
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return f"{path.name} ended the process that tried it; delete it to try again" if same else ""

    @contextlib.contextmanager
    def trying(self, engine: Engine) -> Iterator[None]:
        """While an engine is loaded and tested. A mark that outlives its process says: it may be the engine's doing.

        It may as well have been stopped, or lost its power: see `STRIKES`.
        """
        mark = engine.path.with_name(f"{engine.path.name}.trying-{_identity(os.getpid())}")
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)
        self._strikes(engine.path).unlink(missing_ok=True)

    def _set_aside(self, path: Path) -> None:
        for mark in path.parent.glob(f"{path.name}.trying-*"):
            identity = mark.name.rpartition("trying-")[2]
            if identity == _identity(int(identity.partition("-")[0])):
                continue  # it is being tried right now
            mark.unlink(missing_ok=True)
            with self._strikes(path).open("a", encoding="ascii") as strikes:
                strikes.write(f"{identity}\n")
            if len(self._strikes(path).read_text(encoding="ascii").splitlines()) >= STRIKES:
                self._strikes(path).unlink()
                with contextlib.suppress(FileNotFoundError):
                    path.replace(self._bad(path))

    @staticmethod
    def _bad(path: Path) -> Path:
        return path.with_suffix(".bad")

    @staticmethod
    def _strikes(path: Path) -> Path:
        return path.with_suffix(".strikes")


def build_engine(
    bundle: Bundle, key: EngineKey, shelf: EngineShelf, tell: Callable[[float], None] = lambda _: None
) -> tuple[Path, bool]:
    """Build the engine for a key and put it on the shelf. Call it within `shelf.building()`.

    Returns:
        Where it lies, and whether it was there already.

    Raises:
        SessionError: TensorRT cannot build it.
    """
    name, shapes = bundle.manifest.name, shapes_of(key)
    with contextlib.suppress(SessionError):
        if engine := shelf.read(name, key):
            return engine.path, True
    with OnnxSession(bundle, precision=key.precision, providers=[CPU]) as session:
        expected = session.run(proof_inputs(bundle.manifest, shapes))
    plan = build(
        bundle.file(key.precision),
        fixed(shapes),
        timing_cache=shelf.timing_cache,
        capabilities=capabilities_asked(key.library, key.compute_capability),
        tell=tell,
    )
    return shelf.write(name, key, plan, expected), False


def shapes_of(key: EngineKey) -> dict[str, Shape]:
    """Of every input."""
    return {name: tuple(shape) for name, shape in json.loads(key.shapes).items()}


def _identity(pid: int) -> str:
    """A process that runs, told from any other that had or will have its number: pid, start in ticks, boot."""
    try:
        start = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""
    return f"{pid}-{start}-{_BOOT_ID.read_text(encoding='ascii')[:8]}"


def _seal(key: EngineKey, plan_bytes: int, rest: bytes) -> str:
    """The sha256 of all that an engine's file says."""
    return hashlib.sha256(json.dumps([asdict(key), plan_bytes], sort_keys=True).encode() + rest).hexdigest()


def _arrays(content: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
