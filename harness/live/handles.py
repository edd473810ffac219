"""What the fixtures hand to a test: its server, proxy, client and history.

What the server under test cannot do skips the test with that reason; what does not come in time fails it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import httpx
import pytest

from harness.check import REGISTRY, Outcome, Verdict, judge
from harness.crowd import Subscriber
from harness.errors import HarnessError
from harness.faults import Toxic
from harness.history import Record
from harness.live.run import Live
from harness.live.verdicts import named, told, why
from harness.results import gaps
from harness.scenario import Drop, Flag, Network, Restart, StreamFault
from harness.servers import MockServer, Pass
from harness.target import Promises

# pytest leaves frames of modules that say so out of a traceback: it ends at the line of the test.
__tracebackhide__ = True

GLANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Received:
    """An event that a subscriber dispatched, at `t` (monotonic seconds).

    body: of a test event. data: of any other, its first 512 characters.
    """

    t: float
    id: str
    type: str
    body: Any = None
    data: str | None = None


@dataclass(frozen=True, slots=True)
class SseServer:
    """The server of one test: the mock, or the one of --sse-target; what that one cannot do skips the test."""

    _live: Live = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of the stream."""
        return self._live.server.url

    @property
    def promises(self) -> Promises:
        return self._live.server.promises

    def headers(self, user: str | None = None, *, ttl: float | None = None) -> dict[str, str]:
        """The headers that let a user in; `ttl` is the token's life in seconds."""
        admitted = self._admit(user, ttl)
        if admitted.query:
            pytest.skip("the target file carries tokens in the query, not in headers")
        return dict(admitted.headers)

    def token(self, user: str | None = None, *, ttl: float | None = None) -> str:
        """A token of this user."""
        admitted = self._admit(user, ttl)
        for carried in (admitted.query, admitted.headers.get("Cookie", "")):
            if carried:
                return carried.partition("=")[2]
        if "Authorization" not in admitted.headers:
            pytest.skip("the target file has no [tokens]")
        return admitted.headers["Authorization"].rpartition(" ")[2]

    def publish(
        self, user: str | None = None, count: int = 1, type: str | None = None, **body: Any
    ) -> tuple[str | None, ...]:
        """Publish test events to a user (None: to all); their ids, None where only the server under test knows them.

        `body` has the fields of the event; it needs the `type` whose schema it satisfies, and the mock.
        """
        self._offered("publish")
        server = self._live.server
        if not isinstance(server, MockServer):
            if body:
                pytest.skip("a body of one's own can be published with the mock only")
            return (None,) * len(self._live.loop.call(server.publish(user, count, type)))
        if body and type is None:
            raise HarnessError("publish with a body needs the event's type: metric, notification or job")
        order = {"user": user, "count": count, "type": type, "body": body or None}
        return tuple(self._live.loop.call(_published(server, order)))

    def fault(self, name: str, *, attempts: int | None = None, **parameters: Any) -> None:
        """Let a fault of the stream loose: on live streams, or on the next `attempts` connections."""
        self._offered("mock")
        self._live.act(StreamFault(name, parameters, attempts))

    def drop(self, how: Literal["fin", "rst", "silence"] = "fin") -> None:
        """End every live stream from the server's side."""
        self._offered("drop")
        self._live.act(Drop(how))

    def restart(self, how: Literal["graceful", "crash"] = "graceful", *, down: float = 0.2) -> None:
        """Restart the server; it stays away for `down` seconds."""
        self._offered("restart")
        self._live.act(Restart(how, down))

    def flag(self, enabled: bool) -> None:
        """Set the feature flag for everybody."""
        self._offered("flag")
        self._live.act(Flag(enabled))

    def heal(self) -> None:
        """Take back every fault, of the server and of the network."""
        self._live.loop.call(self._live.nemesis.heal())

    def stats(self) -> Mapping[str, Any]:
        """What the server holds: open streams, slots by user and whatever else it tells."""
        self._offered("stats")
        return self._live.loop.call(self._live.server.stats()) or {}

    def _admit(self, user: str | None, ttl: float | None) -> Pass:
        if ttl is not None:
            self._offered("mint")
        return self._live.loop.call(self._live.server.admit(user or self._live.nemesis.users[0], ttl))

    def _offered(self, capability: str) -> None:
        server = self._live.server
        if capability not in server.capabilities:
            lacks = "is not the mock" if capability == "mock" else f"does not offer {capability!r} in its target file"
            pytest.skip(f"the server {server.name} {lacks}")


async def _published(server: MockServer, order: Mapping[str, Any]) -> list[str]:
    answer = await server.control.post("/publish", json={name: one for name, one in order.items() if one is not None})
    told = answer.json()
    if answer.status_code >= 400:
        raise HarnessError(str(told.get("error", told)))
    return [str(one) for one in told["ids"]]


