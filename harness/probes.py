"""The run's own questions: for whom the stream is offered, and what its REST twins answer.

Records: `probe.flag` per user and question (`status` of the answer, None if there was none; `told`: what the server
itself says of this user's flag, where it has a twin for that), `probe.rest` per user, twin and question (`digest` of
status, content type and body).  Hundreds are asked in a second, a few at a time, each on a connection of its own:
over h11 alone, because httpx needs four times as much of a core that the run shares with what it judges.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import h11

from harness import tls
from harness.history import Writer
from harness.servers import Server

AT_ONCE: Final = 8
PATIENCE: Final = 5.0
LONGEST: Final = 1024 * 1024  # bytes of an answer that are read
COMPARED: Final = ("dashboard", "events")  # the twins that the flag must not change


async def ask_all(server: Server, writer: Writer, name: str, users: Iterable[str], *, repeat: int) -> None:
    """Ask for each user whether the stream is offered; the rounds follow one another."""
    chosen = list(users)
    told: dict[str, bool | None] = {}

    async def tell(user: str) -> None:
        told[user] = _told(await _get(server, user, server.twins["flags"]))

    async def offered(user: str) -> None:
        began = time.monotonic()
        answer = await _get(server, user, server.url, accept="text/event-stream")
        status = None if answer is None else answer.status
        writer.write("probe.flag", name=name, user=user, status=status, began=began, told=told.get(user))

    if "flags" in server.twins:
        await _each(chosen, tell)
    for _ in range(repeat):
        await _each(chosen, offered)


async def ask_twins(server: Server, writer: Writer, name: str, users: Iterable[str], *, repeat: int) -> None:
    """Ask each twin for each user."""
    chosen = list(users)
    for twin in [one for one in COMPARED if one in server.twins] * repeat:

        async def ask(user: str, twin: str = twin) -> None:
            began = time.monotonic()
            answer = await _get(server, user, server.twins[twin])
            status, digest = (None, None) if answer is None else (answer.status, answer.digest)
            writer.write("probe.rest", name=name, user=user, twin=twin, status=status, digest=digest, began=began)

        await _each(chosen, ask)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer's head; of anything but a stream its body too."""

    status: int
    type: str
    body: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        head = f"{self.status} {self.type}\n"
        return hashlib.sha256(head.encode() + self.body).hexdigest()[:16]


async def _get(server: Server, user: str, url: str, *, accept: str = "application/json") -> _Answer | None:
    """One answer to the user's token, or None if there was none; of a stream only the head is taken."""
    admitted = await server.admit(user)
    address = urlsplit(url)
    query = "&".join(one for one in (address.query, admitted.query) if one)
    target = urlunsplit(("", "", address.path or "/", query, ""))
    headers = {"Host": address.netloc, "Accept": accept, "Connection": "close", **admitted.headers}
    secure = tls.context(server.ca_file) if address.scheme == "https" else None
    port = address.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(
                address.hostname, port, ssl=secure, happy_eyeballs_delay=0.25
            )
            try:
                http = h11.Connection(h11.CLIENT)
                asked = h11.Request(method="GET", target=target, headers=list(headers.items()))
                writer.write((http.send(asked) or b"") + (http.send(h11.EndOfMessage()) or b""))
                return await _read(http, reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, h11.ProtocolError):
        return None


async def _read(http: h11.Connection, reader: asyncio.StreamReader) -> _Answer | None:
    status, kind, body = 0, "", b""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            case h11.Response(status_code=status, headers=headers):
                kind = next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
                if kind.startswith("text/event-stream"):
                    return _Answer(status, kind, b"")
            case h11.Data(data=data) if len(body) < LONGEST:
                body += data
            case h11.InformationalResponse():
                continue
            case _:
                return _Answer(status, kind, body) if status else None


def _told(answer: _Answer | None) -> bool | None:
    """What the server says of the flag: a JSON object whose only value is true or false."""
    try:
        plain = json.loads(answer.body) if answer is not None and answer.status == 200 else None
    except (ValueError, RecursionError):
        return None
    values = list(plain.values()) if isinstance(plain, dict) else []
    return values[0] if len(values) == 1 and isinstance(values[0], bool) else None


async def _each(users: list[str], ask: Callable[[str], Awaitable[None]]) -> None:
    """Ask for all users, so many at a time."""
    waiting = iter(users)

    async def take() -> None:
        for user in waiting:
            await ask(user)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(take())
