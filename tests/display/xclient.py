"""A tiny X client: what is truly on the screen, and a hand on the window from outside. Source: X11 protocol, core."""

import socket
import struct
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

_Z_PIXMAP = 2
_ALL_PLANES = 0xFFFFFFFF


class XClient:
    """One connection to a local X server."""

    def __init__(self, display: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"/tmp/.X11-unix/X{display.removeprefix(':')}")
        self._socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        accepted, length = struct.unpack("<BxHHH", self._read(8))[0::3]
        body = self._read(length * 4)
        assert accepted == 1, body
        vendor_bytes, formats = struct.unpack_from("<H", body, 16)[0], body[21]
        screen = 32 + -(-vendor_bytes // 4) * 4 + formats * 8
        self.root: int = struct.unpack_from("<I", body, screen)[0]
        self.size_px: tuple[int, int] = struct.unpack_from("<HH", body, screen + 20)

    def _read(self, size_bytes: int) -> bytes:
        received = bytearray()
        while len(received) < size_bytes:
            chunk = self._socket.recv(size_bytes - len(received))
            assert chunk, "the X server hung up"
            received += chunk
        return bytes(received)

    def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        """The reply's fixed 32 bytes and the rest."""
        self._socket.sendall(request)
        head = self._read(32)
        assert head[0] == 1, f"X error {head[1]}"
        return head, self._read(4 * int(struct.unpack_from("<I", head, 4)[0]))

    def screen(self) -> npt.NDArray[np.uint8]:
        """What the whole screen shows: (h, w, 3), blue green red."""
        width, height = self.size_px
        request = struct.pack("<BBHIhhHHI", 73, _Z_PIXMAP, 5, self.root, 0, 0, width, height, _ALL_PLANES)
        head, pixels = self._ask(request)
        if head[1] == 24:
            return np.frombuffer(pixels, np.uint8).reshape(height, width, 4)[..., :3]
        assert head[1] == 16
        words = np.frombuffer(pixels, np.uint16).reshape(height, -1)[:, :width]  # rows are padded to 4 bytes
        return np.stack([(words & 31) << 3, (words >> 5 & 63) << 2, words >> 11 << 3], axis=2).astype(np.uint8)

    def windows(self) -> list[int]:
        """The top-level windows, lowest first."""
        head, body = self._ask(struct.pack("<BxHI", 15, 2, self.root))
        return list(struct.unpack_from(f"<{struct.unpack_from('<H', head, 16)[0]}I", body))

    def resize(self, window: int, size_px: tuple[int, int]) -> None:
        """Give a window another size, as a window manager does."""
        width_and_height = 0x4 | 0x8
        self._socket.sendall(struct.pack("<BxHIHxxII", 12, 5, window, width_and_height, *size_px))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
