"""Slots: how pictures travel between parts. The newest frame wins; there is no queue.

A slot is two rings of buffers in one shared region. One part writes, any number read. A restarted writer gets
the other ring, so that a predecessor that is still dying cannot write beside it. A reader sees a frame in place,
without a copy, and asks `intact` afterwards whether it was overwritten meanwhile, which takes a reader that
is slower than `BUFFERS - 1` frames.

Layout: int64 words, then payloads. Words 0..7: active ring, then spare.
Each ring: head (count of published frames), then per buffer: sequence, captured_s, published_s, dtype, ndim, shape[4].
"""

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_runtime.errors import ChannelError
from edge_runtime.layout import BUFFER_WORDS, BUFFERS, RING_WORDS, RINGS, SLOT_HEADER_WORDS, SLOT_PAYLOAD_OFFSET
from edge_runtime.memory import barrier

MAX_DIMENSIONS = 4
DTYPES = ("uint8", "float16", "float32", "int32", "int64", "float64")
_SEQUENCE, _CAPTURED, _PUBLISHED, _DTYPE, _NDIM, _SHAPE = 0, 1, 2, 3, 4, 5

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class SlotFrame:
    """One frame, in place."""

    array: Array
    """Read-only view of shared memory. Use it at once and ask `SlotReader.intact`, or copy it."""
    captured_s: float
    """When the light fell in: inherited through chains of models."""
    published_s: float
    sequence: int
    ring: int
    buffer: int


class _Ring:
    """The words and payloads of one ring."""

    def __init__(self, region: mmap.mmap, ring: int) -> None:
        start = (SLOT_HEADER_WORDS + ring * RING_WORDS) * 8
        words = np.frombuffer(region, np.int64, RING_WORDS, start)
        self.head = words[:1]
        self.words = words[BUFFER_WORDS:].reshape(BUFFERS, BUFFER_WORDS)
        self.seconds = self.words.view(np.float64)
        size_bytes = (len(region) - SLOT_PAYLOAD_OFFSET) // (RINGS * BUFFERS)
        first = SLOT_PAYLOAD_OFFSET + ring * BUFFERS * size_bytes
        self.payloads = [np.frombuffer(region, np.uint8, size_bytes, first + i * size_bytes) for i in range(BUFFERS)]


class SlotWriter:
    """Publishes frames. Used by one thread of the one part that owns the slot."""

    def __init__(self, region: mmap.mmap, ring: int) -> None:
        self._ring = _Ring(region, ring)
        # The head of a ring that was used before is 0 again; its buffers still know, and no number is used twice.
        self._sequence = max(int(self._ring.head[0]), int(self._ring.words[:, _SEQUENCE].max()))
        self._pending: int | None = None

    def next(self, shape: Sequence[int], dtype: npt.DTypeLike = np.uint8) -> Array:
        """The buffer of the next frame, to draw in; it holds an old frame until then.

        Raises:
            ChannelError: an array of this shape does not fit in the slot.
        """
        kind = np.dtype(dtype)
        size_bytes = int(np.prod(shape)) * kind.itemsize
        buffer = self._sequence % BUFFERS
        payload = self._ring.payloads[buffer]
        if size_bytes > payload.size or kind.name not in DTYPES or len(shape) > MAX_DIMENSIONS:
            raise ChannelError(f"slot of {payload.size} bytes a frame cannot hold {tuple(shape)} {kind.name}")
        words = self._ring.words[buffer]
        words[_SEQUENCE] = -1  # readers that still look at this buffer learn that it changes
        barrier()
        words[_DTYPE] = DTYPES.index(kind.name)
        words[_NDIM] = len(shape)
        words[_SHAPE : _SHAPE + len(shape)] = shape
        self._pending = buffer
        return payload[:size_bytes].view(kind).reshape(shape)

    def publish(self, captured_s: float, now_s: float) -> int:
        """Make the buffer handed out by `next` the newest frame; returns its sequence (1, 2, ...)."""
        if self._pending is None:
            raise ChannelError("publish without next")
        buffer, self._pending = self._pending, None
        self._sequence += 1
        self._ring.seconds[buffer, _CAPTURED] = captured_s
        self._ring.seconds[buffer, _PUBLISHED] = now_s
        self._ring.words[buffer, _SEQUENCE] = self._sequence
        barrier()  # the frame is complete before it is announced
        self._ring.head[0] = self._sequence
        return self._sequence

    def write(self, array: Array, captured_s: float, now_s: float) -> int:
        """Copy `array` in and publish it."""
        self.next(array.shape, array.dtype)[...] = array
        return self.publish(captured_s, now_s)


class SlotReader:
    """Looks at the newest frame of a slot."""

    def __init__(self, region: mmap.mmap) -> None:
        self._header = np.frombuffer(region, np.int64, SLOT_HEADER_WORDS, 0)
        self._rings = [_Ring(region, ring) for ring in range(RINGS)]

    def latest(self) -> SlotFrame | None:
        """The newest whole frame; the predecessor's last one until a restarted writer publishes; None before any."""
        active = int(self._header[0])
        return self._latest_of(active) or self._latest_of(1 - active)

    def _latest_of(self, index: int) -> SlotFrame | None:
        ring = self._rings[index]
        for _ in range(BUFFERS):  # a writer so fast that it laps us here is not real, a bound is
            sequence = int(ring.head[0])
            if sequence == 0:
                return None
            buffer = (sequence - 1) % BUFFERS
            words = ring.words[buffer]
            kind = np.dtype(DTYPES[int(words[_DTYPE])])
            shape = tuple(int(n) for n in words[_SHAPE : _SHAPE + int(words[_NDIM])])
            captured_s, published_s = (float(s) for s in ring.seconds[buffer, _CAPTURED : _PUBLISHED + 1])
            if int(words[_SEQUENCE]) == sequence:
                size_bytes = int(np.prod(shape)) * kind.itemsize
                array = ring.payloads[buffer][:size_bytes].view(kind).reshape(shape)
                array.flags.writeable = False
                return SlotFrame(array, captured_s, published_s, sequence, index, buffer)
        return None

    def intact(self, frame: SlotFrame) -> bool:
        """True when `frame` was not overwritten since `latest` returned it."""
        return int(self._rings[frame.ring].words[frame.buffer, _SEQUENCE]) == frame.sequence
