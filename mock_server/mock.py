"""The mock server's state: one object that the data plane and the control plane share, on one event loop."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from harness import faults, meters
from harness.errors import HarnessError
from harness.history import Writer
from harness.script import Script
from mock_server.flag import Flag
from mock_server.frames import Frame
from mock_server.handoff import HandoffProtocol
from mock_server.hub import Hub, Wheel
from mock_server.plans import Plans
from mock_server.settings import Settings
from mock_server.stream import StreamProtocol, Ticket

KEPT_RECORDS: Final = 2_000
_TORN: Final = b'event: notification\ndata: {"torn": '
_DROPS: Final[Mapping[str, Callable[[StreamProtocol], None]]] = {
    "fin": lambda stream: stream.end("fin", "drop"),
    "rst": lambda stream: stream.end("rst", "drop"),
    "silence": lambda stream: stream.hush(),
    "mid-event": lambda stream: stream.end("close", "drop", last=_TORN),
}


class Mock:
    """Everything that one incarnation of the server knows. `writer` is its file of the history, if it has one."""

    def __init__(
        self, settings: Settings, *, secret: str, epoch: str, incarnation: int = 0, writer: Writer | None = None
    ) -> None:
        self.settings = settings
        self.secret = secret
        self.incarnation = incarnation
        self.defects = set(settings.defects)
        self.hub = Hub(settings, epoch, self.defects)
        self.wheel = Wheel()
        self.flag = Flag(settings.enabled)
        self.plans = Plans()
        self.streams: dict[StreamProtocol, None] = {}
        self.records: deque[dict[str, Any]] = deque(maxlen=KEPT_RECORDS)
        self._writer = writer
        self._conns = 0
        self.closing = False

    def record(self, kind: str, **data: Any) -> None:
        """Write one record, and keep it for `GET /history`."""
        now = time.monotonic()
        self.records.append({"t": now, "kind": kind, **data})
        if self._writer is not None:
            self._writer.write(kind, t=now, **data)

    def next_conn(self) -> str:
        """An id of a connection that no other one has, in no incarnation."""
        self._conns += 1
        return f"c{self.incarnation}-{self._conns}"

    def publish(self, user: str | None, type: str | None = None, body: Mapping[str, Any] | None = None) -> Frame:
        """Commit and deliver one event. Raises HarnessError."""
        at = time.time()
        before = time.monotonic()
        frame = self.hub.publish(user, type, body, at)
        told = {"channel": frame.channel, "owner": frame.owner, "epoch": self.hub.epoch, "seq": frame.seq}
        digest = frame.payload["digest"]
        data = {**told, "id": frame.id, "type": frame.type, "digest": digest, "at": at}
        self.records.append({"t": before, "kind": "published", **data})
        if self._writer is not None:
            self._writer.write("published", t=before, **data)
        return frame

    # connections

    def open(self, connection: HandoffProtocol, ticket: Ticket, script: Script) -> None:
        """Hand the connection over and play the script on it; its end gives the user's slot back, if it has one."""
        stream = StreamProtocol(ticket, script, hub=self.hub, wheel=self.wheel, record=self.record, gone=self._gone)
        self.streams[stream] = None
        connection.hand_over(stream)

    def _gone(self, stream: StreamProtocol) -> None:
        self.streams.pop(stream, None)
        if stream.ticket.slot and stream.ticket.user is not None:
            self.hub.free_slot(stream.ticket.user)

    def live(self, user: str | None = None, sub: str | None = None) -> list[StreamProtocol]:
        """The streams in their Stream step, of one user or subscriber or of all."""
        return [
            one
            for one in self.streams
            if one.live and user in (None, one.ticket.user) and sub in (None, one.ticket.sub)
        ]

    # what the control plane orders

    def drop(self, how: str, user: str | None = None) -> int:
        """End the live streams by fin, rst, silence (they stay and say nothing) or mid-event; how many."""
        if how not in _DROPS:
            raise HarnessError(f"streams are dropped by fin, rst, silence or mid-event, not {how!r}")
        chosen = self.live(user)
        self.record("server.fault", name=f"drop:{how}", state="on", user=user, live=len(chosen))
        for stream in chosen:
            _DROPS[how](stream)
        return len(chosen)

    def add_fault(
        self, name: str, parameters: Mapping[str, Any], *, attempts: int | None, sub: str | None, live: bool | None
    ) -> int:
        """Let a fault loose: on live streams now (how many is returned), on the next attempts, or on all of them.

        Without `attempts` and `live`, one that ends or cuts a stream hits the live ones, any other all attempts.
        """
        now = (attempts is None and name in faults.LIVE) if live is None else live
        rest = faults.rest_of(faults.applied(name, parameters=parameters))
        chosen = self.live(sub=sub) if now else []
        for stream in chosen:
            stream.play(rest)
        if not now or attempts is not None:
            self.plans.add_fault(name, parameters, sub=sub, attempts=attempts)
        return len(chosen)

    def set_flag(self, **change: Any) -> int:
        """Change the flag and end the streams of every user who is off now; how many ended."""
        self.flag.set(**change)
        self.record("flag.set", **{**self.flag.as_dict(), "user": change.get("user")})
        if "ignores-kill-switch" in self.defects:
            return 0
        off = [one for one in self.streams if one.ticket.user is not None and not self.flag.is_on(one.ticket.user)]
        for stream in off:
            stream.end("fin", "kill-switch")
        return len(off)

    def set_defect(self, name: str, on: bool) -> None:
        (self.defects.add if on else self.defects.discard)(name)
        self._recount()

    def heal(self) -> None:
        """Forget scripts, faults, and every defect that was not there at the start."""
        self.plans.clear()
        self.defects.clear()
        self.defects.update(self.settings.defects)
        self._recount()

    def _recount(self) -> None:
        """Give back the slots that a defect has kept."""
        if "never-frees-slot" not in self.defects:
            held = [one.ticket.user for one in self.streams if one.ticket.slot and one.ticket.user is not None]
            self.hub.slots.held = Counter(held)

    def end_all(self, how: str, reason: str) -> None:
        for stream in list(self.streams):
            stream.end("rst" if how == "rst" else "fin", reason)

    def stats(self) -> dict[str, Any]:
        """What this process holds: open streams, slots by user, and what the system says of it."""
        return {
            "open": len(self.live()),
            "slots": dict(self.hub.slots.held),
            "epoch": self.hub.epoch,
            "incarnation": self.incarnation,
            "published": self.hub.number,
            **meters.holdings(),
        }

    # over a restart

    def save(self, how: str) -> dict[str, Any]:
        """What the next incarnation is given: always what was ordered, and the hub's own only by a graceful one."""
        saved: dict[str, Any] = {
            "flag": self.flag.as_dict(),
            "defects": sorted(self.defects),
            "plans": self.plans.save(),
        }
        if how == "graceful":
            saved["hub"] = self.hub.save()
        elif "reuses-ids-after-restart" in self.defects:
            saved["epoch"] = self.hub.epoch
        return saved

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what the incarnation before has saved."""
        self.flag = Flag(**saved["flag"])
        self.defects.clear()
        self.defects.update(saved["defects"])
        self.plans.restore(saved["plans"])
        if "hub" in saved:
            self.hub.restore(saved["hub"])
