"""Connection attempts: what every subscriber requested, what came of it and how it ended, from all vantage points.

Theory.  A client that records its attempts is followed attempt by attempt; of one that does not, each request which
the server says it got from this subscriber is an attempt; of one seen by neither, each opening is.  A request that
the server saw belongs to the attempt that was current then, and what it says goes before the client's own words: a
client that is wrong about itself is what is judged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from harness.history import History, Record

REDIRECTS: Final = (301, 302, 303, 307, 308)
MOST_REDIRECTS: Final = 20
LONGEST_RETRY_MS: Final = 10**15  # a client may say what it read, however many digits it had
_SOUNDS: Final = ("sub.attempt", "sub.open", "sub.event", "sub.run")  # what nobody may hear of after close()


@dataclass(slots=True)
class Conn:
    """One request as the server saw it; `carries` credentials of any kind or does not, `accept` None for no header."""

    conn: Any
    t: float
    user: str | None
    last_event_id: str | None
    carries: bool = False
    method: str = "GET"
    accept: str | None = None
    status: int | None = None
    t_response: float | None = None
    t_end: float | None = None
    by: str = ""
    how: str = ""
    sent: list[Record] = field(default_factory=list)


@dataclass(slots=True)
class Attempt:
    """One connection attempt: times in seconds of the run's clock, None for what never happened or nobody saw.

    `t_end` is the earliest sign of its end that client gave; `source` says who told of the attempt.
    `conns` are the requests that the server got for it (none, one, or several after a redirect).
    """

    sub: str
    number: int
    t_request: float
    last_event_id: str | None
    source: Literal["client", "server", "open"]
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    t_response: float | None = None
    t_open: float | None = None
    t_end: float | None = None
    end_reason: str = ""
    t_wait: float | None = None
    delay: float | None = None
    invalid_utf8: int = 0
    over: bool = False
    conns: list[Conn] = field(default_factory=list)
    seen: list[Record] = field(default_factory=list)
    retry: float | None = None

    @property
    def header(self) -> str | None:
        """The Last-Event-ID that was sent: as it arrived at the server, else as the client says."""
        return self.conns[-1].last_event_id if self.conns else self.last_event_id

    @property
    def came_as(self) -> str | None:
        """The user of whom the server says that it asked; None where nobody tells, or for none."""
        return self.conns[-1].user if self.conns else None

    @property
    def t_last(self) -> float | None:
        """When the client last got anything on this stream."""
        return self.seen[-1].t if self.seen else self.t_open

    @property
    def told_end(self) -> float | None:
        """The earliest moment at which anybody says that this attempt was over."""
        # What answered with a redirect ends before the attempt does.
        ends = [one.t_end for one in self.conns[-1:] if one.t_end is not None]
        known = [t for t in (self.t_end, self.t_wait, *ends) if t is not None]
        return min(known, default=None)

    @property
    def answer(self) -> int | None:
        """The status of its response: as the client says, else as the server does."""
        return self.status if self.status is not None or not self.conns else self.conns[-1].status

    @property
    def fatal(self) -> bool:
        """Whether the standard says that a client stops after this response."""
        if self.status is None:
            return False
        if 300 <= self.status < 400:
            # A redirect that leads nowhere; where no headers were seen the client gets the doubt.
            return bool(self.headers) and "location" not in self.headers
        return self.status != 200 or not is_event_stream(self.headers)


@dataclass(slots=True)
class Life:
    """One subscriber over all its attempts; `polls` in their place, and the events `polled`, belong to none of them.

    One that `borrows` listens to a connection which is a subscriber of its own: it occupies no slot.
    """

    sub: str
    user: str
    t_start: float
    ttl: float | None = None
    borrows: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    t_close: float | None = None
    t_closed: float | None = None
    closed_reason: str = ""
    crashed: bool = False
    stuck: bool = False
    after: list[Record] = field(default_factory=list)
    polls: list[Record] = field(default_factory=list)
    polled: list[Record] = field(default_factory=list)

    def anew(self, number: int) -> bool:
        """Whether an attempt (by its place) begins a subscription: the first one, or polling stood in before it."""
        if number == 0:
            return True
        since, until = self.attempts[number - 1].t_request, self.attempts[number].t_request
        return any(since <= one.t <= until for one in self.polls)

    @property
    def first_open(self) -> float | None:
        return next((one.t_open for one in self.attempts if one.t_open is not None), None)

    @property
    def left(self) -> bool:
        """Whether this subscriber ended by itself, before anybody closed it."""
        return self.t_closed is not None and (self.t_close is None or self.t_closed < self.t_close)

    @property
    def gone(self) -> float | None:
        """When this subscriber was closed or had given up, whichever came first."""
        return min((t for t in (self.t_close, self.t_closed) if t is not None), default=None)


def is_event_stream(headers: dict[str, str]) -> bool:
    """Whether the content type's essence is text/event-stream; a client that shows no headers gets the doubt."""
    if not headers:
        return True
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"


def _carries(request: Record) -> bool:
    return bool({"authorization", "cookie"} & request["headers"].keys()) or "access_token=" in str(request["path"])


def _redirected(one: Attempt) -> bool:
    """Whether what follows is the same attempt, at another place."""
    return one.status in REDIRECTS and "location" in one.headers and len(one.conns) <= MOST_REDIRECTS


def lives(history: History) -> dict[str, Life]:
    """Every subscriber of the history by name."""
    return history.memo("attempts.lives", _fold)


