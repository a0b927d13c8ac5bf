"""Sizes and first words of the shared regions: all that the supervisor must know of them, without numpy."""

import mmap

BUFFERS = 4
"""Buffers in a ring. A reader has `BUFFERS - 1` frames of time before what it looks at is overwritten."""
RINGS = 2
"""A restarted writer gets the other ring, so that a predecessor that is still dying cannot write beside it."""
SLOT_HEADER_WORDS = 8
BUFFER_WORDS = 16  # 128 bytes: a buffer's header never shares a cache line with another's
RING_WORDS = BUFFER_WORDS * (BUFFERS + 1)

TEXT_BYTES = 256
VECTOR_LENGTH = 8
ROW_BYTES = 24 + 8 * VECTOR_LENGTH + TEXT_BYTES
SPARE_ROWS = 16
"""Rows of the signal board kept free for names that come later."""

TRACE_BYTES = 2 * 1024 * 1024
"""Ring of per-frame figures: more than a minute at 60 Hz."""
_PAGE = 4096


def padded(size_bytes: int) -> int:
    """`size_bytes` rounded up to whole pages."""
    return -(-size_bytes // _PAGE) * _PAGE


SLOT_PAYLOAD_OFFSET = padded((SLOT_HEADER_WORDS + RINGS * RING_WORDS) * 8)


def slot_bytes(payload_bytes: int) -> int:
    """Size of the region of a slot whose largest array takes `payload_bytes`."""
    return SLOT_PAYLOAD_OFFSET + RINGS * BUFFERS * padded(payload_bytes)


def board_bytes(rows: int) -> int:
    """Size of the region of a signal board with `rows` declared rows."""
    return (rows + SPARE_ROWS) * ROW_BYTES


def choose_ring(region: mmap.mmap, ring: int) -> None:
    """Make `ring` the one that readers of a slot follow. Called before its writer starts.

    The ring is announced empty: what is left in it of the life before last is older than the predecessor's frame.
    """
    words = memoryview(region).cast("q")
    words[SLOT_HEADER_WORDS + ring * RING_WORDS] = 0
    words[0] = ring
