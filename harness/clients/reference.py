"""The reference client: the subscriber's state machine over httpx, with policy `resilient` unless told otherwise.

Everything clever is in `harness.subscriber`; this drives it.  One coroutine: carry out what the machine wants, then
wait for the transport's next word or for the machine's deadline, whichever comes first.  A deadline that comes while
a transport is there always makes the machine drop it, so cutting a read short loses nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import httpx

from harness import tls
from harness.clients import Session, polling, sharing
from harness.clients.polling import Resume, Stream
from harness.clients.telling import tell
from harness.subscriber import (
    CAPABILITIES as BY_POLICY,
)  # fmt: skip
from harness.subscriber import (
    Closed,
    Connect,
    Disconnect,
    Failed,
    Options,
    Output,
    RefreshToken,
    Subscriber,
)

CAPABILITIES = BY_POLICY["resilient"] | {"configurable", "polling", "shared"}

Heads: TypeAlias = AsyncIterator[httpx.Response | bytes]
KNOWN: Final = frozenset(one.name for one in fields(Options))


async def subscribe(session: Session) -> None:
    """One subscriber, until it fails for good or is cancelled; polling takes over where streaming is not to be had."""
    if session.options.get("shared"):
        await sharing.subscribe(session, alone)
    else:
        await alone(session)


async def alone(session: Session) -> None:
    """One subscriber with a connection of its own."""
    await polling.subscribe(session, streaming(session), partial(new_client, session.ca_file))


def streaming(session: Session) -> Stream:
    """How one subscriber after the other streams: each until it has failed for good."""

    async def stream(resume: Resume) -> Resume:
        machine = Subscriber(options_of(session), rng=session.rng, last_event_id=resume.last_event_id)
        machine.reconnection_time = resume.reconnection_time or machine.reconnection_time
        await Driver(session, machine).run()
        return Resume(machine.last_event_id, machine.reconnection_time)

    return stream


def options_of(session: Session) -> Options:
    """The session's options as far as a subscriber knows them."""
    return Options(**{name: value for name, value in session.options.items() if name in KNOWN})


@dataclass(slots=True)
class Driver:
    """Carries out what the machine wants, over one httpx client of its own."""

    session: Session
    machine: Subscriber
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Heads | None = None
    received: int = 0

    async def run(self) -> None:
        self.headers = self.session.headers
        async with contextlib.AsyncExitStack() as stack:
            http = await stack.enter_async_context(new_client(self.session.ca_file))
            stack.push_async_callback(self._closed)
            outputs = self.machine.start(self._now())
            while await self._carry_out(outputs, http):
                outputs = await self._next()

    async def _carry_out(self, outputs: list[Output], http: httpx.AsyncClient) -> bool:
        """Carry out a list; False when it was the last."""
        for output in outputs:
            match output:
                case Connect():
                    self._connect(output, http)
                case Disconnect():
                    await self._dropped()
                case RefreshToken():
                    return await self._carry_out(await self._refreshed(), http)
                case _:
                    tell(self.session, output, machine=self.machine, received=self.received)
        return not any(isinstance(output, Failed | Closed) for output in outputs)

    def _connect(self, output: Connect, http: httpx.AsyncClient) -> None:
        last_event_id = output.headers.get("Last-Event-ID")
        self.session.attempt(None if last_event_id is None else last_event_id.decode())
        sent = {name.encode(): value.encode() for name, value in self.headers.items()}
        sent |= {name.encode(): value for name, value in output.headers.items()}
        self.received = 0
        self.stream = _transport(http, self.session.url, sent)

    async def _next(self) -> list[Output]:
        """What the machine makes of the transport's next word, or of its own deadline."""
        until = self.machine.deadline()
        if self.stream is None:
            return await self._ticked()
        try:
            async with asyncio.timeout_at(until):
                said = await anext(self.stream)
        except TimeoutError:
            return await self._ticked()
        except StopAsyncIteration:
            return await self._lost("end of stream")
        except (httpx.TransportError, httpx.TooManyRedirects, httpx.DecodingError, httpx.InvalidURL) as exc:
            return await self._lost(f"{type(exc).__name__}: {exc}")
        now = self._now()
        if isinstance(said, bytes):
            self.received += len(said)
            return self.machine.received(now, said)
        self.session.response(said.status_code, said.headers)
        return self.machine.connected(now, said.status_code, said.headers)

    async def _ticked(self) -> list[Output]:
        """Wait for the deadline; a machine that has none is offline or over, and only cancelling ends the wait."""
        while (until := self.machine.deadline()) is not None:
            await asyncio.sleep(until - asyncio.get_running_loop().time())
            if outputs := self.machine.tick(self._now()):
                return outputs
        await asyncio.Event().wait()
        return []

    async def _lost(self, reason: str) -> list[Output]:
        await self._dropped()
        return self.machine.ended(self._now(), reason)

    async def _dropped(self) -> None:
        if self.stream is not None:
            stream, self.stream = self.stream, None
            await stream.aclose()  # type: ignore[attr-defined]  # it is a generator

    async def _refreshed(self) -> list[Output]:
        if self.session.fresh_token is None:
            return self.machine.ended(self._now(), "there is no way to get a new token")
        self.headers = await self.session.fresh_token()
        return self.machine.token_refreshed(self._now())

    async def _closed(self) -> None:
        """Whatever ends the coroutine closes the machine and the transport."""
        for output in self.machine.close(self._now()):
            if not isinstance(output, Disconnect):
                tell(self.session, output, machine=self.machine, received=self.received)
        await self._dropped()

    def _now(self) -> float:
        """The time of the machine's next input, and of all records that it leads to: waits are judged exactly."""
        self.session.at = asyncio.get_running_loop().time()
        return self.session.at


def new_client(ca_file: Path | None = None) -> httpx.AsyncClient:
    """A client for streams: no read timeout, redirects followed as a browser does, nothing from the environment."""
    transport = httpx.AsyncHTTPTransport(verify=tls.context(ca_file))
    return httpx.AsyncClient(
        transport=transport, timeout=None, follow_redirects=True, max_redirects=20, trust_env=False  # noqa: S113
    )  # fmt: skip


async def _transport(http: httpx.AsyncClient, url: str, headers: Mapping[bytes, bytes]) -> Heads:
    """The response head, then the body as it comes."""
    async with http.stream("GET", url, headers=headers) as response:
        yield response
        async for chunk in response.aiter_bytes():
            yield chunk
