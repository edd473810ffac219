"""A small world in virtual time, which writes histories: clean ones, and ones with a defect planted.

Theory.  A heap of moments drives a simulated server, network and clients that follow the law of the standard and of
the product plan; every party writes the records that the real one would.  A plot says what the nemesis does.  A defect
is a switch where the good behaviour is decided, under the name that it has in the mock or in the bad clients, so
that the alarms can be tried on thousands of histories without a socket.
"""

import hashlib
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, Final

from harness import testevent
from harness.history import Record

HEARTBEAT: Final = 1.0
DEADLINE: Final = 2.5
RETRY: Final = 0.5
CAP: Final = 4.0
BASE: Final = 0.4
LIMIT: Final = 3
BANNED: Final = "banned"
HEADERS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-store"}
CAPABILITIES: Final = (
    "backoff",
    "jitter",
    "heartbeat-deadline",
    "comments",
    "status-retry",
    "retry-after",
    "token-refresh",
    "polling",
)
POLL: Final = 0.5
AGAIN: Final = 1.5
SCHEMA: Final = {"type": "object", "required": ["channel", "seq"], "properties": {"body": {"type": "object"}}}


@dataclass(slots=True)
class Event:
    """One published event as the simulated server keeps it."""

    number: int
    id: str
    type: str
    payload: dict[str, Any]
    epoch: str

    @property
    def owner(self) -> str | None:
        owner: str | None = self.payload["owner"]
        return owner


@dataclass(slots=True)
class Stream:
    """One connection: the server's end and the way to the client."""

    conn: str
    sub: "Sub"
    attempt: int
    alive: bool = True
    last_arrival: float = 0.0
    handed_over: bool = True
    held: list[Callable[[], None]] | None = None


@dataclass(slots=True)
class Sub:
    """One simulated client."""

    name: str
    user: str
    ttl: float | None
    attempt: int = -1
    last_id: str = ""
    failures: int = 0
    stream: Stream | None = None
    heard: float = 0.0
    gone: bool = False
    retry: float = RETRY
    polling: bool = False
    cached: str = ""
    token_until: float = inf
    sentinels: set[str] = field(default_factory=set)


