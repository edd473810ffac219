"""The subscribers of one locust process (standalone or worker) in one run, and what they write down.

Theory.  A station is made from the master's order and lives until the master says close.  Each Locust user runs one
subscriber in its own greenlet, for the user's life; the station names it, gives it a pass and records its end.  Two
greenlets stand beside the users: the ticker that records this process's lag, and the reporter that hands counts to
Locust four times a second and ends the runs of the summary once a second.
"""

import itertools
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode, urlsplit, urlunsplit

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.exception import StopUser

from harness.clients import Session
from harness.history import Writer
from harness.load.clock import Clock
from harness.load.figures import report
from harness.load.lag import record_lag
from harness.load.recorder import Recorder, Sink
from harness.load.transport import Engine, Sockets
from harness.redaction import redact_url
from harness.subscriber import Options
from harness.target import Promises
from harness.testevent import ALL, channel_of

REPORT: Final = 0.25
CLOSE_WITHIN: Final = 5.0
MOST_USERS: Final = 5000  # of one process; beside the cap on the run this holds where users are added by hand
MOST_NAMES: Final = 1000
KNOWN: Final = frozenset(one.name for one in fields(Options))
Admit = Callable[[str], Mapping[str, str] | None]


@dataclass(frozen=True, slots=True)
class Order:
    """What the master tells its workers of a run; it travels as a plain mapping.

    passes: user, headers and query of those who may subscribe; this process takes every `of`-th from `index` on.
    offset: the master's wall clock minus its monotonic clock, in seconds.
    """

    run: str
    url: str
    passes: list[Mapping[str, Any]] = field(repr=False)  # whoever raises is printed with its arguments
    options: Mapping[str, Any]
    promises: Mapping[str, Any]
    offset: float
    seed: int = 1
    tagged: bool = False
    ca_file: str | None = None
    index: int = 0
    of: int = 1


@dataclass(slots=True)
class Member:
    """One subscriber and the greenlet that runs it."""

    session: Session
    greenlet: gevent.Greenlet
    closing: bool = False


@dataclass(slots=True)
class Station:
    """This process's part of a run. `admit` gets fresh headers of a user; `clock`: this process's."""

    order: Order
    sink: Sink
    environment: Environment
    admit: Admit
    clock: Clock = field(default_factory=Clock)
    recorder: Recorder = field(init=False)
    engine: Engine = field(init=False)
    members: dict[str, Member] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    beside: list[gevent.Greenlet] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        order = self.order
        promises = Promises.of({"promises": order.promises})
        self.recorder = Recorder(self.sink, time.monotonic, promises, order.offset + self.clock.shift)
        self.engine = Sockets(_tls(order))

    def start(self) -> None:
        """Begin to record lag and to report."""
        self.beside = [gevent.spawn(record_lag, self.sink), gevent.spawn(self._report)]

    def subscribe(self) -> None:
        """One subscriber in this greenlet, for the rest of its life; raises StopUser where there can be none."""
        number = next(self.numbers)
        if self.closed or number >= MOST_USERS:
            raise StopUser
        session = self._session(number)
        member = Member(session, gevent.getcurrent())
        self.members[session.sub] = member
        self._write("sub.start", session, user=session.user, url=redact_url(session.url, session.user),
                    options=dict(self.order.options))  # fmt: skip
        try:
            self.engine.run(
                session, _options(self.order.options),
                refresh=lambda: self.admit(session.user), closing=lambda: self._closing(member),
            )  # fmt: skip
            self._write("sub.closed", session, reason="gave up")
        except gevent.GreenletExit:
            self._write("sub.closed", session, reason="close()")
            raise
        except Exception as exc:
            reason = session.plain(f"raised {type(exc).__name__}: {exc}")
            self._write("sub.closed", session, reason=reason, crashed=True)
            raise
        finally:
            session.is_open = False
            del self.members[session.sub]
        Event().wait()  # it gave up for good: what remains of the user's life is silence

    def census(self, seconds: float) -> dict[str, Any]:
        """Who is here, after waiting at most so long until everybody is open."""
        _until(lambda: all(one.session.is_open for one in self.members.values()), seconds)
        return {"alive": [[name, one.session.user] for name, one in self.members.items()]}

    def drain(self, digests: Mapping[str, str], seconds: float) -> dict[str, Any]:
        """Who has not dispatched the sentinel of each of its channels within so many seconds."""

        def missing() -> list[str]:
            return [
                name for name, one in self.members.items()
                if not {digests.get(ALL), digests.get(channel_of(one.session.user))} <= one.session.sentinels
            ]  # fmt: skip

        _until(lambda: not missing(), seconds)
        left = missing()
        return {"missing": left[:MOST_NAMES], "count": len(left)}

    def close(self) -> dict[str, Any]:
        """Close every subscriber and stop recording; the latencies of the whole run, by bucket."""
        self.closed = True
        members = list(self.members.values())
        for one in members:
            self._closing(one)
        gevent.killall([one.greenlet for one in members], block=True, timeout=CLOSE_WITHIN)
        gevent.killall(self.beside, block=True)
        self.recorder.flush()
        report(self.environment, self.recorder.tally)
        self.sink.close()
        total = self.recorder.tally.total
        return {"buckets": [list(pair) for pair in total.counts.items()], "highest": total.highest}

    def _closing(self, member: Member) -> None:
        if not member.closing:
            member.closing = True
            member.session.at = time.monotonic()
            self._write("sub.close", member.session, was_open=member.session.is_open)

    def _session(self, number: int) -> Session:
        order = self.order
        mine = order.passes[order.index % order.of :: order.of] or order.passes
        admitted = mine[number % len(mine)]
        sub = f"w{order.index}-{number}"
        return Session(
            sub=sub, user=admitted["user"], url=_url(order, admitted["query"], sub), headers=admitted["headers"],
            writer=cast(Writer, self.recorder), options=order.options, rng=random.Random(f"{order.seed}/{sub}"),
        )  # fmt: skip

    def _write(self, kind: str, session: Session, **data: Any) -> None:
        self.recorder.write(kind, sub=session.sub, **data)

    def _report(self) -> None:
        for turn in itertools.count(1):
            gevent.sleep(REPORT)
            report(self.environment, self.recorder.tally)
            if turn % 4 == 0:
                self.recorder.flush()


def _options(given: Mapping[str, Any]) -> Options:
    return Options(**{name: value for name, value in given.items() if name in KNOWN})


def _url(order: Order, query: str, sub: str) -> str:
    parts = urlsplit(order.url)
    tag = urlencode({"sub": sub}) if order.tagged else ""
    return urlunsplit(parts._replace(query="&".join(one for one in (parts.query, query, tag) if one)))


def _tls(order: Order) -> ssl.SSLContext | None:
    if urlsplit(order.url).scheme != "https":
        return None
    return ssl.create_default_context(cafile=None if order.ca_file is None else str(Path(order.ca_file)))


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        gevent.sleep(0.02)
