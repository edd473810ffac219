"""The simulated clients: they follow the law of the standard and of the product plan, but for their defects."""

from collections.abc import Iterator
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from harness import testevent
from harness.simulate.parts import AGAIN, BASE, CAP, DEADLINE, POLL, RETRY, Event, Stream, Sub

if TYPE_CHECKING:
    from harness.simulate.server import Server
    from harness.simulate.world import World


class Clients:
    """The clients of a world, by their names."""

    def __init__(self, world: "World", server: "Server") -> None:
        self.world, self.server = world, server
        self.subs: dict[str, Sub] = {}
        self.deadline: float | None = DEADLINE
        self.polls = False

    def open(self, name: str, user: str, *, ttl: float | None = None) -> Sub:
        sub = Sub(name, user, ttl, token_until=inf if ttl is None else self.world.now + ttl)
        self.subs[name] = sub
        told: dict[str, Any] = {} if ttl is None else {"ttl": ttl, "refreshes": "told"}
        self.world.note("sub.start", sub=name, user=user, options={}, **told)
        self._connect(sub)
        return sub

    def _connect(self, sub: Sub) -> None:
        if sub.gone:
            return
        sub.attempt += 1
        header = "" if "forgets-id" in self.world.defects else sub.last_id
        if "keeps-cached-state" in self.world.defects:
            header = sub.cached or header
        sub.polling = False
        self.world.note("sub.attempt", sub=sub.name, attempt=sub.attempt, last_event_id=header or None)
        number = sub.attempt
        if self.server.up and self.world.linked and not self.world.silent:
            self.world.at(self.world.latency(), lambda: self.server.request(sub, header))
        else:
            self.world.at(self.world.latency(), lambda: self._lost(sub, number, "connection refused"))

    def opened(self, stream: Stream, headers: dict[str, str]) -> None:
        sub = stream.sub
        if sub.gone:
            self.server.cut(stream, how="rst", by="client")
            return
        self.world.note("sub.response", sub=sub.name, attempt=stream.attempt, status=200, headers=headers)
        if "wrong-content-type" in self.world.defects:
            self.server.cut(stream, how="rst", by="client")
            self._give_up(sub, "content type")
            return
        sub.stream, sub.heard = stream, self.world.now
        sub.failures = sub.failures if "never-resets-backoff" in self.world.defects else 0
        self.world.note("sub.open", sub=sub.name, attempt=stream.attempt)
        self._watch(stream)

    def told_retry(self, stream: Stream) -> None:
        if not stream.sub.gone:
            self.world.note("sub.retry", sub=stream.sub.name, attempt=stream.attempt, retry_ms=int(RETRY * 1000))

    def dispatch(self, stream: Stream, one: Event, **way: str) -> None:
        sub = stream.sub
        if sub.gone and "goes-on-after-close" not in self.world.defects:
            return
        sub.heard, sub.last_id = self.world.now, one.id
        sub.cached = sub.cached if way else one.id
        sub.sentinels |= {one.payload["channel"]} if one.type == "sentinel" else set()
        if not (one.type == "message" and "keeps-type" in self.world.defects):
            sub.type = one.type
        known = {name: one.payload[name] for name in (*testevent.FIELDS, "digest")}
        about: dict[str, Any] = {"sub": sub.name, "attempt": stream.attempt, "id": one.id, "type": sub.type, **way}
        if "bare-lf" in self.world.defects and one.number % 3 == 0:
            text = str(one.payload).replace("'", '"')
            self.world.note("sub.event", **about, data=text[:60], size=60)
            self.world.note("sub.ignored", sub=sub.name, attempt=stream.attempt, line=text[60:], reason="unknown field")
            return
        if "breaks-schema" in self.world.defects:
            known["body"] = "text"
        if "nul-in-id" in self.world.defects:
            self.world.note(
                "sub.ignored", sub=sub.name, attempt=stream.attempt, line=f"id: {one.id}", reason="NUL in id"
            )
            about["id"] = sub.last_id = ""
        self.world.note("sub.event", **about, **known, intact=True)
        if "crashes" in self.world.defects and one.number % 5 == 0:
            self._leave(sub, "raised KeyError: 'job'", crashed=True)

    def _leave(self, sub: Sub, reason: str, **how: bool) -> None:
        """A client ends by itself, and takes its connection with it."""
        sub.gone = True
        self.world.note("sub.closed", sub=sub.name, reason=reason, **how)
        if sub.stream is not None:
            self.server.cut(sub.stream, how="fin", by="client")

    def controlled(self, stream: Stream, type: str, after: str) -> None:
        sub = stream.sub
        if sub.gone:
            return
        sub.heard = self.world.now
        data = f'{{"reason":"unknown","after":"{after}"}}'
        self.world.note(
            "sub.event", sub=sub.name, attempt=stream.attempt, id=sub.last_id, type=type, data=data, size=len(data)
        )

    def comment(self, stream: Stream) -> None:
        sub = stream.sub
        if sub.gone:
            return
        sub.heard = self.world.now
        self.world.note("sub.comment", sub=sub.name, attempt=stream.attempt, text="heartbeat")
        for defect, data in (("dispatches-empty", ""), ("dispatches-comments", "heartbeat")):
            if defect in self.world.defects:
                self.world.note(
                    "sub.event", sub=sub.name, attempt=stream.attempt, id=sub.last_id, type="message", data=data
                )
        if "heartbeat-with-id" in self.world.defects:
            sub.last_id = f"hb-{self.server.number}"
            self.world.note("sub.id", sub=sub.name, attempt=stream.attempt, id=sub.last_id)

    def torn(self, stream: Stream, one: Event) -> None:
        sub = stream.sub
        if sub.gone:
            return
        if "keeps-torn-id" in self.world.defects:
            sub.last_id = one.id
        if "dispatches-at-eof" in self.world.defects:
            self.dispatch(stream, one)
        self.ended(stream, "end of stream")

    def _watch(self, stream: Stream) -> None:
        """The client's own deadline for heartbeats."""
        sub = stream.sub
        if sub.gone or sub.stream is not stream or self.deadline is None or "ignores-silence" in self.world.defects:
            return
        left = sub.heard + (0.4 if "ends-healthy-streams" in self.world.defects else self.deadline) - self.world.now
        if left > 1e-9:
            self.world.at(left, lambda: self._watch(stream))
            return
        stream.alive = False
        self.server.cut(stream, how="rst", by="client")
        self.ended(stream, "no heartbeat")

    def ended(self, stream: Stream, reason: str) -> None:
        if stream.sub.stream is stream:
            stream.sub.stream = None
            self._lost(stream.sub, stream.attempt, reason)

    def refused(self, sub: Sub, number: int, status: int, headers: dict[str, str]) -> None:
        if sub.gone:
            return
        self.world.note("sub.response", sub=sub.name, attempt=number, status=status, headers=headers)
        goes_on = {204: {"reconnects-after-204", "hammers"}, 403: {"comes-back-after-refusal"}}
        if status in (204, 403, 404) and not goes_on.get(status, set()) & self.world.defects:
            if status == 204 and self.polls and "no-polling-fallback" not in self.world.defects:
                self.world.note("sub.error", sub=sub.name, attempt=number, reason=f"status {status}")
                self._poll(sub, self.world.now + AGAIN * self.world.rng.uniform(1, 1.5))
            else:
                self._give_up(sub, f"status {status}")
            return
        if status == 401 and "keeps-expired-token" not in self.world.defects:
            sub.token_until = inf
            self.world.note("sub.token", sub=sub.name)
        obeys = status == 429 and "ignores-retry-after" not in self.world.defects
        said = headers.get("retry-after", "")
        floor = float(said) if obeys and said.isdecimal() else 0.0
        self._lost(sub, number, f"status {status}", floor=floor)

    def _poll(self, sub: Sub, until: float) -> None:
        """Poll after the last event ID, and again, until it is time to try a stream."""
        if sub.gone:
            return
        if self.world.now >= until:
            self._connect(sub)
            return
        status = 500 if self.world.now < self.server.broken_until else 200
        index = next(
            (i for i, one in enumerate(self.server.buffer) if one.id == sub.last_id), len(self.server.buffer) - 1
        )
        got = [one for one in self.server.buffer[index + 1 :] if one.owner in (None, sub.user)] if status == 200 else []
        sub.polling = status == 200
        self.world.note("sub.poll", sub=sub.name, status=status, events=len(got))
        for one in got:
            self.dispatch(Stream("", sub, sub.attempt), one, via="poll")
        if not got and not sub.last_id and self.server.buffer:
            sub.last_id = self.server.buffer[-1].id
        self.world.at(POLL * self.world.rng.uniform(0.75, 1), lambda: self._poll(sub, until))

    def _give_up(self, sub: Sub, reason: str) -> None:
        self.world.note("sub.error", sub=sub.name, attempt=sub.attempt, reason=reason)
        self._leave(sub, "gave up")

    def _lost(self, sub: Sub, number: int, reason: str, *, floor: float = 0.0) -> None:
        if sub.gone:
            return
        self.world.note("sub.end", sub=sub.name, attempt=number, reason=reason)
        if not ("hides-errors" in self.world.defects and sub.user != "u0"):
            self.world.note("sub.error", sub=sub.name, attempt=number, reason=reason)
        if "gives-up" in self.world.defects:
            self._leave(sub, "gave up")
            return
        grown = min(CAP, BASE * 2 ** (0 if "no-backoff" in self.world.defects else sub.failures))
        flat = "no-jitter" in self.world.defects or (grown == CAP and "no-jitter-at-cap" in self.world.defects)
        delay = max(RETRY, floor) + (grown if flat else self.world.rng.random() * grown)
        if "ignores-retry" in self.world.defects:
            delay -= max(RETRY, floor) * 0.99
        if "hammers" in self.world.defects:
            delay = 0.03
        sub.failures += 1
        self.world.note("sub.wait", sub=sub.name, attempt=number, delay=round(delay, 6), reason=reason)
        self.world.at(delay + self.world.rng.uniform(0, 0.001), lambda: self._connect(sub))

    def close(self, label: str = "") -> None:
        for sub in [one for name, one in self.subs.items() if name.startswith(label)]:
            if not sub.gone:
                self.world.note("sub.close", sub=sub.name)
                if "hangs-in-close" in self.world.defects:
                    told = {"sub": sub.name, "reason": "still running after close()", "stuck": True}
                    self.world.at(1.15, partial(self.world.note, "sub.closed", **told))
                else:
                    self.world.note("sub.closed", sub=sub.name, reason="close()")
            stream = sub.stream
            sub.gone = True
            if stream is not None and "goes-on-after-close" not in self.world.defects:
                self.world.at(self.world.latency(), partial(self.server.cut, stream, how="fin", by="client"))

    def alive(self) -> Iterator[Sub]:
        return (one for one in self.subs.values() if not one.gone)
