"""ONNX Runtime: on the CPU, or through CUDA where there is a driver. The one module that imports onnxruntime."""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

from edge_runtime.clock import now_s
from edge_runtime.errors import SessionError
from edge_runtime.inference.manifest import Bundle
from edge_runtime.inference.session import check_inputs
from edge_runtime.logs import event
from edge_runtime.slots import Array

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_FATAL_ONLY = 4
_ERRORS = (
    native.EPFail,
    native.EngineError,
    native.Fail,
    native.InvalidArgument,
    native.InvalidGraph,
    native.InvalidProtobuf,
    native.NoModel,
    native.NoSuchFile,
    native.NotImplemented,
    native.RuntimeException,
)
"""The library's errors share no base class."""


class OnnxSession:
    """A network in ONNX Runtime. Used from one thread: the worker that opened it.

    `get_available_providers` lists what was compiled in and `InferenceSession` falls back without a word, so the
    provider is read from the session, and a GPU that was wanted and is not in use is an event.
    """

    engine = ""

    def __init__(
        self, bundle: Bundle, *, precision: str | None = None, threads: int = 1, providers: Sequence[str] = ()
    ) -> None:
        """Load the bundle's network.

        Args:
            bundle: verified already.
            precision: which of its files; the first where None.
            threads: for one run; more than one pays only where cores are idle.
            providers: what to run on, best first; the best of this machine where empty.

        Raises:
            BundleError: it has no file of that precision.
            SessionError: the file is no network, or not the one of the manifest.
        """
        self._manifest = bundle.manifest
        self.run_s = 0.0
        path = bundle.file(precision)
        ort.set_default_logger_severity(_FATAL_ONLY)  # a GPU build on a box without one prints banners otherwise
        usable, hindrance = _providers()
        if providers and providers[0] == CUDA and CUDA not in usable:
            wanted, hindrance = usable, hindrance or "this onnxruntime is built without CUDA; type: make gpu"
        else:
            wanted = list(providers) or usable
        try:
            self._ort: Any = ort.InferenceSession(str(path), _options(threads), providers=wanted)
        except _ERRORS as error:
            raise SessionError(f"{path}: cannot be loaded: {_first_line(error)}") from error
        self.provider: str = self._ort.get_providers()[0]
        best = providers[0] if providers else CUDA if hindrance else wanted[0]
        if self.provider != best:
            reason = hindrance or "the runtime fell back"
            event(
                "provider_downgraded",
                "warning",
                bundle=bundle.manifest.name,
                wanted=best,
                seen=self.provider,
                reason=reason,
            )
        self._check_names(path)
        self._outputs = [spec.name for spec in self._manifest.outputs]

    def _check_names(self, path: Path) -> None:
        for what, specs, nodes in (
            ("input", self._manifest.inputs, self._ort.get_inputs()),
            ("output", self._manifest.outputs, self._ort.get_outputs()),
        ):
            seen = [node.name for node in nodes]
            if missing := [spec.name for spec in specs if spec.name not in seen]:
                raise SessionError(
                    f"{path}: {what} {missing[0]!r} of the manifest is not in the network; it has {seen}"
                )

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        if self._ort is None:
            raise SessionError(f"{self._manifest.name}: the session is closed")
        check_inputs(self._manifest.name, self._manifest.inputs, inputs)
        start_s = now_s()
        try:
            results = self._ort.run(self._outputs, dict(inputs))
        except _ERRORS as error:
            sizes = {name: list(array.shape) for name, array in inputs.items()}
            raise SessionError(f"{self._manifest.name}: run failed on {sizes}: {_first_line(error)}") from error
        self.run_s = now_s() - start_s
        return dict(zip(self._outputs, results, strict=True))

    def close(self) -> None:
        self._ort = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _options(threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # Memory patterns are kept per input shape, and sizes follow the ladder. Source: the 26-style network through three
    # sizes, again and again: 125 MB and steady; 219 with patterns, 272 without the arena, growing where it is shrunk.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to the show
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def _providers() -> tuple[list[str], str]:
    """Best first, and what stands in the way of a better one that this build has.

    CUDA is asked for only where the driver loads: elsewhere the attempt is slow, loud and in vain.
    """
    if CUDA not in ort.get_available_providers():
        return [CPU], ""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return [CPU], f"the NVIDIA driver cannot be loaded: {error}"
    ort.preload_dlls()
    return [CUDA, CPU], ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
