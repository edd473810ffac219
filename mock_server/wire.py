"""One connection's bytes on their way out: head held back, coded, chunked, paced or not, and its ways to end."""

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

from mock_server.frames import chunk

# So many bytes may be held back by a pacer before the events wait in the lane.
PACED_BYTES: Final = 65536


class Wire:
    """Writes to a transport; `chunks` says whether a body is chunked, `held` is what goes with the next bytes."""

    __slots__ = ("bytes", "chunks", "coder", "held", "pacer", "transport")

    def __init__(self) -> None:
        self.transport: Any = None
        self.bytes = 0
        self.chunks = False
        self.coder: Any = None
        self.held = b""
        self.pacer: Pacer | None = None

    @property
    def full(self) -> bool:
        """Whether a pacer holds back so much that nothing should be added."""
        return self.pacer is not None and self.pacer.full

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return int(self.transport.get_write_buffer_size())

    def body(self, data: bytes) -> None:
        """Write a part of the body, as a chunk of its own if the body has chunks."""
        self.write(self._framed(data))

    def compress(self) -> None:
        """From now on the body is coded with gzip (RFC 9110, 8.4.1.3) and flushed with each part."""
        self.coder = zlib.compressobj(wbits=31)

    def _framed(self, data: bytes) -> bytes:
        if self.coder is not None and data:
            data = self.coder.compress(data) + self.coder.flush(zlib.Z_SYNC_FLUSH)
        return chunk(data) if self.chunks and data else data

    def write(self, data: bytes) -> None:
        """Write bytes as they are, behind those held."""
        if self.held:
            data, self.held = self.held + data, b""
        if self.pacer is not None:
            self.pacer.feed(data)
        elif data and self.transport is not None:
            self._put(data)

    def hold(self, data: bytes, *, body: bool = False) -> None:
        """Keep bytes for the next write."""
        self.held += self._framed(data) if body else data

    def pace(self, seconds: float, size: int, room: Callable[[], None]) -> None:
        """From now on at most `size` bytes every so many seconds; `room` is called after each."""
        self.write(b"")
        self.pacer = Pacer(seconds, size, self._put, room)

    def flush(self) -> None:
        """Let go what a pacer holds back; it is needed no more."""
        if self.pacer is not None:
            self.pacer.stop()
            self.pacer = None

    def drop(self) -> None:
        if self.pacer is not None:
            self.pacer.drop()
            self.pacer = None

    def close(self, *, final: bool) -> None:
        """FIN behind what is still to be sent; `final`: the final chunk before it, where there are chunks."""
        if final and self.coder is not None:
            rest, self.coder = self.coder.flush(), None
            self.body(rest)
        self.write(b"0\r\n\r\n" if final and self.chunks else b"")
        self.transport.close()

    def reset(self) -> None:
        """RST: no lingering, what is unsent is lost."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _put(self, data: bytes) -> None:
        self.bytes += len(data)
        self.transport.write(data)


class Pacer:
    """Holds wire bytes back and lets at most `size` of them go every so many seconds."""

    def __init__(self, seconds: float, size: int, put: Callable[[bytes], None], room: Callable[[], None]) -> None:
        self._seconds = seconds
        self._size = size
        self._put = put
        self._room = room
        self._held = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        return len(self._held) >= PACED_BYTES

    def feed(self, data: bytes) -> None:
        self._held += data
        if self._timer is None and self._held:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._go)

    def stop(self) -> None:
        """Let everything go now."""
        held = bytes(self._held)
        self.drop()
        if held:
            self._put(held)

    def drop(self) -> None:
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go(self) -> None:
        self._timer = None
        part = bytes(self._held[: self._size])
        del self._held[: self._size]
        if part:
            self._put(part)
        self._room()
        self.feed(b"")
