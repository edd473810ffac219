"""The subscribers of one run: opened, watched, closed, drained.

A subscriber is a task that runs the client's `subscribe(session)`; closing it cancels the task, which is what a user
of that client would do on unmount.  A client that will not end is left behind after GRACE and reported as such.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from harness.clients import Client, Session
from harness.errors import HarnessError
from harness.history import Writer
from harness.redaction import redact_url
from harness.servers import Server

GRACE: Final = 3.0


@dataclass(slots=True)
class Subscriber:
    """One client-side party over all its attempts."""

    session: Session
    task: asyncio.Task[None]
    closing: bool = False

    @property
    def live(self) -> bool:
        return not self.closing and not self.task.done()


@dataclass(slots=True)
class Crowd:
    """All subscribers of a run, by name. `address` is where they connect to (host:port of the proxy), if not the
    server itself; `tagged` adds the query parameter `sub`, by which the mock tells them apart."""

    client: Client
    server: Server
    writer: Writer
    options: Mapping[str, Any]
    seed: int
    address: str | None = None
    tagged: bool = False
    members: dict[str, Subscriber] = field(default_factory=dict)
    peers: dict[str, Any] = field(default_factory=dict)

    async def open(self, sub: str, user: str, *, ttl: float | None = None) -> Subscriber:
        """Start one subscriber; it connects in the background."""
        if sub in self.members:
            raise HarnessError(f"two subscribers are named {sub!r}; give the scenario's steps different labels")
        admitted = await self.server.admit(user, ttl)
        session = Session(
            sub=sub,
            user=user,
            url=self._url(self.server.url, admitted.query, urlencode({"sub": sub}) if self.tagged else ""),
            polling_url=self._polling_url(admitted.query),
            ca_file=self.server.ca_file,
            headers=self._headers(admitted.headers),
            writer=self.writer,
            options=self.options,
            fresh_token=self._refresh(user),
            rng=random.Random(f"{self.seed}/{sub}"),
            peers=self.peers,
        )
        # Of a session whose token expires each fresh one is on record.
        told: dict[str, Any] = {} if ttl is None else {"ttl": ttl, "refreshes": "told"}
        self.writer.write(
            "sub.start", sub=sub, user=user, url=redact_url(session.url, user), options=dict(self.options), **told
        )
        self.members[sub] = Subscriber(session, asyncio.create_task(self._run(session), name=f"subscriber {sub}"))
        return self.members[sub]

    async def close(self, label: str = "") -> None:
        """Close every live subscriber whose name starts with `label`, all at once."""
        chosen = [one for name, one in self.members.items() if name.startswith(label) and not one.closing]
        for one in chosen:
            one.closing = True
            self.writer.write("sub.close", sub=one.session.sub, was_open=one.session.is_open)
            one.task.cancel()
        if chosen:
            await asyncio.wait([one.task for one in chosen], timeout=GRACE)
        for one in chosen:
            if not one.task.done():
                self.writer.write("sub.closed", sub=one.session.sub, reason="still running after close()", stuck=True)

    def opens(self) -> dict[str, int]:
        """How often each live subscriber that is open has been opened."""
        return {one.session.sub: one.session.opens for one in self.live() if one.session.is_open}

    async def until_open(self, seconds: float, *, since: Mapping[str, int] | None = None) -> None:
        """Wait until every live subscriber is open, or polls in place of that, at most so long.

        Those of `since` (as `opens` told) have to be open anew: one that has not noticed yet that its connection is
        lost still seems to be.
        """
        before = since or {}
        await _until(
            lambda: all(
                one.session.polling or (one.session.is_open and one.session.opens > before.get(one.session.sub, -1))
                for one in self.live()
            ),
            seconds,
        )

    async def drain(
        self, digests: Mapping[str, str], channels_of: Mapping[str, Iterable[str]], seconds: float
    ) -> list[str]:
        """Wait until every live subscriber has dispatched the sentinel of each of its channels.

        `digests` has the sentinel's digest by channel. Returns the names of those that are still missing one.
        """
        wanted = {
            one.session.sub: {digests[channel] for channel in channels_of[one.session.user] if channel in digests}
            for one in self.live()
        }

        def missing() -> list[str]:
            return [
                name for name, need in wanted.items()
                if self.members[name].live and not need <= self.members[name].session.sentinels
            ]  # fmt: skip

        await _until(lambda: not missing(), seconds)
        return missing()

    def live(self) -> list[Subscriber]:
        return [one for one in self.members.values() if one.live]

    async def _run(self, session: Session) -> None:
        try:
            await self.client.subscribe(session)
        except asyncio.CancelledError:
            self.writer.write("sub.closed", sub=session.sub, reason="close()")
            raise
        except Exception as exc:  # a client under test may raise anything; that it did is evidence
            reason = session.plain(f"raised {type(exc).__name__}: {exc}")
            self.writer.write("sub.closed", sub=session.sub, reason=reason, crashed=True)
        else:
            self.writer.write("sub.closed", sub=session.sub, reason="gave up")
        finally:
            session.is_open = False

    def _refresh(self, user: str) -> Any:
        async def fresh() -> Mapping[str, str]:
            return self._headers((await self.server.admit(user)).headers)

        return fresh

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        # Behind the proxy a foreign server still hears its own name, as it would behind any reverse proxy.
        host = {} if self.server.own or self.address is None else {"Host": urlsplit(self.server.url).netloc}
        return {**headers, **host}

    def _polling_url(self, query: str) -> str | None:
        twin = self.server.twins.get("events") if "poll_every" in self.options else None
        return None if twin is None else self._url(twin, query)

    def _url(self, url: str, query: str, tag: str = "") -> str:
        parts = urlsplit(url)
        joined = "&".join(one for one in (parts.query, query, tag) if one)
        return urlunsplit(parts._replace(netloc=self.address or parts.netloc, query=joined))


async def _until(condition: Any, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
