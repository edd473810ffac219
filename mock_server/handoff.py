"""uvicorn's HTTP protocol, taught to give a connection away: the one place that knows its inside.

A request finds in its scope, under `extensions`, who carries it.  `hand_over` puts another asyncio.Protocol onto the
same transport.  uvicorn must then forget the connection: `disconnected` keeps it from appending its own 500 to the
bytes and from logging an error, and out of `connections` its shutdown does not wait for the stream.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION: Final = "mock_server.connection"
# The parser itself bounds neither the head of a request nor one header in it.
LONGEST_HEAD: Final = 65536


class HandoffProtocol(HttpToolsProtocol):
    """Reads a request as uvicorn does, and can hand the connection to another protocol."""

    head = 0
    in_head = True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.in_head:
            self.head += len(data)
            if self.head > LONGEST_HEAD:
                self.transport.abort()

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        self.in_head, self.head = True, 0
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: self}

    @property
    def gone(self) -> bool:
        """Whether the client has left: then nobody can take the connection over."""
        return bool(self.transport.is_closing() or self.cycle.disconnected)

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Make `protocol` the one that this connection's bytes and end are told to."""
        self._forget()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)

    def drop(self) -> None:
        """Close the connection without an answer."""
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        self.connections.discard(self)
        self.pipeline.clear()
        self.cycle.disconnected = True
        self._unset_keepalive_if_required()


def connection_of(scope: Any) -> HandoffProtocol:
    """The connection that this request came on."""
    found: HandoffProtocol = scope["extensions"][EXTENSION]
    return found
