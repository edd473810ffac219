"""One connection for all subscribers of a process with the same endpoint and user: opened by the first, closed with the
last.

The connection is a subscriber of its own, named `shared-USER`: it makes the attempts and waits, and tells what it sees.
Each member hears of every opening, event, error and end at the same moment, as the components of a page would that
share one EventSource.  A member that joins an open connection is open at once, and gets what comes from then on.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from harness.clients import Session

# What a connection takes over from the member that opens it; the rest of a session is what happened to it.
GIVEN: Final = frozenset(one.name for one in fields(Session)) - {"at", "number", "is_open", "polling", "sentinels"}

Connect = Callable[[Session], Awaitable[None]]


@dataclass(slots=True)
class Shared:
    """A connection and those who listen to it."""

    members: list[Session] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    is_open: bool = False


async def subscribe(session: Session, connect: Connect) -> None:
    """Listen to the user's shared connection, made by `connect` if there is none, until cancelled or it has failed."""
    shared = session.peers.setdefault(session.user, Shared())
    shared.members.append(session)
    if shared.is_open:
        _reopened(session)
    if shared.task is None:
        shared.task = asyncio.create_task(_run(shared, session, connect), name=f"shared stream of {session.user}")
    try:
        await asyncio.shield(shared.task)
    finally:
        shared.members.remove(session)
        if not shared.members:
            del session.peers[session.user]
            if not shared.task.done():
                session.writer.write("sub.close", sub=_name(session), was_open=shared.is_open)
            await _closed(shared.task)


async def _run(shared: Shared, first: Session, connect: Connect) -> None:
    name = _name(first)
    given = {one: getattr(first, one) for one in GIVEN}
    line = Line(**{**given, "sub": name, "url": _renamed(first.url, name)}, shared=shared)
    first.writer.write("sub.start", sub=name, user=first.user, options=dict(first.options), shared=True)
    try:
        await connect(line)
        first.writer.write("sub.closed", sub=name, reason="gave up")
    except asyncio.CancelledError:
        first.writer.write("sub.closed", sub=name, reason="close()")
        raise


async def _closed(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _name(session: Session) -> str:
    return f"shared-{session.user}"


def _renamed(url: str, name: str) -> str:
    """The URL with its parameter `sub`, by which the mock tells subscribers apart, naming the connection."""
    parts = urlsplit(url)
    query = [(key, name if key == "sub" else value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _reopened(member: Session) -> None:
    member.number += 1
    member.opened()


@dataclass(slots=True)
class Line(Session):
    """The connection's own session: it records for itself, and passes on what its members are to hear."""

    shared: Shared = field(default_factory=Shared)

    def opened(self) -> None:
        Session.opened(self)
        self.shared.is_open = True
        self._each(_reopened)

    def event(self, *, id: str, type: str, data: str, via: Literal["stream", "poll"] = "stream") -> None:
        Session.event(self, id=id, type=type, data=data, via=via)
        self._each(lambda member: member.event(id=id, type=type, data=data, via=via))

    def error(self, reason: str) -> None:
        Session.error(self, reason)
        self._each(lambda member: member.error(reason))

    def ended(self, reason: str, **counts: int) -> None:
        Session.ended(self, reason, **counts)
        self.shared.is_open = False
        self._each(lambda member: member.ended(reason))

    def _each(self, tell: Callable[[Session], None]) -> None:
        for member in list(self.shared.members):
            member.at = self.at
            tell(member)
