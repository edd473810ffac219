"""The embedded proxy: links between a client and an upstream, each direction through a chain of toxics.

A link is transparent: bytes, FIN (as a half close) and RST pass from either side to the other, in order.  A link ends
when both directions have ended, when either side resets, or when the proxy closes it (a toxic, `disable`).  One task
owns the two sockets and closes them after every task that uses them has ended, because a descriptor's number that is
closed too early belongs to somebody else.  Backpressure: a direction reads the next bytes when the last have gone.

A link that opened while a `reset_peer` existed, of whatever toxicity, closes with RST however it is closed: so a RST
after an exact byte is `reset_peer` with toxicity 0 and `limit_data`.

A second socket that is bound and never listens keeps the port while the proxy is disabled: connections are refused
and the kernel gives the port to nobody else.
"""

import asyncio
import contextlib
import ipaddress
import itertools
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.proxy.toxics import STAGES, Next, Stage, Toxic

CHUNK: Final = 65536
BACKLOG: Final = 1024
CONNECT_WITHIN: Final = 5.0
NOW_RESET: Final = struct.pack("ii", 1, 0)

Recorder = Callable[..., None]
Side = Literal["client", "upstream"]


@dataclass(slots=True, eq=False)
class Direction:
    """One way through a link: from one socket, through the stages, to the other socket."""

    link: "Link"
    stream: str
    source: socket.socket
    dest: socket.socket
    from_: Side
    stages: list[Stage] = field(default_factory=list)
    first: Next = field(init=False)
    count: int = 0
    ended: bool = False

    def __post_init__(self) -> None:
        self.first = self

    async def pump(self) -> None:
        loop = asyncio.get_running_loop()
        how = "fin"
        try:
            while chunk := await loop.sock_recv(self.source, CHUNK):
                await self.first.put(chunk, loop.time())
        except OSError:
            how = "rst"
        self.link.note(self.from_, how)
        await self.first.end(how)

    async def put(self, chunk: bytes, _at: float) -> None:
        if self.link.closed.is_set():
            # A stage may have swallowed what went before: nothing follows it while the link is being closed.
            await asyncio.Event().wait()
        try:
            await asyncio.get_running_loop().sock_sendall(self.dest, chunk)
        except OSError:
            self.link.close("upstream" if self.from_ == "client" else "client", "rst")
            # Nothing may follow the bytes that were lost; the link's task cancels this one.
            await asyncio.Event().wait()
        self.count += len(chunk)

    async def end(self, how: str) -> None:
        if how == "rst":
            self.link.close(self.from_, "rst")
            return
        self.ended = True
        with contextlib.suppress(OSError):
            self.dest.shutdown(socket.SHUT_WR)
        if all(one.ended for one in self.link.directions):
            self.link.close(self.from_, "fin")

    def add(self, toxic: Toxic) -> None:
        if random.random() < toxic.toxicity:
            stage = STAGES[toxic.type](toxic, self, lambda how: self.link.close("proxy", how))
            self.stages.append(stage)
            self._join()
            stage.start()

    async def remove(self, toxic: Toxic) -> None:
        for stage in [one for one in self.stages if one.toxic is toxic]:
            await stage.lift()
            # The link may have ended meanwhile, or another removal come first.
            if stage in self.stages:
                self.stages.remove(stage)
            self._join()

    def update(self, toxic: Toxic) -> None:
        for stage in self.stages:
            if stage.toxic is toxic:
                stage.update()

    def _join(self) -> None:
        for stage, after in itertools.pairwise(self.stages):
            stage.next = after
        if self.stages:
            self.stages[-1].next = self
        self.first = self.stages[0] if self.stages else self


@dataclass(slots=True, eq=False)
class Link:
    """One client's connection and ours to the upstream."""

    number: int
    client: socket.socket
    upstream: socket.socket
    linger: bool
    directions: tuple[Direction, Direction] = field(init=False)
    by: str = ""
    how: str = "fin"
    reset: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.directions = (
            Direction(self, "upstream", self.client, self.upstream, "client"),
            Direction(self, "downstream", self.upstream, self.client, "upstream"),
        )

    async def run(self) -> None:
        """Carry bytes until the link is closed; then leave nothing behind."""
        tasks = [asyncio.create_task(one.pump()) for one in self.directions]
        try:
            await self.closed.wait()
        finally:
            for stage in [stage for one in self.directions for stage in one.stages]:
                stage.discard()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in (self.client, self.upstream):
                _close(one, reset=self.reset or self.linger)

    def note(self, by: str, how: str) -> None:
        """Who was the first to end the link, and how."""
        if not self.by:
            self.by, self.how = by, how

    def close(self, by: str, how: str) -> None:
        self.note(by, "rst" if self.linger and by == "proxy" else how)
        self.reset = self.reset or how == "rst"
        self.closed.set()


