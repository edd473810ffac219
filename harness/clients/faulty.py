"""Deliberately bad clients, one attribute each: what the selftest runs to see that every alarm can ring.

Each is the reference client with one thing broken; `harness.defects` says which checks have to notice.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import httpx

from harness.clients import Session, polling
from harness.clients.polling import Resume
from harness.clients.reference import CAPABILITIES, Driver, alone, new_client, options_of, streaming
from harness.eventstream import Decoder, Event, Item
from harness.subscriber import (
    Connect,
    Dispatch,
    Error,
    Failed,
    Heard,
    IdCommitted,
    Options,
    Output,
    Skipped,
    Subscriber,
    Told,
    Waiting,
)

HOARDED: Final = 2_000  # bytes per stream


@dataclass(frozen=True, slots=True)
class Bad:
    """A client as `harness.clients` wants it."""

    subscribe: Callable[[Session], Awaitable[None]]
    CAPABILITIES: frozenset[str] = CAPABILITIES


def _machine(kind: type[Subscriber], change: Callable[[Options], Options] = lambda options: options) -> Bad:
    """The reference driver with another machine."""

    async def subscribe(session: Session) -> None:
        await Driver(session, kind(change(options_of(session)), rng=session.rng)).run()

    return Bad(subscribe)


class _ForgetsId(Subscriber):
    __slots__ = ()

    def _last_event_id(self) -> str:
        return ""


class _IgnoresEmptyId(Subscriber):
    """Takes an empty id for none at all, and says so of what it dispatches."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        kept, outputs = self.last_event_id, super().received(now, data)
        for number, one in enumerate(outputs):
            if isinstance(one, Dispatch):
                kept = one.event.id or kept
                outputs[number] = Dispatch(one.event._replace(id=kept))
            elif isinstance(one, IdCommitted):
                kept = one.id or kept
        self.last_event_id = kept
        return outputs


class _StripsFirstBomOnly(Subscriber):
    __slots__ = ()

    def _decoder_for(self, last_event_id: str) -> Decoder:
        decoder = super()._decoder_for(last_event_id)
        if self.attempts > 1:
            decoder.feed(b":\n")  # behind a line it is no BOM
        return decoder


_ID_LINE: Final = re.compile(rb"(?:^|[\r\n])id: ?([^\r\n\0]*)[\r\n]")


class _Hasty(Decoder):
    """Takes an id as soon as its line is there, whether or not the event's empty line ever comes."""

    hasty = ""

    def feed(self, data: bytes) -> list[Item]:
        if found := _ID_LINE.findall(data):
            self.hasty = found[-1].decode("utf-8", "replace")
        return super().feed(data)


class _KeepsTornId(Subscriber):
    __slots__ = ("_hasty",)

    def _decoder_for(self, last_event_id: str) -> Decoder:
        self._hasty = _Hasty(limit=self.options.event_limit, last_event_id=last_event_id)
        return self._hasty

    def _last_event_id(self) -> str:
        return (getattr(self, "_hasty", None) and self._hasty.hasty) or self.last_event_id


class _DispatchesAtEof(Subscriber):
    __slots__ = ()

    def ended(self, now: float, reason: str) -> list[Output]:
        late: list[Output] = []
        if self._decoder is not None and self._decoder.pending:
            late = [one for one in self.received(now, b"\n\n") if isinstance(one, Dispatch)]
        return [*late, *super().ended(now, reason)]


class _NoBackoff(Subscriber):
    __slots__ = ()

    def _delay(self, floor: float) -> float:
        return floor + self.options.backoff_base * self._rng.random()


class _NoJitterAtCap(Subscriber):
    __slots__ = ()

    def _delay(self, floor: float) -> float:
        capped = self.options.backoff_base * 2.0 ** min(self._failures, 64) >= self.options.backoff_cap
        return floor + self.options.backoff_cap if capped else super()._delay(floor)


class _IgnoresRetry(Subscriber):
    __slots__ = ()

    def _delay(self, floor: float) -> float:
        return super()._delay(0.0)


