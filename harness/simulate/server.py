"""The simulated server: what it publishes, whom it lets in, what a resume gets, and when it goes away."""

import hashlib
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from harness import testevent
from harness.simulate.parts import BANNED, HEADERS, HEARTBEAT, LIMIT, TYPES, Event, Stream, Sub

if TYPE_CHECKING:
    from harness.simulate.clients import Clients
    from harness.simulate.world import World


class Server:
    """The server of a world; `clients` hear what it sends."""

    clients: "Clients"

    def __init__(self, world: "World") -> None:
        self.world = world
        self.streams: dict[str, Stream] = {}
        self.buffer: list[Event] = []
        self.replay_events = 40
        self.seqs: dict[str, int] = {}
        self.epoch, self.restarts, self.number, self.conns = "e0", 0, 0, 0
        self.up, self.enabled = True, True
        self.percent, self.asked, self.broken_until = 100.0, 0, 0.0
        self.slots: dict[str, int] = {}

    def publish(self, user: str | None, type: str | None = None) -> None:
        if not self.up:
            return
        channel = testevent.channel_of(user)
        seq = self.seqs[channel] = self.seqs.get(channel, 0) + 1
        self.number += 1
        kind = type or TYPES[self.number % len(TYPES)]
        body: dict[str, Any] = {"text": f"n{self.world.rng.randrange(10**6)}"}
        payload = testevent.make(user, epoch=self.epoch, seq=seq, at=self.world.now, body=body)
        one = Event(self.number, f"{self.epoch}-{self.number}", kind, payload, self.epoch)
        told: dict[str, Any] = {
            "channel": channel,
            "owner": user,
            "epoch": self.epoch,
            "seq": seq,
            "type": kind,
            "at": self.world.now,
        }
        if self.world.foreign:
            self.world.note(
                "published", **told, id=None, digest=payload["digest"], done=round(self.world.now + 0.002, 6)
            )
        else:
            self.world.note("published", "server", **told, id=one.id, digest=payload["digest"])
        self.buffer = [*self.buffer, one][-self.replay_events :]
        for stream in [*self.streams.values()]:
            self._live(stream, one)

    def _live(self, stream: Stream, one: Event) -> None:
        if self.world.now >= stream.sub.token_until and "expires-only-on-event" in self.world.defects:
            self.cut(stream)
            return
        leaks = "leaks-to-other-user" in self.world.defects
        latest = [other for other in self.streams.values() if other.sub.user == stream.sub.user][-1]
        if stream is not latest and "serves-one-stream" in self.world.defects:
            return
        if stream.sub.user != one.owner and one.owner is not None and not leaks:
            return
        if not stream.handed_over:
            stream.handed_over = True
            return
        self._send(stream, one)

    def _send(self, stream: Stream, one: Event) -> None:
        self._release(stream)
        self.world.note("conn.sent", "server", conn=stream.conn, what="event", id=one.id, type=one.type)
        self.world.arrive(stream, lambda: self.clients.dispatch(stream, one))

    def _release(self, stream: Stream) -> None:
        """Send what was held back with the head."""
        held, stream.held = stream.held or [], None
        for do in held:
            self.world.arrive(stream, do)

    def request(self, sub: Sub, header: str) -> None:
        """A request has reached the server."""
        self.conns += 1
        conn, number = f"c{self.conns}", sub.attempt
        told: dict[str, Any] = {
            "method": "GET",
            "path": "/",
            "headers": {}
            if sub.attempt and "forgets-token" in self.world.defects
            else {"authorization": f"{sub.user}:0"},
            "last_event_id": header or None,
            "sub": sub.name,
        }
        self.world.note("conn.request", "server", conn=conn, user=sub.user, **told)
        status, headers = self._admit(sub, header)
        self.world.note("conn.response", "server", conn=conn, status=status, headers=headers)
        if status != 200:
            self.world.at(self.world.latency(), lambda: self.clients.refused(sub, number, status, headers))
            return
        if number and "connects-twice" in self.world.defects:
            self.world.note("conn.request", "server", conn=f"{conn}b", user=sub.user, **told)
            self.world.note("conn.response", "server", conn=f"{conn}b", status=status, headers=headers)
        self.slots[self._slot(sub)] = self.slots.get(self._slot(sub), 0) + 1
        stream = Stream(conn, sub, number, last_arrival=self.world.now, resumed=header != "")
        stream.held = [] if "late-headers" in self.world.defects else None
        if stream.resumed and "late-headers-on-resume" in self.world.defects:
            stream.held = []
            self.world.at(5.0, lambda: self._release(stream))
        self.streams[conn] = stream
        self.world.arrive(stream, lambda: self.clients.opened(stream, headers))
        self.world.arrive(stream, lambda: self.clients.told_retry(stream))
        self._resume(stream, header)
        self.world.at(HEARTBEAT, lambda: self._beat(stream))
        outlives = {"accepts-expired-token", "expires-only-on-event"} & self.world.defects
        if sub.token_until < inf and not outlives:
            self.world.at(max(0.02, sub.token_until - self.world.now), lambda: self.cut(stream))

    def _admit(self, sub: Sub, header: str) -> tuple[int, dict[str, str]]:
        if not self.has(sub.user) and "ignores-flag" not in self.world.defects:
            return 204, {"cache-control": "no-store"}
        let_in = "accepts-expired-token" in self.world.defects or (
            header != "" and "accepts-expired-token-on-resume" in self.world.defects
        )
        if self.world.now >= sub.token_until and not let_in:
            return 401, {}
        if "refuses-one-user" in self.world.defects and sub.user == "u0":
            return 503, {}
        if "refuses-resumes" in self.world.defects and header:
            return 404, {}
        limit = LIMIT + ("limit-one-too-many" in self.world.defects) - ("limit-one-too-few" in self.world.defects)
        if self.slots.get(self._slot(sub), 0) >= limit:
            said = "soon" if "retry-after-soon" in self.world.defects else "1"
            after = {} if "no-retry-after" in self.world.defects else {"retry-after": said}
            return 429, {"content-type": "application/json", **after}
        if sub.user == BANNED:
            return 403, {}
        headers = dict(HEADERS)
        if "wrong-content-type" in self.world.defects:
            headers["content-type"] = "text/plain"
        if "cacheable" in self.world.defects:
            del headers["cache-control"]
        return 200, headers

    def _slot(self, sub: Sub) -> str:
        """Whose slot a subscriber takes."""
        own = sub.ttl is not None and "limit-per-token" in self.world.defects
        return f"{sub.user} {sub.name}" if own else sub.user

    def _resume(self, stream: Stream, header: str) -> None:
        if not header or "ignores-last-event-id" in self.world.defects:
            return
        index = next((i for i, one in enumerate(self.buffer) if one.id == header), None)
        too_old = index is None
        replay = self.buffer[0 if index is None else index + 1 :] if not too_old else []
        if "replays-one-too-many" in self.world.defects and index is not None:
            replay = self.buffer[index:]
        mine = [one for one in replay if one.owner in (None, stream.sub.user)]
        if not mine and index is not None and "repeats-the-last-event" in self.world.defects:
            mine = self.buffer[index : index + 1]
        mine = mine[1:] if "replays-one-too-few" in self.world.defects else mine
        mine = [*mine, *mine] if "replays-twice" in self.world.defects else mine
        if (
            too_old and "silent-loss-when-too-old" not in self.world.defects
        ) or "resets-needlessly" in self.world.defects:
            self._control(stream, "reset", self.buffer[-1].id if self.buffer else header)
        for one in mine:
            self._send(stream, one)
        stream.handed_over = "loses-handover" not in self.world.defects

    def _control(self, stream: Stream, type: str, after: str) -> None:
        self.world.note("conn.sent", "server", conn=stream.conn, what=type)
        self.world.arrive(stream, lambda: self.clients.controlled(stream, type, after))

    def _beat(self, stream: Stream) -> None:
        if stream.conn in self.streams:
            mute = stream.resumed and "no-heartbeat-on-resume" in self.world.defects
            if not mute and "no-heartbeat" not in self.world.defects:
                self.world.note("conn.sent", "server", conn=stream.conn, what="heartbeat")
                self.world.arrive(stream, lambda: self.clients.comment(stream))
            if "resets-in-between" in self.world.defects:
                self._control(stream, "reset", "")
            self.world.at(HEARTBEAT, lambda: self._beat(stream))

    def cut(self, stream: Stream, *, how: str = "fin", by: str = "server") -> None:
        """End a connection: fin lets arrive what is on its way, rst does not."""
        if self.streams.pop(stream.conn, None) is None:
            return
        if "never-frees-slot" not in self.world.defects:
            twice = stream.resumed and "resume-frees-slot-twice" in self.world.defects
            self.slots[self._slot(stream.sub)] -= 2 if twice else 1
        self.world.note("conn.end", "server", conn=stream.conn, by=by, how=how, bytes=0)
        if by == "server":
            stream.alive = stream.alive and how == "fin"
            delay = max(self.world.latency(), stream.last_arrival - self.world.now + 2e-6 if how == "fin" else 0.0)
            self.world.at(delay, lambda: self.clients.ended(stream, "end of stream"))

    def drop(self, how: str) -> None:
        for stream in [*self.streams.values()]:
            self.cut(stream, how=how)

    def cut_inside(self) -> None:
        """Each stream gets a part of one more event, and then its end."""
        cut, self.streams = self.streams, {}
        self.publish(None)
        one = self.buffer[-1]
        for stream in cut.values():
            self.slots[self._slot(stream.sub)] -= 1
            self.world.note("conn.sent", "server", conn=stream.conn, what="raw", torn=one.id)
            self.world.note("conn.end", "server", conn=stream.conn, by="server", how="close", bytes=0)
            self.world.arrive(stream, partial(self.clients.torn, stream, one))

    def crash(self, down: float) -> None:
        self.world.note("server.stop", "server", how="crash")
        self.up = False
        self.drop("rst")
        self.world.at(down, self._start)

    def restart(self, down: float) -> None:
        """Go away in order and come back with the replay buffer."""
        if "forgets-on-graceful-restart" in self.world.defects:
            self.crash(down)
            return
        self.world.note("server.stop", "server", how="graceful")
        self.up = False
        self.drop("fin")
        self.world.at(down, self._back)

    def _back(self) -> None:
        self.up = True
        self.world.note("server.start", "server", epoch=self.epoch)

    def _start(self) -> None:
        self.restarts += 1
        self.buffer, self.seqs, self.number, self.up = [], {}, 0, True
        if "reuses-ids-after-restart" not in self.world.defects:
            self.epoch = f"e{self.restarts}"
        self.world.note("server.start", "server", epoch=self.epoch)

    def flag(self, enabled: bool) -> None:
        self.world.note("flag.set", enabled=enabled)
        self.enabled = enabled
        if enabled or "ignores-kill-switch" in self.world.defects:
            return
        if "kill-switch-mutes" in self.world.defects:
            for stream in self.streams.values():
                stream.alive = False
        else:
            for stream in self.streams.values() if "kill-switch-keeps-slots" in self.world.defects else ():
                self.slots[self._slot(stream.sub)] += 1
            self.world.at(0.05, lambda: self.drop("fin"))

    def rollout(self, percent: float) -> None:
        """Set the percentage, end the streams of those who are out, and give it the promised time."""
        self.world.note("step", step="rollout", state="begin", percent=percent)
        self.world.note("flag.set", enabled=percent > 0, percent=percent)
        self.percent = percent
        ended = [one for one in [*self.streams.values()] if not self.has(one.sub.user)]
        for stream in ended:
            self.cut(stream)
        if ended and "errors-after-rollback" in self.world.defects:
            self.broken_until = self.world.now + 8.0
        self.world.run(2.0)
        self.world.note("step", step="rollout", state="end", percent=percent)

    def has(self, user: str) -> bool:
        """Whether the flag is on for a user, whose place is a hash of his name."""
        self.asked += 1
        if "flag-not-sticky" in self.world.defects:
            user = f"{user}?{self.asked}"
        if "flag-not-sticky-over-restart" in self.world.defects:
            user = f"{user}?{self.restarts}"
        if "flag-not-monotone" in self.world.defects:
            user = f"{user}@{self.percent:g}"
        place = int.from_bytes(hashlib.sha256(f"flag:{user}".encode()).digest()[:4], "big") / 2**32 * 100
        return self.enabled and place / (2 if "flag-wrong-share" in self.world.defects else 1) < self.percent

    def probe_all(self, users: int, repeat: int = 2) -> None:
        """Ask for so many users, several times each, whether the stream is offered."""
        for _ in range(repeat):
            for number in range(users):
                began = self.world.now
                self.world.run(0.002)
                status = 200 if self.has(f"u{number}") else 204
                self.world.note("probe.flag", name="all", user=f"u{number}", status=status, began=began)

    def probe_rest(self, users: list[str]) -> None:
        """Ask each user's REST twins; what they answer depends on what was published, and on nothing else."""
        for twin in ("dashboard", "events") * 2:
            for user in users:
                began, trace = self.world.now, self.has(user) and "rest-twin-differs" in self.world.defects
                self.world.run(0.002)
                status = 500 if self.world.now < self.broken_until else 200
                digest = f"{twin} {user} {self.number} {trace} {status}"
                self.world.note(
                    "probe.rest", name="all", user=user, twin=twin, status=status, digest=digest, began=began
                )
