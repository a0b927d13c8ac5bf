"""Sessions: one loaded network, whatever runs it. Arrays in, arrays out; no pictures, no time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

from edge_runtime.config.models import Backend
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Bundle, TensorSpec
from edge_runtime.slots import Array


class Session(Protocol):
    """A loaded network. Used from one thread: the worker that opened it."""

    run_s: float
    """How long the last run took; 0 before any."""

    @property
    def engine(self) -> str:
        """How the TensorRT engine stands: "in use", "building 40 %", why there is none; empty where none is wanted."""
        ...

    @property
    def provider(self) -> str:
        """What really runs it: `TensorRT`, `CUDAExecutionProvider`, `CPUExecutionProvider`, `null`."""
        ...

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Run once.

        Args:
            inputs: every input of the manifest by name, C-contiguous. Borrowed until the call returns.

        Returns:
            Every output of the manifest by name. They belong to the caller, but may be the very inputs (`NullSession`).

        Raises:
            SessionError: an input does not fit the manifest, or the run failed; the session stays usable.
        """
        ...

    def close(self) -> None:
        """Let go of the network. Closing twice is fine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def check_inputs(name: str, specs: Sequence[TensorSpec], inputs: Mapping[str, Array]) -> None:
    """Compare inputs with the manifest before a native library sees them.

    Raises:
        SessionError: naming the tensor, what was seen and what was expected.
    """
    for spec in specs:
        array = inputs.get(spec.name)
        if array is None:
            raise SessionError(f"{name}: input {spec.name!r} is missing; expected {spec}, seen {sorted(inputs)}")
        if not spec.fits(array.shape, array.dtype.name):
            raise SessionError(
                f"{name}: input {spec.name!r} is {array.dtype.name} {list(array.shape)}; expected {spec}"
            )
    if len(inputs) > len(specs):
        known = [spec.name for spec in specs]
        raise SessionError(f"{name}: input {next(n for n in inputs if n not in known)!r} is none of its inputs {known}")


def open_session(
    bundle: Bundle,
    *,
    precision: str | None = None,
    threads: int = 1,
    backend: Backend = "auto",
    engines: Path | None = None,
) -> Session:
    """Load the bundle's network on the best rung that there is, with the ladder above it.

    Args:
        bundle: verified already.
        precision: which of its files; the first where None.
        threads: for one run on the CPU.
        backend: auto: whatever is best here; tensorrt: the same, and a warning where it is not to be had; cuda and cpu:
            ONNX Runtime.
        engines: where engines are kept; None: none are used.

    Raises:
        BundleError: it has no file of that precision.
        SessionError: no runtime here can load it.
    """
    if bundle.manifest.session == "null":
        from edge_runtime.inference.null import NullSession

        return NullSession(bundle)
    from edge_runtime.inference.onnx import CPU, CUDA, OnnxSession

    providers = {"cpu": [CPU], "cuda": [CUDA, CPU]}.get(backend, [])
    session = OnnxSession(bundle, precision=precision, threads=threads, providers=providers)
    if engines is None or backend in {"cuda", "cpu"}:
        return session
    from edge_runtime.inference.ladder import open_ladder

    return open_ladder(bundle, session, engines, precision, insist=backend == "tensorrt")