class _TakesFirstRetryOnly(Subscriber):
    __slots__ = ("_told",)

    def received(self, now: float, data: bytes) -> list[Output]:
        outputs = super().received(now, data)
        told = [one for one in outputs if isinstance(one, Told)]
        self._told = getattr(self, "_told", None) or next(iter(told), None)
        if self._told is not None:
            self.reconnection_time = self._told.retry_ms / 1000
        return [one for one in outputs if not isinstance(one, Told) or one is self._told]


class _ObeysInvalidRetry(Subscriber):
    """Takes what comes after `retry` for a number if that can be done at all."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        outputs = super().received(now, data)
        for one in outputs:
            name, _, value = one.ignored.line.decode().partition(":") if isinstance(one, Skipped) else ("", "", "")
            with contextlib.suppress(ValueError):
                self.reconnection_time = max(0.0, float(value)) / 1000 if name == "retry" else self.reconnection_time
        return outputs


class _ReconnectsAfter204(Subscriber):
    __slots__ = ()

    def _on_status(self, now: float, status: int, headers: Mapping[str, str]) -> list[Output]:
        return self._lose(now, "status 204") if status == 204 else super()._on_status(now, status, headers)


class _Hammers(Subscriber):
    """Comes back almost at once after any answer that is no stream."""

    __slots__ = ()

    def _delay(self, floor: float) -> float:
        return 0.03

    def _on_status(self, now: float, status: int, headers: Mapping[str, str]) -> list[Output]:
        return super()._on_status(now, status, headers) if status == 200 else self._lose(now, f"status {status}")


class _IgnoresRetryAfter(Subscriber):
    __slots__ = ()

    def _on_status(self, now: float, status: int, headers: Mapping[str, str]) -> list[Output]:
        return super()._on_status(now, status, {"content-type": headers.get("content-type", "")})


class _ComesBackAfterRefusal(Subscriber):
    __slots__ = ()

    def _on_status(self, now: float, status: int, headers: Mapping[str, str]) -> list[Output]:
        again = status in (400, 403, 404, 410)
        return self._lose(now, f"status {status}") if again else super()._on_status(now, status, headers)


class _TakesAnyContentType(Subscriber):
    __slots__ = ()

    def _on_content_type(self, now: float, value: str) -> list[Output]:
        return super()._on_content_type(now, "text/event-stream")


class _HidesErrors(Subscriber):
    """Tells of its first loss alone."""

    __slots__ = ()

    def _lose(self, now: float, reason: str, *, floor: float = 0.0, ours: bool = True) -> list[Output]:
        first = self.attempts == 1
        outputs = super()._lose(now, reason, floor=floor, ours=ours)
        return [one for one in outputs if first or not isinstance(one, Error)]


class _DispatchesEmpty(Subscriber):
    """Takes a heartbeat for an event."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        empty = Dispatch(Event("message", "", self.last_event_id))
        outputs = super().received(now, data)
        return [*outputs, *(empty for one in outputs if isinstance(one, Heard))]


class _DispatchesComments(Subscriber):
    """Takes the text of a comment for an event's data."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        outputs = super().received(now, data)
        heard = (one.comment for one in outputs if isinstance(one, Heard))
        return [*outputs, *(Dispatch(Event("message", text, self.last_event_id)) for text in heard)]


class _KeepsType(Subscriber):
    """Takes the type of the event before where a block has no event field."""

    __slots__ = ("_type",)

    def received(self, now: float, data: bytes) -> list[Output]:
        return [self._typed(one) for one in super().received(now, data)]

    def _typed(self, output: Output) -> Output:
        if not isinstance(output, Dispatch):
            return output
        if output.event.type != "message":
            self._type = output.event.type
        return Dispatch(output.event._replace(type=getattr(self, "_type", "message")))


class _SendsIdsRaw(Subscriber):
    """Puts every id into the header as it is; where that cannot be sent, no attempt after it leaves the client."""

    __slots__ = ()

    def _connect(self, now: float, reason: str) -> list[Output]:
        *before, connect = super()._connect(now, reason)
        assert isinstance(connect, Connect)  # noqa: S101 - it always ends with that
        raw = {"Last-Event-ID": self.last_event_id.encode()} if self.last_event_id else {}
        return [*before, replace(connect, headers={**connect.headers, **raw})]


class _LosesAtChunks(Subscriber):
    """Reads each chunk by itself: what it ends with in the middle of an event is lost."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        whole, end, _ = data.rpartition(b"\n\n")
        return super().received(now, whole + end) if end else []