class World:
    """One simulated run; `foreign` leaves out everything that only the mock writes."""

    def __init__(self, rng: Random, *, defects: frozenset[str] = frozenset(), foreign: bool = False) -> None:
        self.rng, self.defects, self.foreign = rng, defects, foreign
        self.now = round(rng.uniform(10, 1000), 3)
        self.records: list[Record] = []
        self.subs: dict[str, Sub] = {}
        self.streams: dict[str, Stream] = {}
        self.buffer: list[Event] = []
        self.replay_events = 40
        self.seqs: dict[str, int] = {}
        self.epoch, self.restarts, self.number, self.conns = "e0", 0, 0, 0
        self.up, self.linked, self.silent, self.enabled = True, True, False, True
        self.deadline: float | None = DEADLINE
        self.percent, self.polls, self.asked, self.broken_until = 100.0, False, 0, 0.0
        self.slots: dict[str, int] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = 0
        self._lag_from = self.now

    # time and records

    def at(self, delay: float, do: Callable[[], None]) -> None:
        self._ticket += 1
        heapq.heappush(self._heap, (self.now + delay, self._ticket, do))

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            self.now, _, do = heapq.heappop(self._heap)
            do()
        self.now = until

    def note(self, kind: str, by: str = "run", /, **data: Any) -> None:
        """Write a record of the process `by`; a foreign server writes none."""
        if by != "server" or not self.foreign:
            self.records.append(Record(round(self.now, 6), kind, data, by))

    def latency(self) -> float:
        return self.rng.uniform(0.0005, 0.01)

    def ticking(self) -> None:
        """Write the lag of each second, of all processes, and come again."""
        for role in ("run",) if self.foreign else ("run", "server"):
            self.note("lag", role, worst=round(self.rng.uniform(0.0002, 0.004), 6))
        self.note("lag", "network", worst=0.0002)
        self.at(1.0, self.ticking)

    # the server

    def publish(self, user: str | None, type: str = "message") -> None:
        if not self.up:
            return
        channel = testevent.channel_of(user)
        seq = self.seqs[channel] = self.seqs.get(channel, 0) + 1
        self.number += 1
        body: dict[str, Any] = {"text": f"n{self.rng.randrange(10**6)}"}
        payload = testevent.make(user, epoch=self.epoch, seq=seq, at=self.now, body=body)
        one = Event(self.number, f"{self.epoch}-{self.number}", type, payload, self.epoch)
        told: dict[str, Any] = {
            "channel": channel,
            "owner": user,
            "epoch": self.epoch,
            "seq": seq,
            "type": type,
            "at": self.now,
        }
        if self.foreign:
            self.note("published", **told, id=None, digest=payload["digest"], done=round(self.now + 0.002, 6))
        else:
            self.note("published", "server", **told, id=one.id, digest=payload["digest"])
        self.buffer = [*self.buffer, one][-self.replay_events :]
        for stream in [*self.streams.values()]:
            self._live(stream, one)

    def _live(self, stream: Stream, one: Event) -> None:
        leaks = "leaks-to-other-user" in self.defects
        latest = [other for other in self.streams.values() if other.sub.user == stream.sub.user][-1]
        if stream is not latest and "serves-one-stream" in self.defects:
            return
        if stream.sub.user != one.owner and one.owner is not None and not leaks:
            return
        if not stream.handed_over:
            stream.handed_over = True
            return
        self._send(stream, one)

    def _send(self, stream: Stream, one: Event) -> None:
        held, stream.held = stream.held or [], None
        for do in held:
            self._arrive(stream, do)
        self.note("conn.sent", "server", conn=stream.conn, what="event", id=one.id, type=one.type)
        self._arrive(stream, lambda: self._dispatch(stream, one))

    def _arrive(self, stream: Stream, do: Callable[[], None]) -> None:
        """Bring something to the client over this stream, in order, unless it breaks on the way."""
        if stream.held is not None:
            stream.held.append(do)
            return
        if self.silent:
            return
        when = max(self.now + self.latency(), stream.last_arrival + 2e-6)
        if "buffers-2s" in self.defects:
            when = max(when, (self.now // 2 + 1) * 2)
        stream.last_arrival = when
        self.at(when - self.now, lambda: do() if stream.alive else None)

    def _request(self, sub: Sub, header: str) -> None:
        """A request has reached the server."""
        self.conns += 1
        conn, number = f"c{self.conns}", sub.attempt
        told: dict[str, Any] = {
            "method": "GET",
            "path": "/",
            "headers": {} if sub.attempt and "forgets-token" in self.defects else {"authorization": f"{sub.user}:0"},
            "last_event_id": header or None,
            "sub": sub.name,
        }
        self.note("conn.request", "server", conn=conn, user=sub.user, **told)
        status, headers = self._admit(sub, header)
        self.note("conn.response", "server", conn=conn, status=status, headers=headers)
        if status != 200:
            self.at(self.latency(), lambda: self._refused(sub, number, status, headers))
            return
        self.slots[sub.user] = self.slots.get(sub.user, 0) + 1
        stream = Stream(conn, sub, number, last_arrival=self.now)
        stream.held = [] if "late-headers" in self.defects else None
        self.streams[conn] = stream
        self._arrive(stream, lambda: self._opened(stream, headers))
        self._arrive(stream, lambda: self._told_retry(stream))
        self._resume(stream, header)
        self.at(HEARTBEAT, lambda: self._beat(stream))
        if sub.token_until < inf and "accepts-expired-token" not in self.defects:
            self.at(max(0.02, sub.token_until - self.now), lambda: self.cut(stream))

    def _admit(self, sub: Sub, header: str) -> tuple[int, dict[str, str]]:
        if not self.has(sub.user) and "ignores-flag" not in self.defects:
            return 204, {"cache-control": "no-store"}
        let_in = "accepts-expired-token" in self.defects or (
            header != "" and "accepts-expired-token-on-resume" in self.defects
        )
        if self.now >= sub.token_until and not let_in:
            return 401, {}
        if "refuses-one-user" in self.defects and sub.user == "u0":
            return 503, {}
        if "refuses-resumes" in self.defects and header:
            return 404, {}
        limit = LIMIT + ("limit-one-too-many" in self.defects) - ("limit-one-too-few" in self.defects)
        if self.slots.get(sub.user, 0) >= limit:
            after = {} if "no-retry-after" in self.defects else {"retry-after": "1"}
            return 429, {"content-type": "application/json", **after}
        if sub.user == BANNED:
            return 403, {}
        headers = dict(HEADERS)
        if "wrong-content-type" in self.defects:
            headers["content-type"] = "text/plain"
        if "cacheable" in self.defects:
            del headers["cache-control"]
        return 200, headers

    def _resume(self, stream: Stream, header: str) -> None:
        if not header or "ignores-last-event-id" in self.defects:
            return
        index = next((i for i, one in enumerate(self.buffer) if one.id == header), None)
        too_old = index is None
        replay = self.buffer[0 if index is None else index + 1 :] if not too_old else []
        if "replays-one-too-many" in self.defects and index is not None:
            replay = self.buffer[index:]
        mine = [one for one in replay if one.owner in (None, stream.sub.user)]
        if not mine and index is not None and "repeats-the-last-event" in self.defects:
            mine = self.buffer[index : index + 1]
        mine = mine[1:] if "replays-one-too-few" in self.defects else mine
        mine = [*mine, *mine] if "replays-twice" in self.defects else mine
        if (too_old and "silent-loss-when-too-old" not in self.defects) or "resets-needlessly" in self.defects:
            self._control(stream, "reset", self.buffer[-1].id if self.buffer else header)
        for one in mine:
            self._send(stream, one)
        stream.handed_over = "loses-handover" not in self.defects

    def _control(self, stream: Stream, type: str, after: str) -> None:
        self.note("conn.sent", "server", conn=stream.conn, what=type)
        self._arrive(stream, lambda: self._controlled(stream, type, after))

    def _beat(self, stream: Stream) -> None:
        if stream.conn in self.streams:
            if "no-heartbeat" not in self.defects:
                self.note("conn.sent", "server", conn=stream.conn, what="heartbeat")
                self._arrive(stream, lambda: self._comment(stream))
            self.at(HEARTBEAT, lambda: self._beat(stream))

    def cut(self, stream: Stream, *, how: str = "fin", by: str = "server") -> None:
        """End a connection: fin lets arrive what is on its way, rst does not."""
        if self.streams.pop(stream.conn, None) is None:
            return
        if "never-frees-slot" not in self.defects:
            self.slots[stream.sub.user] -= 1
        self.note("conn.end", "server", conn=stream.conn, by=by, how=how, bytes=0)
        if by == "server":
            stream.alive = stream.alive and how == "fin"
            delay = max(self.latency(), stream.last_arrival - self.now + 2e-6 if how == "fin" else 0.0)
            self.at(delay, lambda: self._ended(stream, "end of stream"))

    def drop(self, how: str) -> None:
        for stream in [*self.streams.values()]:
            self.cut(stream, how=how)

    def cut_inside(self) -> None:
        """Each stream gets a part of one more event, and then its end."""
        cut, self.streams = self.streams, {}
        self.publish(None)
        one = self.buffer[-1]
        for stream in cut.values():
            self.slots[stream.sub.user] -= 1
            self.note("conn.sent", "server", conn=stream.conn, what="raw", torn=one.id)
            self.note("conn.end", "server", conn=stream.conn, by="server", how="close", bytes=0)
            self._arrive(stream, lambda stream=stream: self._torn(stream, one))  # type: ignore[misc]

    def crash(self, down: float) -> None:
        self.note("server.stop", "server", how="crash")
        self.up = False
        self.drop("rst")
        self.at(down, self._start)

    def restart(self, down: float) -> None:
        """Go away in order and come back with the replay buffer."""
        if "forgets-on-graceful-restart" in self.defects:
            self.crash(down)
            return
        self.note("server.stop", "server", how="graceful")
        self.up = False
        self.drop("fin")
        self.at(down, self._back)

    def _back(self) -> None:
        self.up = True
        self.note("server.start", "server", epoch=self.epoch)

    def _start(self) -> None:
        self.restarts += 1
        self.buffer, self.seqs, self.number, self.up = [], {}, 0, True
        if "reuses-ids-after-restart" not in self.defects:
            self.epoch = f"e{self.restarts}"
        self.note("server.start", "server", epoch=self.epoch)

    def flag(self, enabled: bool) -> None:
        self.note("flag.set", enabled=enabled)
        self.enabled = enabled
        if enabled or "ignores-kill-switch" in self.defects:
            return
        if "kill-switch-mutes" in self.defects:
            for stream in self.streams.values():
                stream.alive = False
        else:
            self.at(0.05, lambda: self.drop("fin"))

    def rollout(self, percent: float) -> None:
        """Set the percentage, end the streams of those who are out, and give it the promised time."""
        self.note("step", step="rollout", state="begin", percent=percent)
        self.note("flag.set", enabled=percent > 0, percent=percent)
        self.percent = percent
        ended = [one for one in [*self.streams.values()] if not self.has(one.sub.user)]
        for stream in ended:
            self.cut(stream)
        if ended and "errors-after-rollback" in self.defects:
            self.broken_until = self.now + 8.0
        self.run(2.0)
        self.note("step", step="rollout", state="end", percent=percent)

    def has(self, user: str) -> bool:
        """Whether the flag is on for a user, whose place is a hash of his name."""
        self.asked += 1
        if "flag-not-sticky" in self.defects:
            user = f"{user}?{self.asked}"
        if "flag-not-sticky-over-restart" in self.defects:
            user = f"{user}?{self.restarts}"
        if "flag-not-monotone" in self.defects:
            user = f"{user}@{self.percent:g}"
        place = int.from_bytes(hashlib.sha256(f"flag:{user}".encode()).digest()[:4], "big") / 2**32 * 100
        return self.enabled and place / (2 if "flag-wrong-share" in self.defects else 1) < self.percent

    def probe_all(self, users: int, repeat: int = 2) -> None:
        """Ask for so many users, several times each, whether the stream is offered."""
        for _ in range(repeat):
            for number in range(users):
                began = self.now
                self.run(0.002)
                status = 200 if self.has(f"u{number}") else 204
                self.note("probe.flag", name="all", user=f"u{number}", status=status, began=began)

    def probe_rest(self, users: list[str]) -> None:
        """Ask each user's REST twins; what they answer depends on what was published, and on nothing else."""
        for twin in ("dashboard", "events") * 2:
            for user in users:
                began, trace = self.now, self.has(user) and "rest-twin-differs" in self.defects
                self.run(0.002)
                status = 500 if self.now < self.broken_until else 200
                digest = f"{twin} {user} {self.number} {trace} {status}"
                self.note("probe.rest", name="all", user=user, twin=twin, status=status, digest=digest, began=began)

    def link(self, up: bool) -> None:
        """The proxy is disabled (all connections die, none opens) or enabled."""
        self.note("net.fault", "network", proxy="stream", fault="disabled", state="off" if up else "on")
        self.note("step", step="network", state="begin", act="enable" if up else "disable")
        self.linked = up
        if not up:
            self.drop("rst")

    def hush(self, silent: bool) -> None:
        """Nothing passes any more, and nobody is told."""
        self.note("net.fault", "network", proxy="stream", fault="timeout_downstream", state="on" if silent else "off")
        self.note("step", step="network", state="begin" if silent else "end")
        self.silent = silent

    # the clients

    def open(self, name: str, user: str, *, ttl: float | None = None) -> Sub:
        sub = Sub(name, user, ttl, token_until=inf if ttl is None else self.now + ttl)
        self.subs[name] = sub
        told: dict[str, Any] = {} if ttl is None else {"ttl": ttl, "refreshes": "told"}
        self.note("sub.start", sub=name, user=user, options={}, **told)
        self._connect(sub)
        return sub

    def _connect(self, sub: Sub) -> None:
        if sub.gone:
            return
        sub.attempt += 1
        header = "" if "forgets-id" in self.defects else sub.last_id
        if "keeps-cached-state" in self.defects:
            header = sub.cached or header
        sub.polling = False
        self.note("sub.attempt", sub=sub.name, attempt=sub.attempt, last_event_id=header or None)
        number = sub.attempt
        if self.up and self.linked and not self.silent:
            self.at(self.latency(), lambda: self._request(sub, header))
        else:
            self.at(self.latency(), lambda: self._lost(sub, number, "connection refused"))

    def _opened(self, stream: Stream, headers: dict[str, str]) -> None:
        sub = stream.sub
        if sub.gone:
            self.cut(stream, how="rst", by="client")
            return
        self.note("sub.response", sub=sub.name, attempt=stream.attempt, status=200, headers=headers)
        if "wrong-content-type" in self.defects:
            self.cut(stream, how="rst", by="client")
            self._give_up(sub, "content type")
            return
        sub.stream, sub.heard, sub.failures = stream, self.now, 0
        self.note("sub.open", sub=sub.name, attempt=stream.attempt)
        self._watch(stream)

    def _told_retry(self, stream: Stream) -> None:
        if not stream.sub.gone:
            self.note("sub.retry", sub=stream.sub.name, attempt=stream.attempt, retry_ms=int(RETRY * 1000))

    def _dispatch(self, stream: Stream, one: Event, **way: str) -> None:
        sub = stream.sub
        if sub.gone and "goes-on-after-close" not in self.defects:
            return
        sub.heard, sub.last_id = self.now, one.id
        sub.cached = sub.cached if way else one.id
        sub.sentinels |= {one.payload["channel"]} if one.type == "sentinel" else set()
        known = {name: one.payload[name] for name in (*testevent.FIELDS, "digest")}
        about: dict[str, Any] = {"sub": sub.name, "attempt": stream.attempt, "id": one.id, "type": one.type, **way}
        if "bare-lf" in self.defects and one.number % 3 == 0:
            text = str(one.payload).replace("'", '"')
            self.note("sub.event", **about, data=text[:60], size=60)
            self.note("sub.ignored", sub=sub.name, attempt=stream.attempt, line=text[60:], reason="unknown field")
            return
        if "breaks-schema" in self.defects:
            known["body"] = "text"
        if "nul-in-id" in self.defects:
            self.note("sub.ignored", sub=sub.name, attempt=stream.attempt, line=f"id: {one.id}", reason="NUL in id")
            about["id"] = sub.last_id = ""
        self.note("sub.event", **about, **known, intact=True)
        if "crashes" in self.defects and one.number % 5 == 0:
            self._leave(sub, "raised KeyError: 'job'", crashed=True)

    def _leave(self, sub: Sub, reason: str, **how: bool) -> None:
        """A client ends by itself, and takes its connection with it."""
        sub.gone = True
        self.note("sub.closed", sub=sub.name, reason=reason, **how)
        if sub.stream is not None:
            self.cut(sub.stream, how="fin", by="client")

    def _controlled(self, stream: Stream, type: str, after: str) -> None:
        sub = stream.sub
        if sub.gone:
            return
        sub.heard = self.now
        data = f'{{"reason":"unknown","after":"{after}"}}'
        self.note(
            "sub.event", sub=sub.name, attempt=stream.attempt, id=sub.last_id, type=type, data=data, size=len(data)
        )

    def _comment(self, stream: Stream) -> None:
        sub = stream.sub
        if sub.gone:
            return
        sub.heard = self.now
        self.note("sub.comment", sub=sub.name, attempt=stream.attempt, text="heartbeat")
        if "dispatches-empty" in self.defects:
            self.note("sub.event", sub=sub.name, attempt=stream.attempt, id=sub.last_id, type="message", data="")
        if "heartbeat-with-id" in self.defects:
            sub.last_id = f"hb-{self.number}"
            self.note("sub.id", sub=sub.name, attempt=stream.attempt, id=sub.last_id)

    def _torn(self, stream: Stream, one: Event) -> None:
        sub = stream.sub
        if sub.gone:
            return
        if "keeps-torn-id" in self.defects:
            sub.last_id = one.id
        if "dispatches-at-eof" in self.defects:
            self._dispatch(stream, one)
        self._ended(stream, "end of stream")

    def _watch(self, stream: Stream) -> None:
        """The client's own deadline for heartbeats."""
        sub = stream.sub
        if sub.gone or sub.stream is not stream or self.deadline is None or "ignores-silence" in self.defects:
            return
        left = sub.heard + (0.4 if "ends-healthy-streams" in self.defects else self.deadline) - self.now
        if left > 1e-9:
            self.at(left, lambda: self._watch(stream))
            return
        stream.alive = False
        self.cut(stream, how="rst", by="client")
        self._ended(stream, "no heartbeat")

    def _ended(self, stream: Stream, reason: str) -> None:
        if stream.sub.stream is stream:
            stream.sub.stream = None
            self._lost(stream.sub, stream.attempt, reason)

    def _refused(self, sub: Sub, number: int, status: int, headers: dict[str, str]) -> None:
        if sub.gone:
            return
        self.note("sub.response", sub=sub.name, attempt=number, status=status, headers=headers)
        goes_on = {204: {"reconnects-after-204", "hammers"}, 403: {"comes-back-after-refusal"}}
        if status in (204, 403, 404) and not goes_on.get(status, set()) & self.defects:
            if status == 204 and self.polls and "no-polling-fallback" not in self.defects:
                self.note("sub.error", sub=sub.name, attempt=number, reason=f"status {status}")
                self._poll(sub, self.now + AGAIN * self.rng.uniform(1, 1.5))
            else:
                self._give_up(sub, f"status {status}")
            return
        if status == 401:
            sub.token_until = inf
            self.note("sub.token", sub=sub.name)
        obeys = status == 429 and "ignores-retry-after" not in self.defects
        floor = float(headers.get("retry-after", 0)) if obeys else 0.0
        self._lost(sub, number, f"status {status}", floor=floor)

    def _poll(self, sub: Sub, until: float) -> None:
        """Poll after the last event ID, and again, until it is time to try a stream."""
        if sub.gone:
            return
        if self.now >= until:
            self._connect(sub)
            return
        status = 500 if self.now < self.broken_until else 200
        index = next((i for i, one in enumerate(self.buffer) if one.id == sub.last_id), len(self.buffer) - 1)
        got = [one for one in self.buffer[index + 1 :] if one.owner in (None, sub.user)] if status == 200 else []
        sub.polling = status == 200
        self.note("sub.poll", sub=sub.name, status=status, events=len(got))
        for one in got:
            self._dispatch(Stream("", sub, sub.attempt), one, via="poll")
        if not got and not sub.last_id and self.buffer:
            sub.last_id = self.buffer[-1].id
        self.at(POLL * self.rng.uniform(0.75, 1), lambda: self._poll(sub, until))

    def _give_up(self, sub: Sub, reason: str) -> None:
        self.note("sub.error", sub=sub.name, attempt=sub.attempt, reason=reason)
        self._leave(sub, "gave up")

    def _lost(self, sub: Sub, number: int, reason: str, *, floor: float = 0.0) -> None:
        if sub.gone:
            return
        self.note("sub.end", sub=sub.name, attempt=number, reason=reason)
        if not ("hides-errors" in self.defects and sub.user != "u0"):
            self.note("sub.error", sub=sub.name, attempt=number, reason=reason)
        if "gives-up" in self.defects:
            self._leave(sub, "gave up")
            return
        grown = min(CAP, BASE * 2 ** (0 if "no-backoff" in self.defects else sub.failures))
        delay = max(RETRY, floor) + (grown if "no-jitter" in self.defects else self.rng.random() * grown)
        if "ignores-retry" in self.defects:
            delay -= max(RETRY, floor) * 0.99
        if "hammers" in self.defects:
            delay = 0.03
        sub.failures += 1
        self.note("sub.wait", sub=sub.name, attempt=number, delay=round(delay, 6), reason=reason)
        self.at(delay + self.rng.uniform(0, 0.001), lambda: self._connect(sub))

    def close(self, label: str = "") -> None:
        for sub in [one for name, one in self.subs.items() if name.startswith(label)]:
            if not sub.gone:
                self.note("sub.close", sub=sub.name)
                if "hangs-in-close" in self.defects:
                    told = {"sub": sub.name, "reason": "still running after close()", "stuck": True}
                    self.at(1.15, lambda told=told: self.note("sub.closed", **told))  # type: ignore[misc]
                else:
                    self.note("sub.closed", sub=sub.name, reason="close()")
            stream = sub.stream
            sub.gone = True
            if stream is not None and "goes-on-after-close" not in self.defects:
                self.at(self.latency(), lambda stream=stream: self.cut(stream, how="fin", by="client"))  # type: ignore[misc]

    def alive(self) -> Iterator[Sub]:
        return (one for one in self.subs.values() if not one.gone)