@dataclass(slots=True, eq=False)
class Proxy:
    """A listening address, its upstream, its toxics and its links."""

    name: str
    upstream: str
    record: Recorder
    reserved: socket.socket
    listener: socket.socket | None = None
    toxics: list[Toxic] = field(default_factory=list)
    links: dict[Link, asyncio.Task[None]] = field(default_factory=dict)
    opening: set[asyncio.Task[None]] = field(default_factory=set)
    accepting: asyncio.Task[None] | None = None
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def enabled(self) -> bool:
        return self.listener is not None

    @property
    def listen(self) -> str:
        host, port = self.reserved.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name, "listen": self.listen, "upstream": self.upstream, "enabled": self.enabled,
            "toxics": [toxic_told(one) for one in self.toxics],
        }  # fmt: skip

    def enable(self) -> None:
        """Listen, on the port that was reserved. Raises OSError."""
        if self.listener is None:
            self.listener = listening(*self.reserved.getsockname()[:2])
            self.accepting = asyncio.create_task(self._accept(self.listener))
            self.fault("disabled", "off")

    async def disable(self) -> None:
        """Refuse new connections and close every link; returns when all of that is so."""
        if self.listener is None:
            return
        listener, self.listener = self.listener, None
        await _ended(self.accepting)
        listener.close()
        for task in list(self.opening):
            await _ended(task)
        running = list(self.links.values())
        for link in self.links:
            link.close("proxy", "fin")
        await asyncio.gather(*running, return_exceptions=True)
        self.fault("disabled", "on")

    async def destroy(self) -> None:
        await self.disable()
        self.reserved.close()

    def add(self, toxic: Toxic) -> None:
        self.toxics.append(toxic)
        for one in self._directions(toxic):
            one.add(toxic)
        self.fault(toxic.name, "on", toxic)

    async def remove(self, toxic: Toxic) -> None:
        """Take the toxic out of every live link; what it holds goes on at once, unless the reader is slow."""
        self.toxics.remove(toxic)
        lifted = [asyncio.create_task(one.remove(toxic)) for one in self._directions(toxic)]
        if lifted:
            await asyncio.wait(lifted, timeout=1.0)
        self.fault(toxic.name, "off", toxic)

    async def update(self, toxic: Toxic, toxicity: float) -> None:
        """Live links follow new attributes; a new toxicity is drawn for each of them again."""
        redrawn, toxic.toxicity = toxicity != toxic.toxicity, toxicity
        for one in self._directions(toxic):
            if redrawn:
                await one.remove(toxic)
                one.add(toxic)
            else:
                one.update(toxic)
        self.fault(toxic.name, "on", toxic)

    def fault(self, name: str, state: str, toxic: Toxic | None = None) -> None:
        extra = {} if toxic is None else toxic_told(toxic)
        extra.pop("name", None)
        self.record("net.fault", proxy=self.name, fault=name, state=state, **extra)

    def _directions(self, toxic: Toxic) -> list[Direction]:
        return [one for link in self.links for one in link.directions if one.stream == toxic.stream]

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError:
                # Out of descriptors: others may close some.
                await asyncio.sleep(0.05)
                continue
            task = asyncio.create_task(self._open(client))
            self.opening.add(task)
            task.add_done_callback(self.opening.discard)

    async def _open(self, client: socket.socket) -> None:
        client.setblocking(False)
        number = next(self.numbers)
        where = {"proxy": self.name, "link": f"{self.name}-{number}"}
        self.record("net.open", **where)
        try:
            upstream = await _connect(self.upstream)
        except asyncio.CancelledError:
            _close(client, reset=True)
            self.record("net.close", **where, by="proxy", how="rst", up=0, down=0)
            raise
        except OSError:
            _close(client, reset=True)
            self.record("net.close", **where, by="upstream", how="rst", up=0, down=0)
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(number, client, upstream, any(one.type == "reset_peer" for one in self.toxics))
        self.links[link] = asyncio.create_task(self._carry(link, where))
        for toxic in self.toxics:
            for one in link.directions:
                if one.stream == toxic.stream:
                    one.add(toxic)

    async def _carry(self, link: Link, where: dict[str, str]) -> None:
        try:
            await link.run()
        finally:
            del self.links[link]
            up, down = (one.count for one in link.directions)
            self.record("net.close", **where, by=link.by or "proxy", how=link.how, up=up, down=down)


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the port and does not listen. Raises ValueError (not a loopback address) or OSError."""
    host = "127.0.0.1" if host == "localhost" else host
    address = ipaddress.ip_address(host)
    if not address.is_loopback:
        raise ValueError(f"{host} is no loopback address")
    one = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    one.setblocking(False)
    return one


def listening(host: str, port: int) -> socket.socket:
    """A listening socket, also beside one that reserves the port. Raises ValueError or OSError."""
    one = bound(host, port)
    try:
        one.listen(BACKLOG)
    except OSError:
        one.close()
        raise
    return one


def split(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[host]:port". Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address[:200]!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def toxic_told(toxic: Toxic) -> dict[str, Any]:
    """The toxic as the API gives it."""
    return {
        "attributes": dict(toxic.attributes), "name": toxic.name, "type": toxic.type, "stream": toxic.stream,
        "toxicity": toxic.toxicity,
    }  # fmt: skip


async def _connect(address: str) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{address} has no address")
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            found = await loop.getaddrinfo(*split(address), type=socket.SOCK_STREAM)
    except TimeoutError as exc:
        raise OSError(f"{address} was not found in time") from exc
    for family, kind, protocol, _, where in found:
        one = socket.socket(family, kind, protocol)
        one.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_WITHIN / len(found)):  # none takes the time of the others
                await loop.sock_connect(one, where)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return one
        except OSError as exc:
            one.close()
            failure = exc
        except BaseException:
            one.close()
            raise
    raise failure


def _close(one: socket.socket, *, reset: bool) -> None:
    if reset:
        with contextlib.suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW_RESET)
    one.close()


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
