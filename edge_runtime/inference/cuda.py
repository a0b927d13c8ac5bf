"""As much of CUDA as inference needs: memory, a stream, graphs. The driver's own library, so nothing is installed.

Everything lives in the device's primary context, which TensorRT and ONNX Runtime use too. Nothing here is loaded or
asked before `libcuda.so.1` has initialised: TensorRT's runtime ends the process where there is no device.
Source: CUDA Driver API 12 and 13; names with _v2 are what its header maps the plain ones to.
"""

import ctypes
import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.errors import DeviceLostError, SessionError
from edge_runtime.slots import Array

_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC: a waiting worker sleeps and leaves its core to the show
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: apart from the default stream
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED: other threads may load engines meanwhile
_SM_COUNT, _MAJOR, _MINOR = 16, 75, 76  # CU_DEVICE_ATTRIBUTE_*

_POISONOUS = {700, 702, 709, *range(714, 720)}
"""Illegal address, launch timeout, destroyed context, traps and faults: every later call fails alike, until the process
ends. Source: CUresult, CUDA Driver API 13."""

_Handle = ctypes.c_void_p
_Address = ctypes.c_uint64


@dataclass(frozen=True, slots=True)
class Device:
    """The GPU, as far as an engine depends on it."""

    name: str
    compute_capability: str
    """e.g. "8.7" """
    sm_count: int
    driver: str
    """CUDA version that the driver speaks, and its own where the kernel tells it."""


class Cuda:
    """The driver, its first device and its primary context. One for each process: see `cuda`."""

    def __init__(self) -> None:
        """Initialise.

        Raises:
            SessionError: no driver, no device, or the driver does not answer.
        """
        try:
            self._library: Any = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise SessionError(f"no NVIDIA driver: {error}") from error
        self.call("cuInit", ctypes.c_uint(0))
        count = ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        if count.value == 0:
            raise SessionError("the NVIDIA driver sees no GPU")
        self._device = ctypes.c_int()
        self.call("cuDeviceGet", ctypes.byref(self._device), ctypes.c_int(0))
        self.device = self._describe()
        self.call("cuDevicePrimaryCtxSetFlags_v2", self._device, ctypes.c_uint(_BLOCKING_SYNC))
        self._context = _Handle()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self.enter()

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of the driver.

        Raises:
            SessionError: it failed; names the function and the driver's word for it.
        """
        code = getattr(self._library, function)(*arguments)
        if code != 0:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
            words = f"CUDA: {function}: {(text.value or b'unknown error').decode()} ({code})"
            raise DeviceLostError(words) if code in _POISONOUS else SessionError(words)

    def enter(self) -> None:
        """Make the context the calling thread's own; every thread that calls anything else does so first."""
        self.call("cuCtxSetCurrent", self._context)

    def _describe(self) -> Device:
        name, version = ctypes.create_string_buffer(128), ctypes.c_int()
        self.call("cuDeviceGetName", name, ctypes.c_int(len(name)), self._device)
        self.call("cuDriverGetVersion", ctypes.byref(version))
        major, minor, count = (self._attribute(what) for what in (_MAJOR, _MINOR, _SM_COUNT))
        driver = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
        if build := _kernel_driver():
            driver += f", {build}"
        return Device(name.value.decode(errors="replace"), f"{major}.{minor}", count, driver)

    def _attribute(self, what: int) -> int:
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(what), self._device)
        return value.value

    def memory_free_bytes(self) -> int:
        """Of the device, for all processes."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value


@functools.cache
def cuda() -> Cuda:
    """This process's CUDA; the first call initialises it.

    Raises:
        SessionError: there is none; not remembered, a driver may be loaded later.
    """
    return Cuda()


class Stream:
    """A queue of work on the device, and the graph that was recorded from it."""

    def __init__(self) -> None:
        self._cuda = cuda()
        handle = _Handle()
        self._cuda.call("cuStreamCreate", ctypes.byref(handle), ctypes.c_uint(_NON_BLOCKING))
        self._stream = handle
        self._close = weakref.finalize(self, _release, self._cuda, "cuStreamDestroy_v2", handle)

    @property
    def handle(self) -> int:
        """As TensorRT takes it."""
        return int(self._stream.value or 0)

    def upload(self, to: "Buffer", source: Array) -> None:
        """Copy pinned host memory to the device, in order."""
        self._cuda.call(
            "cuMemcpyHtoDAsync_v2", _Address(to.address), _pointer(source), ctypes.c_size_t(source.nbytes), self._stream
        )

    def download(self, to: Array, source: "Buffer") -> None:
        """Copy from the device to pinned host memory, in order."""
        self._cuda.call(
            "cuMemcpyDtoHAsync_v2", _pointer(to), _Address(source.address), ctypes.c_size_t(to.nbytes), self._stream
        )

    def wait(self) -> None:
        """Until all that was queued is done. The thread sleeps."""
        self._cuda.call("cuStreamSynchronize", self._stream)

    def record(self, work: Callable[[], None]) -> "Graph":
        """Record what `work` queues on this stream instead of doing it.

        Raises:
            SessionError: some of it cannot be recorded; the stream stays usable.
        """
        self._cuda.call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_RELAXED))
        graph = _Handle()
        try:
            work()
        finally:
            self._cuda.call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        return Graph(self._cuda, graph)

    def play(self, graph: "Graph") -> None:
        """Queue a recorded graph."""
        self._cuda.call("cuGraphLaunch", graph.handle, self._stream)

    def close(self) -> None:
        """Let go of it. Closing twice is fine."""
        self._close()


class Graph:
    """Recorded work that one call starts again, with the same buffers."""

    def __init__(self, driver: Cuda, graph: ctypes.c_void_p) -> None:
        self.handle = _Handle()
        try:
            driver.call("cuGraphInstantiateWithFlags", ctypes.byref(self.handle), graph, ctypes.c_uint64(0))
        finally:
            driver.call("cuGraphDestroy", graph)
        self.close = weakref.finalize(self, _release, driver, "cuGraphExecDestroy", self.handle)


class Buffer:
    """Memory of the device, freed with the object."""

    def __init__(self, size_bytes: int) -> None:
        """Allocate.

        Raises:
            SessionError: the device has not as much.
        """
        address = _Address()
        driver = cuda()
        driver.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(1, size_bytes)))
        self.address = int(address.value)
        self.close = weakref.finalize(self, _release, driver, "cuMemFree_v2", address)


def pinned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array in host memory that the device reads and writes by itself; freed with the last view of it."""
    size_bytes = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
    address, driver = _Handle(), cuda()
    driver.call("cuMemAllocHost_v2", ctypes.byref(address), ctypes.c_size_t(size_bytes))
    block = (ctypes.c_uint8 * size_bytes).from_address(int(address.value or 0))
    weakref.finalize(block, _release, driver, "cuMemFreeHost", address)
    return np.frombuffer(block, dtype, count=int(np.prod(shape))).reshape(shape)


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _release(driver: Cuda, function: str, handle: object) -> None:
    try:
        driver.enter()
        driver.call(function, handle)
    except SessionError:  # the device is gone, and with it all that was on it
        return


def _kernel_driver() -> str:
    """The kernel module's version, e.g. "580.82.07"; empty on boards that do not tell it."""
    try:
        words = Path("/proc/driver/nvidia/version").read_text(encoding="ascii", errors="ignore").split("\n")[0].split()
    except OSError:
        return ""
    return next((word for word in words if word.count(".") >= 1 and word[0].isdigit()), "")