@dataclass(frozen=True, slots=True)
class SseProxy:
    """The proxy of one test, in front of its server; the toxics are Toxiproxy's."""

    _live: Live = field(repr=False)
    address: str

    @property
    def url(self) -> str:
        """The URL of the stream, through the proxy."""
        return str(httpx.URL(self._live.server.url).copy_with(netloc=self.address.encode()))

    def add(self, toxic: Toxic) -> Toxic:
        """Add a toxic, to live connections too."""
        self._live.act(Network("add", toxic))
        return toxic

    def remove(self, toxic: Toxic) -> None:
        self._live.act(Network("remove", toxic))

    def disable(self) -> None:
        """Close every connection and refuse new ones."""
        self._live.act(Network("disable"))

    def enable(self) -> None:
        self._live.act(Network("enable"))


@dataclass(frozen=True, slots=True)
class SseClient:
    """Starts subscribers with the chosen client; they go through the proxy if the test has one."""

    _live: Live = field(repr=False)

    def subscribe(self, user: str | None = None, *, ttl: float | None = None) -> "SseSubscriber":
        """Start a subscriber of this user (None: the first); it connects in the background."""
        live = self._live
        chosen, number = user or live.nemesis.users[0], live.opened
        live.opened += 1
        # `Crowd.close` takes the beginning of a name: none may begin with another one.
        member = live.loop.call(live.nemesis.crowd.open(f"s{number}-{chosen}", chosen, ttl=ttl))
        return SseSubscriber(live, member)


@dataclass(frozen=True, slots=True)
class SseSubscriber:
    """One subscriber over all its connections."""

    _live: Live = field(repr=False)
    _member: Subscriber = field(repr=False)

    @property
    def name(self) -> str:
        """Its name in the history."""
        return self._member.session.sub

    @property
    def is_open(self) -> bool:
        return self._member.session.is_open

    @property
    def opens(self) -> int:
        """How often its stream has been announced as open."""
        return sum(1 for _ in self._told("sub.open"))

    @property
    def errors(self) -> list[str]:
        """The error signals so far."""
        return [str(record["reason"]) for record in self._told("sub.error")]

    @property
    def events(self) -> list[Received]:
        """The events dispatched so far; the sentinels of a drain are not among them."""
        return [
            Received(one.t, str(one["id"]), str(one["type"]), one.get("body"), one.get("data"))
            for one in self._told("sub.event")
            if not (one["type"] == "sentinel" and one.get("channel"))
        ]

    def wait_for(self, count: int, *, within: float = 10.0) -> list[Received]:
        """Wait until so many events have been dispatched altogether; all of them. Fails if they do not come."""
        if not self._until(lambda: len(self.events) >= count, within):
            self._missed(f"dispatched {len(self.events)} of {count} events within {within:g} s")
        return self.events

    def wait_open(self, times: int = 1, *, within: float = 10.0) -> "SseSubscriber":
        """Wait until its stream is open, for at least so many times; returns itself. Fails if it does not."""
        if not self._until(lambda: self.is_open and self.opens >= times, within):
            self._missed(f"was open {self.opens} of {times} times within {within:g} s")
        return self

    def close(self) -> None:
        """Close it, as its user would."""
        self._live.loop.call(self._live.nemesis.crowd.close(self.name))

    def _told(self, kind: str) -> Iterator[Record]:
        return (one for one in self._live.records() if one.kind == kind and one["sub"] == self.name)

    def _until(self, condition: Callable[[], bool], within: float) -> bool:
        """Whether the condition came true in time; a subscriber that has ended is not waited for."""
        deadline = time.monotonic() + within
        while self._member.live and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(GLANCE)
        return condition()

    def _missed(self, what: str) -> NoReturn:
        closed = next((f"; it ended: {one['reason']}" for one in self._told("sub.closed")), "")
        last = f"; its last error: {self.errors[-1]}" if self.errors else ""
        raise AssertionError(f"subscriber {self.name} {what}{last}{closed}")


@dataclass(frozen=True, slots=True)
class SseHistory:
    """The history of one test so far, and the verdicts on it."""

    _live: Live = field(repr=False)

    @property
    def path(self) -> Path:
        """Where it stands when the test has ended."""
        return self._live.path

    @property
    def records(self) -> tuple[Record, ...]:
        """All records so far, in the order of time."""
        return self._live.history().records

    def judge(self, name: str) -> Verdict:
        """The verdict of one check; every fault is healed first, and a sentinel awaited."""
        if name not in REGISTRY:
            raise HarnessError(f"there is no check {name!r}; see `sse-harness list checks`")
        return self._judged((name,))[0]

    def check(self, *names: str) -> None:
        """Assert that these checks and families (none named: all that can judge) are PASS, and at least one is.

        Heals and awaits a sentinel first.
        """
        verdicts = self._judged(names)
        bad = [one for one in verdicts if one.outcome in (Outcome.FAIL, Outcome.UNKNOWN)]
        missing = gaps(verdicts, names)
        texts = [told(one) for one in sorted(bad, key=lambda one: -one.outcome)]
        texts += [f"{name} was not judged: {why(verdicts, name)}" for name in missing]
        if not texts and not any(one.outcome is Outcome.PASS for one in verdicts):
            texts = ["nothing was judged: let the test subscribe and publish before it checks"]
        if texts:
            raise AssertionError("\n".join([*texts, f"history: {self.path}"]))

    def _judged(self, names: tuple[str, ...]) -> list[Verdict]:
        chosen = [REGISTRY[one] for name in names for one in named(name)] if names else None
        self._live.settle()
        return judge(self._live.history(), chosen)