class _OneEventAChunk(Subscriber):
    """Takes what comes in one chunk for one event."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        outputs = super().received(now, data)
        more = [one for one in outputs if isinstance(one, Dispatch)][1:]
        return [one for one in outputs if not any(one is another for another in more)]


class _Crashes(Subscriber):
    """Does not know what to do with one type of event."""

    __slots__ = ()

    def received(self, now: float, data: bytes) -> list[Output]:
        outputs = super().received(now, data)
        if any(isinstance(one, Dispatch) and one.event.type == "job" for one in outputs):
            raise KeyError("job")
        return outputs


class _GivesUp(Subscriber):
    """Thinks that a connection which was lost is lost for good."""

    __slots__ = ()

    def _lose(self, now: float, reason: str, *, floor: float = 0.0, ours: bool = True) -> list[Output]:
        outputs = super()._lose(now, reason, floor=floor, ours=ours)
        return [*(one for one in outputs if not isinstance(one, Waiting)), Failed(reason)]


class _ForgetsToken(Driver):
    """Shows its token the first time alone."""

    def _connect(self, output: Connect, http: httpx.AsyncClient) -> None:
        super()._connect(output, http)
        self.headers = {}


class _KeepsExpiredToken(Driver):
    """Comes back after a 401 with the token that was refused."""

    async def _refreshed(self) -> list[Output]:
        return self.machine.token_refreshed(self._now())


class _AsksForJson(Driver):
    def _connect(self, output: Connect, http: httpx.AsyncClient) -> None:
        super()._connect(replace(output, headers={**output.headers, "Accept": b"application/json"}), http)


class _BorrowsToken(Driver):
    """Comes back with the token of whoever of its process came last."""

    def _connect(self, output: Connect, http: httpx.AsyncClient) -> None:
        if self.machine.attempts > 1:
            self.headers = _LATEST["headers"]
        else:
            _LATEST["headers"] = self.headers
        super()._connect(output, http)


class _SendsEmptyId(Subscriber):
    """Sends the header for the last event ID whether or not there is one."""

    __slots__ = ()

    def _connect(self, now: float, reason: str) -> list[Output]:
        *before, connect = super()._connect(now, reason)
        assert isinstance(connect, Connect)  # noqa: S101 - it always ends with that
        return [*before, replace(connect, headers={"Last-Event-ID": b"", **connect.headers})]


class _ConnectsTwice(Driver):
    """Opens a second stream, which nobody listens to, each time that it comes back."""

    def _connect(self, output: Connect, http: httpx.AsyncClient) -> None:
        super()._connect(output, http)
        if self.machine.attempts > 1:
            sent = {**{name: value.encode() for name, value in self.headers.items()}, **output.headers}
            _LEAKED.append(asyncio.create_task(self._second(sent), name="second stream"))

    async def _second(self, headers: Mapping[str, bytes]) -> None:
        async with (
            new_client(self.session.ca_file) as http,
            http.stream(
                "GET", self.session.url, headers=[(name.encode(), headers[name]) for name in headers]
            ) as response,
        ):
            async for _ in response.aiter_raw():
                pass


class _LeaksOnReconnect(Driver):
    """Keeps what belonged to each connection that ended."""

    async def _dropped(self) -> None:
        if self.stream is not None:
            _LEAKED.append(asyncio.create_task(_holding(socket.socket()), name="leaked connection"))
        await super()._dropped()


async def _holding(one: socket.socket) -> None:
    with one:
        await asyncio.Event().wait()


def _driven(kind: type[Driver]) -> Bad:
    """The reference machine with another driver."""

    async def subscribe(session: Session) -> None:
        await kind(session, Subscriber(options_of(session), rng=session.rng)).run()

    return Bad(subscribe)


async def _leaks_memory(session: Session) -> None:
    # Written to, so that it is memory and no promise of it.
    _HOARD.append(bytearray(b"x" * HOARDED))
    await alone(session)


async def _hangs_in_close(session: Session) -> None:
    try:
        await alone(session)
    finally:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


async def _no_polling_fallback(session: Session) -> None:
    await streaming(session)(Resume())


async def _keeps_cached_state(session: Session) -> None:
    stream, cached = streaming(session), Resume()

    async def stale(resume: Resume) -> Resume:
        nonlocal cached
        cached = await stream(cached if cached.last_event_id else resume)
        return cached

    await polling.subscribe(session, stale, partial(new_client, session.ca_file))


async def _never_closes_sockets(session: Session) -> None:
    driver = Driver(session, Subscriber(options_of(session), rng=session.rng))
    running = asyncio.create_task(driver.run(), name="leaked stream")
    _LEAKED.append(running)
    try:
        await asyncio.shield(running)
    finally:
        # What its user sees is over; the connection stays.
        session.writer = _Mute()  # type: ignore[assignment]


async def _goes_on_after_close(session: Session) -> None:
    driver = Driver(session, Subscriber(options_of(session), rng=session.rng))
    running = asyncio.create_task(driver.run(), name="stream that goes on")
    _LEAKED.append(running)
    await asyncio.shield(running)


class _Mute:
    def write(self, kind: str, **data: object) -> None:
        """Say nothing."""


# That these live on is the defect.
_LEAKED: Final[list[asyncio.Task[None]]] = []
_HOARD: Final[list[bytearray]] = []
_LATEST: Final[dict[str, Mapping[str, str]]] = {}

forgets_id = _machine(_ForgetsId)
ignores_empty_id = _machine(_IgnoresEmptyId)
strips_first_bom_only = _machine(_StripsFirstBomOnly)
keeps_torn_id = _machine(_KeepsTornId)
dispatches_at_eof = _machine(_DispatchesAtEof)
no_backoff = _machine(_NoBackoff)
no_jitter = _machine(Subscriber, lambda options: replace(options, jitter=False))
no_jitter_at_cap = _machine(_NoJitterAtCap)
ignores_retry = _machine(_IgnoresRetry)
takes_first_retry_only = _machine(_TakesFirstRetryOnly)
obeys_invalid_retry = _machine(_ObeysInvalidRetry)
reconnects_after_204 = _machine(_ReconnectsAfter204)
hammers = _machine(_Hammers)
ignores_retry_after = _machine(_IgnoresRetryAfter)
comes_back_after_refusal = _machine(_ComesBackAfterRefusal)
takes_any_content_type = _machine(_TakesAnyContentType)
leaks_memory = Bad(_leaks_memory)
hides_errors = _machine(_HidesErrors)
dispatches_empty = _machine(_DispatchesEmpty)
dispatches_comments = _machine(_DispatchesComments)
keeps_type = _machine(_KeepsType)
sends_ids_raw = _machine(_SendsIdsRaw)
no_polling_fallback = Bad(_no_polling_fallback)
keeps_cached_state = Bad(_keeps_cached_state)
ignores_silence = _machine(Subscriber, lambda options: replace(options, heartbeat_deadline=None))
never_closes_sockets = Bad(_never_closes_sockets)
goes_on_after_close = Bad(_goes_on_after_close)
opens_one_each = Bad(alone)
loses_at_chunks = _machine(_LosesAtChunks)
one_event_a_chunk = _machine(_OneEventAChunk)
resets_on_open = _machine(Subscriber, lambda options: replace(options, stable_after=0.0))
never_resets_backoff = _machine(Subscriber, lambda options: replace(options, stable_after=1e9))
crashes = _machine(_Crashes)
gives_up = _machine(_GivesUp)
forgets_token = _driven(_ForgetsToken)
keeps_expired_token = _driven(_KeepsExpiredToken)
asks_for_json = _driven(_AsksForJson)
connects_twice = _driven(_ConnectsTwice)
borrows_token = _driven(_BorrowsToken)
sends_empty_id = _machine(_SendsEmptyId)
leaks_on_reconnect = _driven(_LeaksOnReconnect)
hangs_in_close = Bad(_hangs_in_close)
ends_healthy_streams = _machine(Subscriber, lambda options: replace(options, heartbeat_deadline=0.4))
