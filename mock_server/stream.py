"""One connection after it was handed over: plays a script, and in its Stream step the event stream.

States: playing steps (`_advance` until one has to wait) -> inside a Stream step (live: in the hub and on the wheel)
-> ended (`end`, decided by the server) -> lost (`connection_lost`, said by the transport).  The slot is given back
when the end is decided or the client is gone, whichever is first, so that a client that comes back at once finds it
free.  An idle stream has no task, no queue and at most one timer.

The transport's high-water mark is 0: writing is paused exactly while the kernel's send buffer (SO_SNDBUF) is full.
From then on events wait in a Lane, and a peer that takes nothing for the write timeout is cut with RST.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, assert_never

from harness.redaction import redact_url
from harness.script import PLAIN, Close, Finish, Redirect, Reset, Respond, Script, Send, Silence, Step, Stream, Wait
from mock_server import frames
from mock_server.frames import Frame
from mock_server.head import head_of, redirect_head
from mock_server.hub import Hub, Wheel
from mock_server.lane import Dropped, Filter, Lane
from mock_server.respell import cut, respelled
from mock_server.wire import PACED_BYTES, Wire

End = Literal["fin", "close", "rst", "timeout", "limit"]
LONGEST_TIMER: Final = 30 * 86400.0
_ID: Final = re.compile(rb"^id: ?([^\r\n\0]*)$", re.MULTILINE)
_RETRY: Final = re.compile(rb"retry: ?([0-9]{1,15})\n\n")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who the connection is: its id, user (None: a script that needs none), HTTP version, and when it has to end.

    `deadline` is in seconds from the hand-over, `deadline_reason` token-expired or lifetime; `slot`: whose it holds.
    """

    conn: str
    user: str | None
    http: str = "1.1"
    sub: str | None = None
    last_event_id: str | None = None
    origin: str | None = None
    deadline: float | None = None
    deadline_reason: str = ""
    slot: str = ""
    url: str = "/"
    host: str = ""
    hops: int = 0


