"""The reconnecting SSE client as a state machine: no socket, no clock, no randomness of its own.

Theory of operation
-------------------
A driver owns the transport and the clock. It calls an input method with `now` (monotonic seconds, never falling) and
carries out the list that it gets back, in order: actions (`Connect`, `Disconnect`, `RefreshToken`) and notices (all
others). When `deadline()` has come it calls `tick`. There is at most one transport: `Connect` asks for one; it is
gone with `ended` or `Disconnect`, and nothing of it may be handed in afterwards. Inputs that the state has no use for
give []. A driver whose user closes the subscriber while a list is carried out drops the rest of that list.

* `_move` is the only place where the state changes; it holds the table and disarms the timer (`_until`).
* `_lose` reestablishes the connection, `_fail` fails it: the standard's two ways out. Both drop the transport.
* `_resume_at` is the earliest time of the next attempt. It outlives OFFLINE: going offline is no way around a wait.
* Decoder and OPEN go together: a decoder reads one connection. The last event ID and the reconnection time are the
  subscriber's. Failures count connections lost since the last one that stayed open for `stable_after`.

A subclass that replaces `_delay`, `_last_event_id`, `_on_status`, `_on_content_type` or `_decoder_for` is another
client: the bad ones of the selftest are made so.
"""

import enum
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias, assert_never

from harness import retryafter
from harness.errors import HarnessError
from harness.eventstream import DEFAULT_LIMIT, Comment, Decoder, Event, IdOnly, Ignored, Item, Overflow, Retry

Policy: TypeAlias = Literal["spec", "resilient"]

SILENT: Final = 0.05  # seconds; bytes of which there is nothing to tell are no news so soon after others
_BEYOND: Final = frozenset({"backoff", "jitter", "heartbeat-deadline", "comments", "offline"})
CAPABILITIES: Final[Mapping[Policy, frozenset[str]]] = {
    "spec": _BEYOND,
    "resilient": _BEYOND | {"status-retry", "retry-after", "token-refresh"},
}


class State(enum.Enum):
    """Where a subscriber is between two inputs."""

    CONNECTING = "connecting"  # a request is to be sent or under way, or waits for its new token
    OPEN = "open"
    WAITING = "waiting"  # for the next attempt
    OFFLINE = "offline"  # for the network
    CLOSED = "closed"  # by the user
    FAILED = "failed"  # for good


TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    State.CONNECTING: frozenset({State.OPEN, State.WAITING, State.OFFLINE, State.CLOSED, State.FAILED}),
    State.OPEN: frozenset({State.WAITING, State.OFFLINE, State.CLOSED, State.FAILED}),
    State.WAITING: frozenset({State.CONNECTING, State.OFFLINE, State.CLOSED}),
    State.OFFLINE: frozenset({State.CONNECTING, State.WAITING, State.CLOSED}),
    State.CLOSED: frozenset(),
    State.FAILED: frozenset(),
}

