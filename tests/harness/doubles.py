"""Small real things in place of big ones: a writer that keeps, a server that plays bytes, one that notes its orders."""

import asyncio
import contextlib
import socket
import struct
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

from harness.clients import Session
from harness.history import Record
from harness.kinds import KINDS
from harness.servers import Pass
from harness.target import Promises

OPENED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
HOLD, RESET = "hold", "reset"


def answer(status, body=b"", **headers):
    """An answer with a body of known length."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Told\r\nContent-Length: {len(body)}\r\n{named}Connection: close\r\n\r\n".encode() + body


class Notes:
    """A writer that keeps its records; like the real one it refuses a record that lacks a field."""

    def __init__(self):
        self.records = []

    def write(self, kind, *, t=None, **data):
        assert not [name for name in KINDS[kind] if name not in data], f"record {kind} lacks a field"
        self.records.append(Record(time.monotonic() if t is None else t, kind, data))

    def of(self, *kinds):
        return [one for one in self.records if one.kind in kinds]

    def told(self, kind, *names):
        """The values of these fields of every record of a kind, in order."""
        rows = [tuple(one.get(name) for name in names) for one in self.of(kind)]
        return [row[0] for row in rows] if len(names) == 1 else rows

    def story(self):
        """The kinds in order, without what only tells of states."""
        return [one.kind.removeprefix("sub.") for one in self.records if one.kind != "sub.state"]


@dataclass
class Request:
    """What a client asked; names of headers in lower case."""

    method: str
    path: str
    headers: dict
    body: bytes = b""


class Scripted:
    """A server that plays one script per request, the last one for all that follow.

    A script is bytes to send, or a sequence of bytes and HOLD (until the client leaves) or RESET; then the connection
    is closed. `left` counts the clients that left while it held.
    """

    def __init__(self, *scripts, path="/stream", tls=None):
        self.scripts = [(one,) if isinstance(one, bytes) else one for one in scripts]
        self.path, self.tls = path, tls
        self.requests, self.left, self.tasks = [], 0, set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        scheme = "http" if self.tls is None else "https"
        self.origin = f"{scheme}://127.0.0.1:{self.port}"
        self.url = self.origin + self.path
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.server.wait_closed()
        # What asyncio itself still accepts: a TLS handshake that its client broke off.
        accepting = [one for one in asyncio.all_tasks() if "_accept_connection2" in repr(one.get_coro())]
        await asyncio.gather(*accepting, return_exceptions=True)

    async def _accepted(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._play(reader, writer)
        finally:
            writer.close()
            self.tasks.discard(asyncio.current_task())

    async def _play(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Request(method, path, headers, body))
        for part in self.scripts[min(len(self.requests), len(self.scripts)) - 1]:
            if part == HOLD:
                await reader.read()
                self.left += 1
            elif part == RESET:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.write(part)
                await writer.drain()


@dataclass
class NotingServer:
    """A server that exists as the list of its orders."""

    url: str = "http://127.0.0.1:9/stream"
    own: bool = True
    name: str = "noting"
    promises: Promises = field(default_factory=Promises)
    capabilities: frozenset = frozenset({"publish"})
    twins: dict = field(default_factory=dict)
    ca_file: object = None
    query: str = ""
    orders: list = field(default_factory=list)
    told: dict | None = None

    def users(self, count):
        return [f"u{number}" for number in range(count)]

    async def admit(self, user, ttl=None):
        token = f"{user}.{ttl or 'long'}.signature"
        if self.query:
            return Pass({}, f"{self.query}={token}")
        return Pass({"Authorization": f"Bearer {token}"})

    async def publish(self, user, count=1, type=None):
        self.orders.append(("publish", user, count, type))
        return [f"digest of {user}"] * count

    async def command(self, name, /, **arguments):
        self.orders.append((name, arguments))

    async def stats(self):
        return self.told

    async def stop(self):
        self.orders.append(("stop",))

    async def died(self):
        await asyncio.Event().wait()


class NotingProxy:
    """A proxy that exists as the list of its orders."""

    listen = "127.0.0.1:7"

    def __init__(self):
        self.orders = []

    def __getattr__(self, name):
        async def order(*arguments):
            self.orders.append((name, *(getattr(one, "name", one) for one in arguments)))

        return order


def client(subscribe, *capabilities, **options):
    """A client module."""
    return SimpleNamespace(subscribe=subscribe, CAPABILITIES=frozenset(capabilities), OPTIONS=options)


def session(url, notes, **more):
    """A subscriber's session with laws that make a test short."""
    options = {"reconnection_time": 0.02, "backoff_base": 0.01, "backoff_cap": 0.05, **more.pop("options", {})}
    headers = more.pop("headers", {"Authorization": "Bearer first"})
    return Session(sub="s", user="u0", url=url, headers=headers, writer=notes, options=options, **more)


async def until(condition, seconds=5.0):
    """Wait for the condition; the bound is there so that a broken test ends, and a busy machine reaches it later."""
    for _ in range(int(seconds / 0.002)):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise TimeoutError("the condition does not hold")


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time is only what it waits for, so that a busy machine polls as often as an idle one."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        select = self._selector.select

        def passed(timeout):
            self.now += timeout or 0.0
            return select(0)

        self._selector.select = passed

    def time(self):
        return self.now


@contextlib.asynccontextmanager
async def running(coroutine):
    """Run a coroutine beside; what still runs at the end is cancelled."""
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
