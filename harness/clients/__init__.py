"""Clients under test: one file each, and the seam through which a run drives them and they say what they saw.

A client is a module with

    CAPABILITIES: frozenset[str]                       # what it declares beyond the standard (see below); may be empty
    async def subscribe(session: Session) -> None      # one subscriber; returns when it has given up for good

`OPTIONS: dict[str, float]` may state the client's own law in seconds (reconnection_time, backoff_base, backoff_cap,
heartbeat_deadline ...), so that it is judged by that.  A client that declares the capability `configurable` obeys
`session.options` instead, as the reference client does.

A run closes a subscriber by cancelling that coroutine; a client with a `close()` of its own calls it in `finally`.
`session` carries the URL, the headers (the token is among them) and the options; its methods record what the client
saw.  Only `opened` and `event` are needed; whatever else a client can tell makes more checks able to judge it.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from harness import testevent
from harness.history import Writer
from harness.redaction import header_credentials, hidden, query_credentials, redact_headers, redact_url

LONGEST_TEXT = 512
OF_AN_ATTEMPT: Final = frozenset(
    {"attempt", "response", "open", "event", "comment", "stirred", "retry", "id", "ignored", "error", "end", "wait"}
)

# What a client can declare beyond the standard, and what it is judged by then.
CAPABILITIES: Final = {
    "backoff": "its waits grow with each failure, up to its cap",
    "comments": "it tells of comments, and of lines that it ignores",
    "configurable": "it obeys `session.options`",
    "heartbeat-deadline": "it ends a stream that has been silent for too long",
    "jitter": "its waits differ from those of other clients",
    "offline": "it waits for the network to come back",
    "polling": "it polls where there is no stream",
    "retry-after": "it waits as long as Retry-After says",
    "shared": "subscribers of one user can share a connection",
    "status-retry": "it comes back after 5xx and 429",
    "token-refresh": "it gets a new token after 401",
}


@dataclass(slots=True)
class Session:
    """One subscriber as its client sees it.

    `headers` carry the token; `options` are the scenario's for this client (seconds as float); `fresh_token` gives
    headers with a new token where the target has one; `rng` is seeded by the run; `ca_file` has the certificates to
    trust in place of the system's; `polling_url`, where the target and
    the scenario have one, answers `?after=ID` with the events after an id, for a client that declares `polling`: every
    `poll_every` seconds, and the stream is tried again after `stream_again` seconds (both are options); `peers` is
    where the sessions of one process that share a connection (option `shared`) find each other, by user; `credentials`
    are what no record may show.  A client that
    knows better than this moment when a thing happened sets `at` (monotonic seconds) before it tells of it.
    """

    sub: str
    user: str
    url: str
    headers: Mapping[str, str]
    writer: Writer
    options: Mapping[str, Any] = field(default_factory=dict)
    polling_url: str | None = None
    ca_file: Path | None = None
    fresh_token: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    rng: random.Random = field(default_factory=random.Random)
    peers: dict[str, Any] = field(default_factory=dict)
    at: float | None = None
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    number: int = -1
    is_open: bool = False
    opens: int = 0
    polling: bool = False
    sentinels: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._note(self.headers)
        self.credentials |= query_credentials(self.url, self.user)
        if self.fresh_token is not None:
            self.fresh_token = self._noting(self.fresh_token)

    def attempt(self, last_event_id: str | None = None) -> None:
        """A request is about to be made, with this Last-Event-ID header (None: without)."""
        self.number += 1
        self._record("attempt", last_event_id=last_event_id)

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """A response head came."""
        _demand("response", status, int, "the status as int, 200 for one")
        self._record("response", status=status, headers=redact_headers(headers.items(), self.user))

    def opened(self) -> None:
        """The stream is announced as open."""
        if self.number < 0:
            self.number = 0
        self.is_open, self.polling = True, False
        self.opens += 1
        self._record("open")

    def polled(self, status: int | None, events: int = 0) -> None:
        """A poll in place of the stream was answered (None: it was not) with so many events, which are told next."""
        self.polling = status == 200
        self._record("poll", status=status, events=events)

    def event(self, *, id: str, type: str, data: str, via: Literal["stream", "poll"] = "stream") -> None:
        """An event was dispatched."""
        for one in (id, type, data):
            _demand("event", one, str, "id, type and data as str")
        told = testevent.read(data)
        way: dict[str, Any] = {} if via == "stream" else {"via": via}
        way |= {"lines": data.count("\n") + 1} if "\n" in data else {}
        if told is None:
            self._record("event", id=id, type=type, data=data[:LONGEST_TEXT], size=len(data), **way)
        else:
            self._record(
                "event", id=id, type=type, channel=told.channel, owner=told.owner, epoch=told.epoch,
                seq=told.seq, at=told.at, intact=told.intact, digest=told.digest,
                **({"body": told.body} if len(data) <= LONGEST_TEXT * 4 else {"size": len(data)}),
                **({} if told.exact else {"data": data[: LONGEST_TEXT * 4], "size": len(data)}), **way,
            )  # fmt: skip
            if type == "sentinel" and told.intact:
                self.sentinels.add(told.digest)

    def comment(self, text: str) -> None:
        self._record("comment", text=text[:LONGEST_TEXT])

    def stirred(self) -> None:
        """Bytes broke a silence, and there is nothing else to tell of them."""
        self._record("stirred")

    def retry(self, retry_ms: int) -> None:
        _demand("retry", retry_ms, int, "milliseconds as int")
        self._record("retry", retry_ms=retry_ms)

    def id_only(self, id: str) -> None:
        """A block without data set the last event ID."""
        self._record("id", id=id[:LONGEST_TEXT])

    def ignored(self, line: bytes, reason: str) -> None:
        """A line was ignored as the standard demands (unknown field, NUL in an id, retry that is no number ...)."""
        self._record("ignored", line=line[:LONGEST_TEXT].decode("utf-8", "backslashreplace"), reason=reason)

    def error(self, reason: str) -> None:
        """The error signal that a user of this client would get."""
        self._record("error", reason=self.plain(reason))

    def ended(self, reason: str, **counts: int) -> None:
        """A connection ended; `counts` may carry bytes, torn (bytes of an unfinished block), invalid_utf8."""
        self.is_open = False
        self._record("end", reason=self.plain(reason), **counts)

    def waiting(self, delay: float, reason: str) -> None:
        """The next attempt will be made after `delay` seconds."""
        _demand("waiting", delay, int | float, "seconds as a number")
        self._record("wait", delay=delay, reason=self.plain(reason))

    def state(self, state: str, reason: str = "") -> None:
        self._record("state", state=state, reason=self.plain(reason))

    def plain(self, reason: str) -> str:
        """A reason without tokens: an exception's text may carry the URL or the headers, and those a token."""
        return redact_url(hidden(reason, self.credentials), self.user)[:LONGEST_TEXT]

    def _noting(self, fresh: Callable[[], Awaitable[Mapping[str, str]]]) -> Callable[[], Awaitable[Mapping[str, str]]]:
        async def noted() -> Mapping[str, str]:
            headers = await fresh()
            self._note(headers)
            self._record("token")
            return headers

        return noted

    def _note(self, headers: Mapping[str, str]) -> None:
        self.credentials |= header_credentials(headers, self.user)

    def _record(self, what: str, **data: Any) -> None:
        if what in OF_AN_ATTEMPT:
            data["attempt"] = self.number
        if not data.get("intact") or "data" in data:  # any other test event is what we have published ourselves
            data = hidden(data, self.credentials)
        self.writer.write(f"sub.{what}", t=self.at, sub=self.sub, **data)


def _demand(method: str, value: object, kind: Any, wanted: str) -> None:
    """Raises TypeError, into the client's code, for what no check could read."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"session.{method}() takes {wanted}, not {value!r:.80}")


class Client(Protocol):
    """What a client module offers."""

    CAPABILITIES: frozenset[str]

    async def subscribe(self, session: Session) -> None: ...
