"""One GET and its response, without a socket: the request's bytes, and what the bytes that come back say.  Pure.

h11 reads the head and the framing (chunked, Content-Length, closed at the end); it also bounds what a peer may make us
keep: a head or the line of a chunk is at most LARGEST_HEAD bytes, and body bytes are handed on as they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import h11

LARGEST_HEAD: Final = 65536


@dataclass(frozen=True, slots=True)
class Head:
    """A response head, an interim one (1xx) included; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class End:
    """The response is over, and nothing follows."""

    reason: str


Said: TypeAlias = Head | bytes | End


class Reader:
    """What one connection says: feed it the bytes as they come, b"" at the end of file."""

    def __init__(self, target: str, headers: Mapping[str, str | bytes]) -> None:
        """`target` is the request target, `headers` contain Host. Raises ValueError if they cannot be sent."""
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
        self._over = False
        try:
            request = h11.Request(method="GET", target=target, headers=[_raw(*one) for one in headers.items()])
            self.request = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        except (h11.LocalProtocolError, UnicodeEncodeError) as exc:
            raise ValueError(str(exc)) from exc

    def feed(self, data: bytes) -> list[Said]:
        """What is known after these bytes; neighbouring pieces of the body are one."""
        if self._over:
            return []
        said: list[Said] = []
        body: list[bytes] = []
        try:
            self._http.receive_data(data)
            while not self._over and (one := self._next()) is not None:
                if isinstance(one, bytes):
                    body.append(one)
                else:
                    said += [*_joined(body), one]
                    body = []
        except h11.RemoteProtocolError as exc:
            self._over = True
            return [*said, *_joined(body), End(f"protocol error: {exc}")]
        return [*said, *_joined(body)]

    def _next(self) -> Said | None:
        one = self._http.next_event()
        if one is h11.NEED_DATA or one is h11.PAUSED:  # before the classes of h11, which are slow to ask
            return None
        match one:
            case h11.Data(data=piece):
                return bytes(piece)
            case h11.InformationalResponse() | h11.Response() as head:
                return Head(head.status_code, _headers(head.headers))
            case h11.EndOfMessage() | h11.ConnectionClosed():
                self._over = True
                return End("end of stream")
            case _:
                return None


def _raw(name: str, value: str | bytes) -> tuple[bytes, bytes]:
    return name.encode("ascii"), value if isinstance(value, bytes) else value.encode("latin-1")


def _joined(body: list[bytes]) -> list[Said]:
    return [b"".join(body)] if body else []


def _headers(raw: object) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:  # type: ignore[attr-defined]  # h11.Headers is a sequence of pairs
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers
