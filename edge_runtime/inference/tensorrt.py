"""TensorRT: the library, whichever is installed, a builder of engines, and a session of the usual contract.

One path serves `tensorrt` 10.13 to 11 on Jetson and desktop, and `tensorrt-rtx`, which builds without a GPU:
networks are strongly typed, so precision is what the ONNX file says, and tensors go by name.
Source: TensorRT 11.4 documentation, "Migrating from TensorRT 10.x to 11.x".
"""

import functools
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from edge_runtime.clock import now_s
from edge_runtime.errors import SessionError
from edge_runtime.inference.cuda import Buffer, Device, Graph, Stream, cuda, pinned
from edge_runtime.inference.manifest import Manifest
from edge_runtime.inference.session import check_inputs
from edge_runtime.logs import event
from edge_runtime.slots import Array

LIBRARIES = ("tensorrt", "tensorrt_rtx_bindings")
"""The second is all of TensorRT-RTX; `tensorrt_rtx` is a source package that only names it, and no lock holds those."""
RTX_RUNS_ON, RTX_RUNS_FROM = ("7.5", "8.0", "8.6", "8.9"), "12.0"
"""Compute capabilities that TensorRT-RTX takes: cards. What is built for servers and boards, as 8.7 and 9.0, needs
TensorRT itself. Source: what 1.7.1 says when it refuses an engine on 9.0."""
_RTX_BUILDS_UNASKED_FROM = "8.0"
Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]
"""Input name to its least, its usual and its largest shape. An input that is not named has a shape that is given."""


@functools.cache
def library() -> Any:
    """TensorRT's Python module: TensorRT itself where it is installed, else TensorRT-RTX.

    Raises:
        SessionError: neither can be imported; says why.
    """
    reasons = []
    for name in LIBRARIES:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError) as error:
            reasons.append(f"{name}: {str(error).partition(chr(10))[0]}")
    raise SessionError(f"TensorRT cannot be imported: {'; '.join(reasons)}")


def library_name() -> str:
    """Which one, and its build: an engine runs with no other. E.g. "tensorrt 10.16.2.10"."""
    module = library()
    return f"{module.__name__.removesuffix('_bindings')} {module.__version__}"


def library_for(device: Device) -> str:
    """`library_name`, where engines of it run on this device.

    Raises:
        SessionError: there is no TensorRT, or none for this device; says which one would be.
    """
    name = library_name()
    if fault := device_fault(name, device.name, device.compute_capability):
        raise SessionError(fault)
    return name


def device_fault(library: str, gpu: str, capability: str) -> str:
    """Why engines of a library, named as in `library_name`, do not run on a GPU; empty where they do."""
    if not library.startswith("tensorrt_rtx "):
        return ""
    if capability in RTX_RUNS_ON or _version(capability) >= _version(RTX_RUNS_FROM):
        return ""
    return (
        f"TensorRT-RTX runs on compute capability {', '.join(RTX_RUNS_ON)}, {RTX_RUNS_FROM} and later; this {gpu} is "
        f"{capability}: install TensorRT (tensorrt) instead"
    )


def capabilities_asked(library: str, capability: str) -> tuple[str, ...]:
    """What `build` has to be told so that the engine runs on a device: TensorRT-RTX leaves Turing out unasked."""
    left_out = library.startswith("tensorrt_rtx ") and _version(capability) < _version(_RTX_BUILDS_UNASKED_FROM)
    return (capability,) if left_out else ()


def _version(capability: str) -> tuple[int, ...]:
    return tuple(int(number) for number in capability.split("."))


def fixed(shapes: Mapping[str, Shape]) -> Profile:
    """The profile of one shape: kernels are chosen for it alone, and its work can be recorded as a CUDA graph."""
    return {name: (shape, shape, shape) for name, shape in shapes.items()}