def attempts(history: History) -> list[Attempt]:
    """All attempts of all subscribers, by subscriber and time."""
    return [one for life in lives(history).values() for one in life.attempts]


def streams(history: History) -> list[Attempt]:
    """The attempts that became an open stream."""
    return [one for one in attempts(history) if one.t_open is not None]


def pairs(life: Life) -> Iterable[tuple[Attempt, Attempt]]:
    """Each attempt with the one after it."""
    return zip(life.attempts, life.attempts[1:], strict=False)


def _fold(history: History) -> dict[str, Life]:
    fold = _Fold({str(record["sub"]) for record in history.of("sub.attempt")})
    for record in history:
        if record.kind.startswith("sub."):
            fold.client(record)
        elif record.kind.startswith("conn."):
            fold.server(record)
    return fold.lives


class _Fold:
    """Follows each subscriber through the records in the order of time."""

    def __init__(self, tell: set[str]) -> None:
        self.lives: dict[str, Life] = {}
        self._tell = tell  # subscribers whose client records its attempts
        self._conns: dict[Any, Conn] = {}
        self._subs: dict[Any, str] = {}

    def client(self, record: Record) -> None:
        sub = str(record["sub"])
        life = self.lives.setdefault(sub, Life(sub, str(record.get("user", "")), record.t))
        if life.gone is not None and record.kind in _SOUNDS:
            life.after.append(record)
        match record.kind:
            case "sub.start":
                life.user = str(record["user"])
                ttl = record.get("ttl", (record["options"] or {}).get("ttl"))
                life.ttl = None if ttl is None else float(ttl)
                life.borrows = bool((record["options"] or {}).get("shared")) and not record.get("shared")
            case "sub.close":
                life.t_close = record.t if life.t_close is None else life.t_close
            case "sub.closed":
                life.t_closed, life.closed_reason = record.t, str(record["reason"])
                life.crashed, life.stuck = bool(record.get("crashed")), bool(record.get("stuck"))
            case "sub.attempt":
                number, header = int(record["attempt"]), record["last_event_id"]
                life.attempts.append(Attempt(sub, number, record.t, header, "client"))
            case "sub.open":
                self._open(life, record)
            case "sub.state" | "sub.token":
                pass
            case "sub.poll":
                life.polls.append(record)
            case "sub.event" if record.get("via") == "poll":
                life.polled.append(record)
            case _ if life.attempts:
                self._during(life, life.attempts[-1], record)
            case _:
                pass

    @staticmethod
    def _open(life: Life, record: Record) -> None:
        if not life.attempts or life.attempts[-1].t_open is not None:
            life.attempts.append(Attempt(life.sub, len(life.attempts), record.t, None, "open"))
        current = life.attempts[-1]
        current.t_open = record.t
        current.status = 200 if current.status is None else current.status

    @staticmethod
    def _during(life: Life, current: Attempt, record: Record) -> None:
        match record.kind:
            case "sub.response":
                current.status, current.t_response = int(record["status"]), record.t
                current.headers = dict(record["headers"])
            case "sub.end" | "sub.error":
                if current.t_end is None:
                    current.t_end, current.end_reason = record.t, str(record["reason"])
                current.invalid_utf8 += int(record.get("invalid_utf8", 0))
                current.over = current.over or record.kind == "sub.end"
            case "sub.wait":
                current.t_wait, current.delay = record.t, float(record["delay"])
            case _:
                current.seen.append(record)
                if not current.over:
                    current.t_end = None  # the error was of an attempt before
                if record.kind == "sub.retry":
                    current.retry = min(record["retry_ms"], LONGEST_RETRY_MS) / 1000

    def server(self, record: Record) -> None:
        if record.kind == "conn.request":
            self._request(record)
        elif record["conn"] in self._conns:
            self._answer(self._conns[record["conn"]], record)

    def _request(self, record: Record) -> None:
        sub = record.get("sub")
        if sub is None:
            return
        sub = str(sub)
        life = self.lives.setdefault(sub, Life(sub, str(record["user"] or ""), record.t))
        if not life.attempts or (sub not in self._tell and not _redirected(life.attempts[-1])):
            header = record["last_event_id"]
            life.attempts.append(Attempt(sub, len(life.attempts), record.t, header, "server"))
        one = Conn(
            record["conn"], record.t, record["user"], record["last_event_id"], _carries(record),
            str(record["method"]), record["headers"].get("accept"),
        )  # fmt: skip
        life.attempts[-1].conns.append(one)
        self._conns[record["conn"]], self._subs[record["conn"]] = one, sub

    def _answer(self, conn: Conn, record: Record) -> None:
        match record.kind:
            case "conn.response":
                conn.status, conn.t_response = int(record["status"]), record.t
                self._believe(conn, record)
            case "conn.sent":
                conn.sent.append(record)
            case "conn.end":
                conn.t_end, conn.by, conn.how = record.t, str(record["by"]), str(record["how"])
            case _:
                pass

    def _believe(self, conn: Conn, record: Record) -> None:
        """Fill in what a client that does not record its attempts cannot tell."""
        sub = self._subs[conn.conn]
        current = self.lives[sub].attempts[-1]
        first = current.t_response is None or current.status in REDIRECTS
        if sub not in self._tell and current.conns[-1] is conn and first:
            current.status, current.t_response = conn.status, record.t
            current.headers = {str(name).lower(): str(value) for name, value in dict(record["headers"]).items()}