READY_STATE: Final[Mapping[State, int]] = {
    State.CONNECTING: 0, State.WAITING: 0, State.OFFLINE: 0, State.OPEN: 1, State.CLOSED: 2, State.FAILED: 2,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a subscriber behaves; seconds as float. Raises HarnessError for what makes no sense.

    reconnection_time: in force until the server sends `retry`, which is obeyed up to max_reconnection_time (the
    longest that a 32-bit timer of milliseconds holds). backoff_base, backoff_cap, jitter: see `Subscriber._delay`.
    stable_after: a connection that was open for so long forgets earlier failures. heartbeat_deadline: the longest
    silence on an open stream, None = any. connect_timeout: the same for a response head, and for a new token.
    max_retry_after: Retry-After is obeyed up to it. event_limit: bytes of one event.
    """

    policy: Policy = "resilient"
    reconnection_time: float = 3.0
    max_reconnection_time: float = (2**31 - 1) / 1000
    backoff_base: float = 1.0
    backoff_cap: float = 30.0
    jitter: bool = True
    stable_after: float = 10.0
    heartbeat_deadline: float | None = None
    connect_timeout: float | None = 30.0
    max_retry_after: float = 3600.0
    event_limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        if self.policy not in CAPABILITIES:
            raise HarnessError(f"subscriber option policy is {self.policy!r}; use one of {', '.join(CAPABILITIES)}")
        for name in ("reconnection_time", "max_reconnection_time", "backoff_base", "backoff_cap", "stable_after",
                     "max_retry_after"):  # fmt: skip
            if not 0 <= getattr(self, name) < math.inf:
                raise HarnessError(f"subscriber option {name} is {getattr(self, name)}; give seconds, 0 or more")
        for name in ("heartbeat_deadline", "connect_timeout", "event_limit"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise HarnessError(f"subscriber option {name} is {value}; give a number above 0")


class Rng(Protocol):
    """What is used of `random.Random`: floats in [0, 1)."""

    def random(self) -> float: ...


# fmt: off
@dataclass(frozen=True, slots=True)
class Connect:
    """Send the request, following redirects: attempts are numbered from 0; `headers` are bytes as on the wire."""
    attempt: int
    headers: Mapping[str, bytes]

@dataclass(frozen=True, slots=True)
class Disconnect:
    """Drop the transport now, whatever its state."""
    reason: str

@dataclass(frozen=True, slots=True)
class RefreshToken:
    """Get a new token, then call `token_refreshed`, or `ended` if there is none."""

@dataclass(frozen=True, slots=True)
class Changed:
    """The state is another one now."""
    state: State
    reason: str

@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is announced as open."""
    attempt: int

@dataclass(frozen=True, slots=True)
class Dispatch:
    """An event for the user."""
    event: Event

@dataclass(frozen=True, slots=True)
class Heard:
    """A comment, which is what a heartbeat usually is."""
    comment: str

@dataclass(frozen=True, slots=True)
class Stirred:
    """Bytes broke a silence, and there is nothing else to tell of them: a part of a block, or an empty one."""

@dataclass(frozen=True, slots=True)
class Told:
    """The server set the reconnection time."""
    retry_ms: int

@dataclass(frozen=True, slots=True)
class IdCommitted:
    """A block without data set the last event ID."""
    id: str

@dataclass(frozen=True, slots=True)
class Skipped:
    """A line was ignored, as the standard demands."""
    ignored: Ignored

@dataclass(frozen=True, slots=True)
class Withheld:
    """The next request goes without Last-Event-ID: this one cannot stand in a header."""
    id: str

@dataclass(frozen=True, slots=True)
class Ended:
    """The transport of an attempt is gone; `torn`: an unfinished block was discarded with it."""
    reason: str
    torn: bool
    invalid_utf8: int

@dataclass(frozen=True, slots=True)
class Error:
    """The error signal for the user: the connection is going to be reestablished."""
    reason: str

@dataclass(frozen=True, slots=True)
class Waiting:
    """The next attempt comes after `delay` seconds."""
    delay: float
    reason: str

@dataclass(frozen=True, slots=True)
class Failed:
    """The error signal for the user: it is over, for good."""
    reason: str

@dataclass(frozen=True, slots=True)
class Closed:
    """The user's close has been carried out; nothing follows."""

Action: TypeAlias = Connect | Disconnect | RefreshToken
Notice: TypeAlias = (Changed | Opened | Dispatch | Heard | Stirred | Told | IdCommitted | Skipped | Withheld | Ended
                     | Error | Waiting | Failed | Closed)
Output: TypeAlias = Action | Notice
# fmt: on


class Subscriber:
    """One client-side party over all its connection attempts.

    `state`, `last_event_id`, `reconnection_time` (seconds) and `attempts` (how many were begun) are for reading.
    """

    __slots__ = ("_decoder", "_failures", "_live", "_noticed_at", "_opened_at", "_refreshed", "_resume_at", "_rng",
                 "_until", "attempts", "last_event_id", "options", "reconnection_time", "state")  # fmt: skip

    def __init__(self, options: Options, *, rng: Rng, last_event_id: str = "") -> None:
        self.options = options
        self.state = State.CONNECTING
        self.last_event_id = last_event_id
        self.reconnection_time = options.reconnection_time
        self.attempts = 0
        self._rng = rng
        self._decoder: Decoder | None = None  # of the open connection
        self._live = False  # there is a transport
        self._refreshed = False  # the last answer was a 401, and a new token was asked for
        self._failures = 0
        self._opened_at = 0.0
        self._noticed_at = -math.inf  # when the latest bytes came of which there was something to tell
        self._resume_at = -math.inf
        self._until: float | None = None

    @property
    def ready_state(self) -> int:
        """What the state is to the outside: 0 connecting, 1 open, 2 closed."""
        return READY_STATE[self.state]

    def deadline(self) -> float | None:
        """When `tick` is wanted next, on the clock of `now`; None = only after another input."""
        return self._until

    # What the user and the machine do

    def start(self, now: float) -> list[Output]:
        """Begin the first attempt; when offline, `online` will."""
        return self._connect(now, "start") if self.state is State.CONNECTING and not self.attempts else []

    def close(self, now: float) -> list[Output]:
        """End it from any state; whatever comes later gives nothing."""
        if State.CLOSED not in TRANSITIONS[self.state]:
            return []
        return [*self._drop(now, "close"), self._move(State.CLOSED, "close"), Closed()]

    def offline(self, now: float) -> list[Output]:
        """The network is known to be gone: no attempt until `online`."""
        if State.OFFLINE not in TRANSITIONS[self.state]:
            return []
        if not self._live:
            # A token that was being fetched did not arrive, so the next 401 may ask again.
            self._refreshed = self._refreshed and not self._refreshing
            return [self._move(State.OFFLINE, "offline")]
        # This is no failure of the server's: it costs the reconnection time, and no backoff.
        self._resume_at = _after(now, self.reconnection_time)
        return [*self._drop(now, "offline"), self._move(State.OFFLINE, "offline"), Error("offline")]

    def online(self, now: float) -> list[Output]:
        """The network is back: attempt at once, or after what is left of the wait."""
        if self.state is not State.OFFLINE:
            return []
        if now >= self._resume_at:
            return self._connect(now, "online")
        changed = self._move(State.WAITING, "online")
        self._until = self._resume_at
        return [changed, Waiting(self._resume_at - now, "online")]

    def token_refreshed(self, now: float) -> list[Output]:
        """The token that `RefreshToken` asked for is there: retry at once."""
        return self._connect(now, "token refreshed") if self._refreshing else []

    # What the transport says

    def connected(self, now: float, status: int, headers: Mapping[str, str]) -> list[Output]:
        """A response head came; 1xx is no answer yet. Names of headers in any case."""
        if not (self._live and self.state is State.CONNECTING) or status < 200:
            return []
        return self._on_status(now, status, headers)

    def received(self, now: float, data: bytes) -> list[Output]:
        """Bytes of the body came, without transfer and content coding."""
        # "None of the bytes of a failed response is dispatched": there is a decoder only while OPEN.
        if self._decoder is None or not data:
            return []
        self._arm(now, self.options.heartbeat_deadline)
        outputs = self._deliver(now, self._decoder.feed(data))
        if not outputs and now - self._noticed_at >= SILENT:
            outputs.append(Stirred())
        if outputs:
            self._noticed_at = now
        return outputs

    def ended(self, now: float, reason: str) -> list[Output]:
        """The network ended it: EOF, reset, refused, timed out; or there is no new token."""
        return self._lose(now, reason, ours=False) if self._live or self._refreshing else []

    def tick(self, now: float) -> list[Output]:
        """The time of `deadline()` has come; earlier calls give nothing."""
        if self._until is None or now < self._until:
            return []
        if self.state is State.WAITING:
            return self._connect(now, "reconnect")
        if self.state is State.OPEN:
            return self._lose(now, f"nothing heard for {self.options.heartbeat_deadline} s")
        missing = "response head" if self._live else "new token"
        return self._lose(now, f"no {missing} within {self.options.connect_timeout} s")

    # The law

    def _on_status(self, now: float, status: int, headers: Mapping[str, str]) -> list[Output]:
        """Judge a final response head: open, fail, or (declared: status-retry) try again."""
        reason, first = f"status {status}", not self._refreshed
        self._refreshed = status == 401
        if status == 200:
            return self._on_content_type(now, _header(headers, "content-type"))
        # "if res's status is not 200 [...] then fail the connection": redirects were followed, 204 stops as well.
        if self.options.policy == "spec":
            return self._fail(now, reason)
        if status == 401 and first:
            self._arm(now, self.options.connect_timeout)
            return [*self._drop(now, reason), RefreshToken()]
        if status == 429 or 500 <= status <= 599:
            return self._lose(now, reason, floor=self._asked(headers))
        return self._fail(now, reason)

    def _asked(self, headers: Mapping[str, str]) -> float:
        """Seconds for which the server asks this client to stay away."""
        both = {name: _header(headers, name) for name in ("retry-after", "date")}
        return min(retryafter.seconds(both) or 0.0, self.options.max_retry_after)

    def _on_content_type(self, now: float, value: str) -> list[Output]:
        # "or if res's `Content-Type` is not `text/event-stream`, then fail the connection"
        if _essence(value) != "text/event-stream":
            return self._fail(now, f"content type {value[:80]!r}")
        self._decoder = self._decoder_for(self.last_event_id)
        self._opened_at = now
        changed = self._move(State.OPEN, "status 200")
        self._arm(now, self.options.heartbeat_deadline)
        return [changed, Opened(self.attempts - 1)]

    def _delay(self, floor: float) -> float:
        """Seconds from a loss to the next attempt: `floor` plus exponential backoff with full jitter and a cap."""
        # "This must wait [...] at least as long as the reconnection time [...] and may wait longer."
        longest = min(self.options.backoff_cap, self.options.backoff_base * 2.0 ** min(self._failures, 64))
        return floor + longest * (self._rng.random() if self.options.jitter else 1.0)

    def _last_event_id(self) -> str:
        """The last event ID to resume from; '' = none."""
        return self.last_event_id

    def _decoder_for(self, last_event_id: str) -> Decoder:
        """The decoder of one connection."""
        return Decoder(limit=self.options.event_limit, last_event_id=last_event_id)

    # The steps

    @property
    def _refreshing(self) -> bool:
        return self.state is State.CONNECTING and not self._live and self.attempts > 0

    def _move(self, state: State, reason: str) -> Changed:
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"no transition from {self.state.name} to {state.name}")
        self.state = state
        self._until = None
        return Changed(state, reason)

    def _arm(self, now: float, seconds: float | None) -> None:
        self._until = None if seconds is None else _after(now, seconds)

    def _connect(self, now: float, reason: str) -> list[Output]:
        outputs: list[Output] = [] if self.state is State.CONNECTING else [self._move(State.CONNECTING, reason)]
        self._live = True
        self._arm(now, self.options.connect_timeout)
        headers = {"Accept": b"text/event-stream", "Cache-Control": b"no-cache"}
        if last_event_id := self._last_event_id():
            value = _header_value(last_event_id)
            if value is None:
                outputs.append(Withheld(last_event_id))
            else:
                headers["Last-Event-ID"] = value
        self.attempts += 1
        return [*outputs, Connect(self.attempts - 1, headers)]

    def _deliver(self, now: float, items: Iterable[Item]) -> list[Output]:
        outputs: list[Output] = []
        for item in items:
            match item:
                case Event():
                    self.last_event_id = item.id
                    outputs.append(Dispatch(item))
                case Comment():
                    outputs.append(Heard(item.text))
                case IdOnly():
                    self.last_event_id = item.id
                    outputs.append(IdCommitted(item.id))
                case Retry():
                    self.reconnection_time = min(item.retry_ms / 1000, self.options.max_reconnection_time)
                    outputs.append(Told(item.retry_ms))
                case Ignored():
                    outputs.append(Skipped(item))
                case Overflow():
                    return outputs + self._fail(now, f"event larger than {self.options.event_limit} bytes")
                case _:
                    assert_never(item)
        return outputs

    def _drop(self, now: float, reason: str, *, ours: bool = True) -> list[Output]:
        """The transport is gone: by us, or (not `ours`) by itself."""
        if not self._live:
            return []
        torn, invalid_utf8 = False, 0
        if self._decoder is not None:
            if now - self._opened_at >= self.options.stable_after:
                self._failures = 0
            torn, invalid_utf8 = self._decoder.pending, self._decoder.invalid_utf8
        self._live, self._decoder = False, None
        ended = Ended(reason, torn, invalid_utf8)
        return [Disconnect(reason), ended] if ours else [ended]

    def _lose(self, now: float, reason: str, *, floor: float = 0.0, ours: bool = True) -> list[Output]:
        """Reestablish the connection, not before `floor` seconds."""
        dropped = self._drop(now, reason, ours=ours)
        delay = self._delay(max(floor, self.reconnection_time))
        self._failures += 1
        changed = self._move(State.WAITING, reason)
        self._resume_at = self._until = _after(now, delay)
        return [*dropped, changed, Error(reason), Waiting(delay, reason)]

    def _fail(self, now: float, reason: str) -> list[Output]:
        """Fail the connection: "once the user agent has failed the connection, it does not attempt to reconnect"."""
        return [*self._drop(now, reason), self._move(State.FAILED, reason), Failed(reason)]


def _after(now: float, seconds: float) -> float:
    """The first float time by which `seconds` have passed since `now`, also when one subtracts."""
    time = now + seconds
    return time if time - now >= seconds else math.nextafter(time, math.inf)


def _header(headers: Mapping[str, str], name: str) -> str:
    return ", ".join(value for key, value in headers.items() if key.lower() == name)


_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_MIME_TYPE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _essence(content_type: str) -> str:
    """The essence of the last valid MIME type in a Content-Type, lower case, '' if there is none (Fetch 3.5)."""
    essence = ""
    for value in _QUOTED.sub('"', content_type).split(","):
        candidate = value.partition(";")[0].strip("\t\n\r ")
        if _MIME_TYPE.fullmatch(candidate) and candidate != "*/*":
            essence = candidate.lower()
    return essence


# Of the controls only HTAB may stand in a field value (RFC 9110, 5.5); a lone surrogate has no UTF-8.
_UNSENDABLE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def _header_value(last_event_id: str) -> bytes | None:
    """The last event ID as UTF-8 for a header, without blanks around it; None if it cannot be sent."""
    value = last_event_id.strip("\t\n\r ")
    return None if _UNSENDABLE.search(value) else value.encode()