class StreamProtocol(asyncio.Protocol):
    """Plays one script over one transport; `record` writes a record, `gone` is called once when it needs no slot."""

    __slots__ = (
        "_advancing",
        "_bytes_sent",
        "_count",
        "_deadline",
        "_ended",
        "_filter",
        "_group",
        "_hub",
        "_joined",
        "_lane",
        "_left",
        "_on_gone",
        "_overdue",
        "_paused",
        "_record",
        "_script",
        "_silent",
        "_skip",
        "_stalled",
        "_step",
        "_timer",
        "_until",
        "_wheel",
        "ticket",
        "wire",
    )

    def __init__(
        self,
        ticket: Ticket,
        script: Script,
        *,
        hub: Hub,
        wheel: Wheel,
        record: Callable[..., None],
        gone: Callable[["StreamProtocol"], None],
    ) -> None:
        self.ticket = ticket
        self.wire = Wire()
        self._script = script
        self._hub = hub
        self._wheel = wheel
        self._record = record
        self._on_gone = gone
        self._step: Stream | None = None
        self._left = self._bytes_sent = self._skip = self._count = 0
        self._advancing = self._silent = self._joined = self._paused = self._overdue = False
        self._ended: tuple[str, str, str] | None = None
        self._group: dict[Any, None] | None = None
        self._lane: Lane | None = None
        self._filter: Filter | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def live(self) -> bool:
        """Whether it is in its Stream step."""
        return self._step is not None and self._ended is None

    # the transport

    def connection_made(self, transport: Any) -> None:
        self.wire.transport = transport
        transport.set_write_buffer_limits(high=0)
        transport.resume_reading()
        if self.ticket.deadline is not None and self.ticket.deadline < LONGEST_TIMER:
            self._deadline = _later(max(0.0, self.ticket.deadline), self._expire)
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Whatever a client sends behind its request is ignored: nobody answers on this connection any more."""

    def eof_received(self) -> bool | None:
        # A half-closed client cannot be told from one that has gone; the transport closes itself.
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is None:
            self._ended = ("client", "fin" if exc is None else "rst", "")
        self._release()
        for timer in (self._stalled, self._deadline):
            if timer is not None:
                timer.cancel()
        by, how, reason = self._ended
        self._record("conn.end", conn=self.ticket.conn, by=by, how=how, reason=reason, bytes=self.wire.bytes)
        self.wire.transport = None

    def pause_writing(self) -> None:
        self._paused = True
        if self._stalled is None and self._ended is None:
            self._stalled = _later(self._hub.settings.write_timeout, self._stall, self.wire.unsent)

    def resume_writing(self) -> None:
        self._paused = False
        if self._stalled is not None and self._ended is None:
            self._stalled.cancel()
            self._stalled = None
        self._drain()

    # what the hub and the wheel call

    def deliver(self, frame: Frame) -> None:
        """One live event."""
        if self._overdue:
            self._end_expired()
            return
        if self._silent:
            return
        if self._skip:
            self._skip -= 1
        elif self._lane is None and not self._paused and not self.wire.full:
            self._event(frame)
        else:
            if self._lane is None:
                self._lane = Lane(self._hub.settings.queue_events, None, self._hub.id_of(frame.number - 1))
            self._lane.push(frame)
            self._drain()

    def beat(self) -> None:
        """Send a heartbeat, unless there is no room for one."""
        if self._paused or self._silent or self._step is None or self.wire.full:
            return
        if self.wire.held and "late-headers-on-resume" not in self._hub.defects:
            return
        if "no-heartbeat" in self._hub.defects:
            return
        if "no-heartbeat-on-resume" in self._hub.defects and self.ticket.last_event_id:
            return
        numbered = "heartbeat-with-id" in self._hub.defects
        if self._body(frames.heartbeat(f"hb-{self._hub.number}" if numbered else "")):
            self._sent("heartbeat")
        if "resets-in-between" in self._hub.defects:
            self._tell_reset("unknown", "")

    # what the control plane calls

    def end(self, how: End, reason: str, *, last: bytes = b"") -> None:
        """End the connection now: `fin` after the final chunk, `close` without it, `rst`; `last` is sent before."""
        if self._ended is not None or self.wire.transport is None:
            return
        self.wire.flush()
        if last:
            self.wire.body(last)
            if reason == "drop":
                self._sent("raw")
            else:
                self._sent("retry", retry_ms=self._hub.settings.retry_ms)
        self._ended = ("server", how, reason)
        self._release()
        if how in ("rst", "timeout"):
            self.wire.reset()
            return
        self.wire.close(final=how in ("fin", "limit"))
        # A peer that does not read would keep a closing transport for ever.
        if self._stalled is None and self.wire.unsent:
            self._stalled = _later(self._hub.settings.write_timeout, self.wire.reset)

    def play(self, script: Script) -> None:
        """Play other steps from now on (a fault that hits a live stream)."""
        if self.live:
            self.wire.flush()
            self._cancel()
            for held in [] if self._filter is None else self._filter.rest():
                self._whole(held)
            self._script = script
            self._advance(begun=True)

    def mend(self) -> None:
        """Go on as a good stream does; what is silent stays so, for it has lost events."""
        if not self._silent and self._step != PLAIN:
            self.play((PLAIN,))

    def hush(self) -> None:
        """Send nothing any more, and keep the connection."""
        self._silent = True

    # steps

    def _advance(self, *, begun: bool = False) -> None:
        """Play steps until one has to wait; `begun`: the stream is live already, so it does not begin again."""
        if self._advancing:
            return
        self._advancing = True
        while self._ended is None and self._script:
            step, self._script = self._script[0], self._script[1:]
            if not self._play(step, begun=begun):
                break
        else:
            self.end("fin", "script")
        self._advancing = False
        if self.wire.held and not (self.live and self._late_head()):
            self.wire.write(b"")

    def _late_head(self) -> bool:
        resumed = bool(self.ticket.last_event_id)
        return "late-headers" in self._hub.defects or (resumed and "late-headers-on-resume" in self._hub.defects)

    def _play(self, step: Step, *, begun: bool) -> bool:
        """Play one step; whether the next may follow at once."""
        match step:
            case Respond():
                head, headers, self.wire.chunks = head_of(step, self.ticket.http, self.ticket.origin, self._hub.defects)
                self.wire.hold(head)
                if step.coding is not None:
                    self.wire.compress()
                self._record("conn.response", conn=self.ticket.conn, status=step.status, headers=headers)
            case Redirect(hops=hops) if hops is not None and self.ticket.hops >= hops:
                pass
            case Redirect():
                self._redirect(step)
            case Send(data, raw):
                (self.wire.write if raw else self.wire.body)(data)
                self._sent("raw")
            case Wait(seconds):
                self._timer = _later(seconds, self._waited)
                return False
            case Finish():
                self.end("fin", "script")
            case Close():
                self.end("close", "script")
            case Reset():
                self.wire.write(b"")
                self.end("rst", "script")
            case Silence():
                self.hush()
                return False
            case Stream():
                return self._enter(step, begun=begun)
            case _:
                assert_never(step)
        return True

    def _redirect(self, step: Redirect) -> None:
        one = self.ticket
        head, where = redirect_head(step, url=one.url, host=one.host, hops=one.hops, origin=one.origin)
        shown = {} if where is None else {"location": redact_url(where, one.user)}
        self._record("conn.response", conn=one.conn, status=step.status, headers=shown)
        self.wire.write(head)
        self.end("close", "script")

    def _waited(self) -> None:
        self._timer = None
        self._advance()

    def _enter(self, step: Stream, *, begun: bool) -> bool:
        """Enter a Stream step; whether it is over already."""
        self._step, self._left, self._bytes_sent, self._count = step, step.events or 0, 0, 0
        self._filter = Filter(step) if step.duplicate or step.omit or step.reorder else None
        if not begun:
            self._begin(step)
        if self.live and not step.insert_after:
            self._insert(step)
        if not self.live:
            return True
        if step.events == 0 and step.cut is None:
            self._leave_step()
            return True
        if step.seconds is not None:
            self._until = _later(step.seconds, self._leave_step)
        if step.dribble is not None:
            self.wire.pace(step.dribble, 1, self._drain)
        elif step.buffer is not None or "buffers-2s" in self._hub.defects:
            self.wire.pace(2.0 if step.buffer is None else step.buffer, 2 * PACED_BYTES, self._drain)
        self._drain()
        return not self.live

    def _begin(self, step: Stream) -> None:
        """Begin the stream: the retry field, a reset if one is due, and the replay; then it is live."""
        user, hub = self.ticket.user or "", self._hub
        start = hub.resume(user, self.ticket.last_event_id)
        field = frames.retry(hub.settings.retry_ms)
        if step.cut_bytes is None:
            self.wire.hold(field, body=True)
        elif not self._body(field):
            return
        self._sent("retry", retry_ms=hub.settings.retry_ms)
        self._skip = start.skip
        asked = self.ticket.last_event_id
        told = {"after": start.after, "replayed": len(start.replay), "reset": start.reset}
        self._record("conn.resumed", conn=self.ticket.conn, asked=asked, **told)
        if start.reset is not None:
            self._tell_reset(start.reset, start.after)
        if not self.live:
            return
        if start.replay or hub.settings.throttle:
            self._lane = Lane(hub.settings.queue_events, hub.settings.throttle, start.after)
            self._lane.replay(start.replay)
        hub.join(user, self)
        self._group = self._wheel.add(self)
        self._joined = True

    def _tell_reset(self, reason: str, after: str) -> None:
        data = {"reason": reason, "after": after, "epoch": self._hub.epoch}
        self.wire.body(frames.control("reset", data))
        self._sent("reset", **data)

    def _leave_step(self) -> None:
        """The Stream step is over: what follows in the script is played, and nothing more of the stream."""
        self.wire.flush()
        self._step = self._lane = None
        self._leave_hub()
        self._cancel()
        self._advance()

    # events on their way out

    def _event(self, frame: Frame) -> None:
        """Send one event, through the filters of the step."""
        if self._step is None or self._silent:
            return
        if self._step.plain:
            self._whole(frame)
            return
        for one in [frame] if self._filter is None else self._filter.through(frame):
            if self._step is not None:
                self._bounded(one, self._step)

    def _bounded(self, frame: Frame, step: Stream) -> None:
        """Send one event, whole or cut, and leave the step if it was the last."""
        if step.cut is not None and self._left <= 0:
            part = cut(frame.raw, step.cut)
            self.wire.body(part)
            self._torn(frame.id, len(part))
            return
        if not self._respelled(frame, step):
            return
        self._count += 1
        if step.insert_after and self._count == step.insert_after:
            self._insert(step)
        self._left -= 1
        if self._step is step and step.events is not None and self._left <= 0 and step.cut is None:
            self._leave_step()

    def _respelled(self, frame: Frame, step: Stream) -> bool:
        """Send one whole event with the line ends of the step; False if the step's last byte came before its end."""
        if step.line_ends is None and step.cut_bytes is None:
            self._whole(frame)
            return True
        parts = respelled(frame.raw, step.line_ends or "lf")
        if not all(self._body(part, frame.id) for part in parts):
            return False
        self._tell(frame)
        return True

    def _insert(self, step: Stream) -> None:
        """Send what the step inserts into the stream."""
        if not step.insert:
            return
        fill = b"" if step.insert_fill is None else b"x" * step.insert_fill + b"\n\n"
        if self._body(step.insert + fill):
            asked = _RETRY.fullmatch(step.insert)
            if asked is not None:
                self._sent("retry", retry_ms=int(asked[1]))
            else:
                set_to = _ID.search(step.insert)
                self._sent("raw", **({} if set_to is None else {"id": set_to[1].decode(errors="replace")}))

    def _body(self, data: bytes, id: str = "") -> bool:
        """Send a part of the stream, up to the step's last byte; False if that came before the end of the part."""
        step = self._step
        if step is None or step.cut_bytes is None:
            self.wire.body(data)
            return True
        room = step.cut_bytes - self._bytes_sent
        self._bytes_sent += len(data)
        self.wire.body(data[:room])
        if len(data) > room:
            self._torn(id, room)
        elif len(data) == room:
            self._leave_step()
        return len(data) <= room

    def _whole(self, frame: Frame) -> None:
        wire = self.wire
        if wire.coder is None:
            wire.write(frame.chunked if wire.chunks else frame.raw)
        else:
            wire.body(frame.raw)
        self._tell(frame)

    def _tell(self, frame: Frame) -> None:
        if self._hub.settings.history_events:
            told = {"id": frame.id, "type": frame.type, "channel": frame.channel, "seq": frame.seq}
            self._record("conn.sent", conn=self.ticket.conn, what="event", **told)

    def _torn(self, id: str, size: int) -> None:
        """Only a part was sent, of an event if there is an id: the step is over."""
        self._sent("raw", bytes=size, **({"torn": id} if id else {}))
        self._leave_step()

    def _drain(self) -> None:
        """Send what waits in the lane, as far as it is due and there is room."""
        lane = self._lane
        if lane is None or not self.live:
            return
        now = asyncio.get_running_loop().time
        while self.live and not self._paused and not self.wire.full:
            match lane.take(now()):
                case None:
                    break
                case Dropped(lost, after, before):
                    told = {"count": lost, "after": after, "before": before}
                    if self._body(frames.control("dropped", told)):
                        self._sent("dropped", **told)
                case frame:
                    self._event(frame)
        if lane.needless:
            self._lane = None
        elif not self._paused and self._timer is None and (due := lane.due(now())) is not None:
            self._timer = _later(due, self._due)

    def _due(self) -> None:
        self._timer = None
        self._drain()

    # ends

    def _stall(self, unsent: int) -> None:
        self._stalled = None
        if self.wire.unsent < unsent:
            self._stalled = _later(self._hub.settings.write_timeout, self._stall, self.wire.unsent)
        else:
            self.end("timeout", "write-timeout")

    def _expire(self) -> None:
        self._deadline = None
        if self.ticket.deadline_reason == "token-expired":
            if "accepts-expired-token" in self._hub.defects:
                return
            if "expires-only-on-event" in self._hub.defects:
                self._overdue = True
                return
        self._end_expired()

    def _end_expired(self) -> None:
        # Reestablishing finds 401 or a fresh token; the retry field keeps that from being a storm.
        last = frames.retry(self._hub.settings.retry_ms) if self.live and not self._silent else b""
        reason = self.ticket.deadline_reason
        self.end("fin" if reason == "token-expired" else "limit", reason, last=last)

    def _leave_hub(self) -> None:
        if self._group is not None:
            self._group.pop(self, None)
            self._group = None
        if self._joined:
            self._hub.leave(self.ticket.user or "", self)
            self._joined = False

    def _cancel(self) -> None:
        for timer in (self._timer, self._until):
            if timer is not None:
                timer.cancel()
        self._timer = self._until = None

    def _release(self) -> None:
        """Leave the hub, stop what is under way, and give the slot back."""
        self._leave_hub()
        self._cancel()
        self.wire.drop()
        self._lane = None
        gone, self._on_gone = self._on_gone, _nothing
        gone(self)

    def _sent(self, what: str, **more: Any) -> None:
        if self._hub.settings.history_events:
            self._record("conn.sent", conn=self.ticket.conn, what=what, **more)


def _later(seconds: float, call: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call, *arguments)


def _nothing(_: Any) -> None:
    """Nobody waits any more."""
