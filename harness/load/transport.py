"""One subscriber over one gevent socket at a time: the machine of `harness.subscriber`, driven by a greenlet.

The greenlet carries out what the machine wants and then waits for the socket's next word or for the machine's
deadline, whichever comes first.  A deadline that comes while a transport is there always makes the machine drop it,
so cutting a read short loses nothing.  Redirects are not followed: load goes where the target file says, nowhere else.
"""

import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import gevent
from gevent.event import Event

from harness.clients import Session
from harness.clients.telling import tell
from harness.load.response import End, Head, Reader, Said
from harness.subscriber import Closed, Connect, Disconnect, Failed, Options, Output, RefreshToken, Subscriber

RECV: Final = 16384
TURN: Final = 16  # reads in a row after which other greenlets get theirs, however much a peer sends
Refresh: TypeAlias = Callable[[], Mapping[str, str] | None]


class Engine(Protocol):
    """What runs subscribers; the seam for an engine that holds many streams in one greenlet."""

    def run(self, session: Session, options: Options, *, refresh: Refresh, closing: Callable[[], None]) -> None:
        """One subscriber, until it fails for good; killing the greenlet closes it, after `closing` was called."""


@dataclass(slots=True)
class Names:
    """Where hosts are, asked once: gevent's resolver has a few threads, and a busy process waits long for each."""

    known: dict[tuple[str, int], list[Any]] = field(default_factory=dict)

    def connect(self, host: str, port: int, until: float | None) -> socket.socket:
        """A connection to the host, at its first address that takes one. Raises OSError."""
        found = self.known.get((host, port)) or socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.known[host, port] = found
        refused: OSError = ConnectionError(f"{host} has no address")
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left(until))
                sock.connect(address)
            except OSError as exc:
                sock.close()
                refused = exc
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        self.known.pop((host, port), None)  # another greenlet may have been refused meanwhile
        raise refused


@dataclass(frozen=True, slots=True)
class Sockets:
    """The engine with a greenlet and a socket per subscriber; `tls` is used where the URL says https."""

    tls: ssl.SSLContext | None = None
    names: Names = field(default_factory=Names)

    def run(self, session: Session, options: Options, *, refresh: Refresh, closing: Callable[[], None]) -> None:
        driver = Driver(session, Subscriber(options, rng=session.rng), refresh, self.names, self.tls)
        try:
            driver.run()
        except gevent.GreenletExit:
            closing()
            driver.close()
            raise
        finally:
            driver.drop()


@dataclass(slots=True)
class Stream:
    """One connection: opened when its first word is asked for."""

    url: str
    reader: Reader
    names: Names
    tls: ssl.SSLContext | None
    sock: socket.socket | None = None
    said: deque[Said] = field(default_factory=deque)
    reads: int = 0

    def next(self, until: float | None) -> Said:
        """The next word; raises TimeoutError at `until` (monotonic) and OSError if there is no connection."""
        while not self.said:
            if self.sock is None:
                self.sock = self._connected(until)
                self.sock.sendall(self.reader.request)
            self.sock.settimeout(_left(until))
            self.said.extend(self.reader.feed(self.sock.recv(RECV)))
            self.reads += 1
            if self.reads % TURN == 0:
                gevent.sleep(0)
        return self.said.popleft()

    def _connected(self, until: float | None) -> socket.socket:
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        sock = self.names.connect(parts.hostname or "", port, until)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme != "https" or self.tls is None:
            return sock
        try:
            return self.tls.wrap_socket(sock, server_hostname=parts.hostname)
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()


@dataclass(slots=True)
class Driver:
    """Carries out what the machine wants."""

    session: Session
    machine: Subscriber
    refresh: Refresh
    names: Names
    tls: ssl.SSLContext | None
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Stream | None = None
    received: int = 0

    def run(self) -> None:
        """Until the machine has failed for good."""
        self.headers = self.session.headers
        outputs = self.machine.start(self._now())
        while self._carry_out(outputs):
            outputs = self._next()

    def close(self) -> None:
        """The user closes the subscriber."""
        self._carry_out(self.machine.close(self._now()))

    def drop(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.stream = None

    def _carry_out(self, outputs: list[Output]) -> bool:
        """Carry out a list; False when it was the last."""
        for output in outputs:
            match output:
                case Connect():
                    self._connect(output)
                case Disconnect():
                    self.drop()
                case RefreshToken():
                    return self._carry_out(self._refreshed())
                case _:
                    tell(self.session, output, machine=self.machine, received=self.received)
        return not any(isinstance(output, Failed | Closed) for output in outputs)

    def _connect(self, output: Connect) -> None:
        last_event_id = output.headers.get("Last-Event-ID")
        self.session.attempt(None if last_event_id is None else last_event_id.decode())
        parts = urlsplit(self.session.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers: dict[str, str | bytes] = {"Host": parts.netloc.rpartition("@")[2], **self.headers, **output.headers}
        self.received = 0
        self.stream = Stream(self.session.url, Reader(target, headers), self.names, self.tls)

    def _next(self) -> list[Output]:
        """What the machine makes of the socket's next word, or of its own deadline."""
        if self.stream is None:
            return self._ticked()
        until = self.machine.deadline()
        try:
            said = self.stream.next(until)
        except OSError as exc:
            # The kernel has a time-out of its own, which is a network error; ours is the machine's deadline.
            if isinstance(exc, TimeoutError) and until is not None and time.monotonic() >= until:
                return self._ticked()
            return self._lost(f"{type(exc).__name__}: {exc}")
        match said:
            case Head(status, headers):
                now = self._now()
                self.session.response(status, headers)
                return self.machine.connected(now, status, headers)
            case bytes():
                self.received += len(said)
                return self.machine.received(self._now(), said)
            case End(reason):
                return self._lost(reason)

    def _ticked(self) -> list[Output]:
        """Wait for the deadline; a machine that has none is over, and only killing ends the wait."""
        while (until := self.machine.deadline()) is not None:
            gevent.sleep(max(0.0, until - time.monotonic()))
            if outputs := self.machine.tick(self._now()):
                return outputs
        Event().wait()
        return []

    def _lost(self, reason: str) -> list[Output]:
        self.drop()
        return self.machine.ended(self._now(), reason)

    def _refreshed(self) -> list[Output]:
        headers = self.refresh()
        if headers is None:
            return self.machine.ended(self._now(), "there is no way to get a new token")
        self.headers = headers
        return self.machine.token_refreshed(self._now())

    def _now(self) -> float:
        """The time of the machine's next input, and of all records that it leads to: waits are judged exactly."""
        self.session.at = time.monotonic()
        return self.session.at


def _left(until: float | None) -> float | None:
    """Seconds until then; raises TimeoutError if there are none."""
    if until is None:
        return None
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the machine's deadline has come")
    return left