def build(
    onnx: Path,
    profile: Profile,
    *,
    timing_cache: Path | None = None,
    capabilities: Sequence[str] = (),
    tell: Callable[[float], None] | None = None,
) -> bytes:
    """Build an engine: seconds to many minutes.

    Args:
        onnx: the network, in the precision it is to run in.
        profile: shapes of those inputs whose shape may vary.
        timing_cache: what earlier builds on this machine measured; read, and written back whole or not at all.
        capabilities: compute capabilities to build for, "8.6"; none: the device here, or the library's default.
            TensorRT-RTX only.
        tell: called with the share that is done, 0-1, now and then and from any thread.

    Raises:
        SessionError: the library is missing, or the network cannot be built; says what is in the way.
    """
    trt = library()
    log = _log(trt)
    builder = trt.Builder(log)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        told = "; ".join(f"{error.node_name() or 'graph'}: {error.desc()}" for error in errors[:3])
        raise SessionError(f"{onnx}: TensorRT cannot read it: {told or log.told}")
    config = builder.create_builder_config()
    _set_profile(builder, network, config, profile, onnx)
    if capabilities:
        _set_capabilities(trt, config, capabilities)
    cache = _take_timings(config, timing_cache)
    monitor = _monitor(trt, tell or (lambda _: None))
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise SessionError(f"{onnx}: TensorRT could not build it: {log.told or 'no reason given'}")
    if cache is not None and timing_cache is not None:
        write_whole(timing_cache, bytes(cache.serialize()))
    return bytes(plan)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens meanwhile."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)  # a full disk must not get fuller
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _set_profile(builder: Any, network: Any, config: Any, profile: Profile, onnx: Path) -> None:
    free = {}
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if any(size < 0 for size in tuple(tensor.shape)):
            free[tensor.name] = tuple(tensor.shape)
    if missing := [name for name in free if name not in profile]:
        raise SessionError(f"{onnx}: input {missing[0]!r} is {list(free[missing[0]])}: a profile has to say its sizes")
    if not free:
        return
    shapes = builder.create_optimization_profile()
    for name in free:
        shapes.set_shape(name, *profile[name])
    if config.add_optimization_profile(shapes) < 0:
        raise SessionError(f"{onnx}: TensorRT refuses the profile {dict(profile)}")


def _set_capabilities(trt: Any, config: Any, capabilities: Sequence[str]) -> None:
    if not hasattr(config, "num_compute_capabilities"):
        raise SessionError(f"{library_name()} builds for the GPU that is here; only TensorRT-RTX builds for others")
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        name = f"SM{capability.replace('.', '')}"
        wanted = getattr(trt.ComputeCapability, name, None)
        if wanted is None:
            known = ", ".join(key for key in trt.ComputeCapability.__members__ if key.startswith("SM"))
            raise SessionError(f"compute capability {capability!r} is unknown to {library_name()}; known: {known}")
        config.set_compute_capability(wanted, index)


def _take_timings(config: Any, path: Path | None) -> Any:
    """The timing cache, if there is one to use; TensorRT refuses one of another build or GPU by itself."""
    if path is None or library_name().startswith("tensorrt_rtx "):  # it times nothing when it builds
        return None
    content = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
            return None
    return cache


def _log(trt: Any) -> Any:
    """A logger that keeps errors and prints nothing. Made here, because its base class is the library's."""

    class Log(trt.ILogger):  # type: ignore[misc] # the base is found at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in {trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR}:
                self.errors.append(message.strip())

        @property
        def told(self) -> str:
            return "; ".join(self.errors[-3:])[:400]

    return Log()


def _monitor(trt: Any, tell: Callable[[float], None]) -> Any:
    """Turns TensorRT's nested phases into one share: of the outermost phase, each step divided by its own phases."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # the base is found at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, tuple[int, int, str | None]] = {}
            self._told = 0.0

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._steps[name] = (0, max(1, steps), parent)

        def step_complete(self, name: str, step: int) -> bool:
            if name in self._steps:
                _, steps, parent = self._steps[name]
                self._steps[name] = (step + 1, steps, parent)
                self._told = max(self._told, self._share(name))
                tell(self._told)
            return True

        def phase_finish(self, name: str) -> None:
            self._steps.pop(name, None)

        def _share(self, name: str) -> float:
            done, steps, parent = self._steps[name]
            share = min(1.0, done / steps)
            while parent is not None and parent in self._steps:
                done, steps, above = self._steps[parent]
                share, parent = min(1.0, (done + share) / steps), above
            return share

    return Monitor()


class TensorRtSession:
    """An engine at work. Opened by any thread, then used by one at a time.

    Buffers are made for the shapes of a run and kept until others come. Upload, inference and download of one shape
    are recorded as a CUDA graph where the engine allows it, and then cost one call.
    """

    provider = "TensorRT"
    engine = "in use"

    def __init__(self, manifest: Manifest, plan: bytes) -> None:
        """Load an engine.

        Args:
            manifest: of the bundle that it was built from.
            plan: what `build` returned, from this very library and for this very device.

        Raises:
            SessionError: no GPU, or the engine is none of this library's, or not one of this manifest.
        """
        self._manifest = manifest
        self.run_s = 0.0
        self._cuda = cuda()  # before anything of TensorRT: see `cuda`
        self._cuda.enter()
        trt = library()
        self._log = _log(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine: Any = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise SessionError(f"{manifest.name}: TensorRT refuses the engine: {self._log.told or 'no reason given'}")
        self._dtypes = {
            name: np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in self._names_checked()
        }
        self._context: Any = self._engine.create_execution_context()
        if self._context is None:
            raise SessionError(f"{manifest.name}: no memory to run the engine in: {self._log.told}")
        self._stream = Stream()
        self._shapes: Mapping[str, Shape] = {}
        self._host: dict[str, Array] = {}
        self._buffers: dict[str, Buffer] = {}
        self._graph: Graph | None = None
        self._may_record = True

    def _names_checked(self) -> list[str]:
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        wanted = [spec.name for spec in (*self._manifest.inputs, *self._manifest.outputs)]
        if missing := [name for name in wanted if name not in names]:
            raise SessionError(f"{self._manifest.name}: {missing[0]!r} is not in the engine; it has {names}")
        return names

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if self._context is None:
            raise SessionError(f"{self._manifest.name}: the session is closed")
        check_inputs(self._manifest.name, self._manifest.inputs, inputs)
        start_s = now_s()
        self._cuda.enter()
        shapes = {name: array.shape for name, array in inputs.items()}
        if shapes != self._shapes:
            self._bind(shapes)
        for name, array in inputs.items():
            np.copyto(self._host[name], array)
        if self._graph is not None:
            self._stream.play(self._graph)
            self._stream.wait()
        else:
            self._queue()
            self._stream.wait()
            self._record()
        self.run_s = now_s() - start_s
        return {spec.name: self._host[spec.name].copy() for spec in self._manifest.outputs}

    def _bind(self, shapes: Mapping[str, Shape]) -> None:
        """Make buffers for these shapes and tell the engine of them."""
        self._shapes, self._graph, self._may_record = {}, None, True
        self._host, self._buffers = {}, {}
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise SessionError(f"{self._manifest.name}: the engine was not built for {name!r} {list(shape)}")
        for name, dtype in self._dtypes.items():
            shape = tuple(self._context.get_tensor_shape(name))
            if any(size < 0 for size in shape):
                raise SessionError(f"{self._manifest.name}: the size of {name!r} depends on values; no engine for that")
            self._host[name] = pinned(shape, dtype)
            self._buffers[name] = Buffer(self._host[name].nbytes)
            self._context.set_tensor_address(name, self._buffers[name].address)
        self._shapes = dict(shapes)

    def _queue(self) -> None:
        """Queue upload, inference and download."""
        for spec in self._manifest.inputs:
            self._stream.upload(self._buffers[spec.name], self._host[spec.name])
        if not self._context.execute_async_v3(self._stream.handle):
            raise SessionError(f"{self._manifest.name}: run failed on {dict(self._shapes)}: {self._log.told}")
        for spec in self._manifest.outputs:
            self._stream.download(self._host[spec.name], self._buffers[spec.name])

    def _record(self) -> None:
        """Record the work for the runs to come. What cannot be recorded is queued piece by piece for ever."""
        if not self._may_record:
            return
        self._may_record = False
        try:
            self._graph = self._stream.record(self._queue)
        except SessionError as error:
            event("cuda_graph_refused", "info", bundle=self._manifest.name, reason=str(error)[:200])

    def close(self) -> None:
        self._graph, self._context, self._engine = None, None, None
        self._host, self._buffers = {}, {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
