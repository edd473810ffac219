"""The mock server's state: one object that the data plane and the control plane share, on one event loop."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness import faults, meters
from harness.errors import HarnessError
from harness.history import Writer
from harness.script import Script
from mock_server.effects import Effects
from mock_server.flag import Flag
from mock_server.frames import Frame
from mock_server.handoff import HandoffProtocol
from mock_server.hub import Hub, Wheel
from mock_server.plans import Plan, Plans
from mock_server.settings import Settings
from mock_server.stream import StreamProtocol, Ticket

KEPT_RECORDS: Final = 2_000
BROKEN_FOR: Final = 8.0
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
        self.flag = Flag(settings.enabled, defects=self.defects)
        self.broken_until = 0.0
        self.unlucky: str | None = None
        self.effects = Effects(self._fault_over)
        self.plans = Plans(self.effects)
        for one in settings.faults:
            self.plans.add_fault(**one, kept=True)
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

    def start(self) -> None:
        """Record the beginning, and the faults of the settings: they are what is judged, so they excuse nothing."""
        self.record("server.start", epoch=self.hub.epoch, incarnation=self.incarnation)
        for one in self.settings.faults:
            self.record("server.fault", state="on", defect=True, **one)

    def _fault_over(self, name: str, kept: bool) -> None:
        self.record("server.fault", name=name, state="off", **({"defect": True} if kept else {}))

    def next_conn(self) -> str:
        """An id of a connection that no other one has, in no incarnation."""
        self._conns += 1
        return f"c{self.incarnation}-{self._conns}"

    def publish(self, user: str | None, type: str | None = None, body: Mapping[str, Any] | None = None) -> Frame:
        """Commit and deliver one event. Raises HarnessError."""
        if "kill-switch-only-on-event" in self.defects:
            self._kill()
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

    def open(self, connection: HandoffProtocol, ticket: Ticket, script: Script, plans: Sequence[Plan] = ()) -> None:
        """Hand the connection over and play the script of these plans on it; its end gives back the slot, if any."""
        stream = StreamProtocol(ticket, script, hub=self.hub, wheel=self.wheel, record=self.record, gone=self._gone)
        self.streams[stream] = None
        self.plans.use(plans, stream)
        connection.hand_over(stream)

    def _gone(self, stream: StreamProtocol) -> None:
        self.streams.pop(stream, None)
        self.effects.gone(stream)
        if stream.ticket.slot:
            self.hub.free_slot(stream.ticket.slot, resumed=bool(stream.ticket.last_event_id))

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
        waits = not now or attempts is not None
        effect = (
            self.plans.add_fault(name, parameters, sub=sub, attempts=attempts)
            if waits
            else self.effects.begin(name, waiting=False)
        )
        told = {"parameters": dict(parameters), "sub": sub, "attempts": attempts, "live": len(chosen)}
        self.record("server.fault", name=name, state="on", **told)
        for stream in chosen:
            self.effects.play(effect, stream)
        for stream in chosen:
            stream.play(rest)
        self.effects.settle(effect)
        return len(chosen)

    def remove_fault(self, name: str | None, sub: str | None = None) -> None:
        """Take back the faults of this name (None: all); streams that play them go on as good ones."""
        taken = self.plans.remove_fault(name, sub) + ([] if sub is not None else self.effects.played(name))
        for effect in taken:
            for stream in list(effect.players):
                self.effects.leave(effect, stream)
                stream.mend()
            self.effects.stop(effect)

    def set_flag(self, **change: Any) -> int:
        """Change the flag and end the streams of every user who is off now; how many ended."""
        self.flag.set(**change)
        self.record("flag.set", **{**self.flag.as_dict(), "user": change.get("user")})
        if "ignores-kill-switch" in self.defects or "kill-switch-only-on-event" in self.defects:
            return 0
        return self._kill()

    def _kill(self) -> int:
        """End the streams of every user for whom the flag is off; how many ended."""
        off = [one for one in self.streams if one.ticket.user is not None and not self.flag.is_on(one.ticket.user)]
        for stream in off:
            if "kill-switch-keeps-slots" in self.defects:
                self.hub.slots.held[stream.ticket.slot] += 1
            if "kill-switch-mutes" in self.defects:
                stream.hush()
            else:
                stream.end("fin", "kill-switch")
        if off and "errors-after-rollback" in self.defects:
            self.broken_until = time.monotonic() + BROKEN_FOR
        return len(off)

    def set_defect(self, name: str, on: bool) -> None:
        (self.defects.add if on else self.defects.discard)(name)
        self._recount()

    def heal(self) -> None:
        """Forget scripts, faults, and every defect that was not there at the start."""
        self.plans.clear()
        for stream in self.effects.clear():
            stream.mend()
        self.defects.clear()
        self.defects.update(self.settings.defects)
        self._recount()

    def _recount(self) -> None:
        """Give back the slots that a defect has kept."""
        if "never-frees-slot" not in self.defects:
            self.hub.slots.held = Counter(one.ticket.slot for one in self.streams if one.ticket.slot)

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
        if how == "graceful" and "forgets-on-graceful-restart" not in self.defects:
            saved["hub"] = self.hub.save()
        elif "reuses-ids-after-restart" in self.defects:
            saved["epoch"] = self.hub.epoch
        return saved

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take what the incarnation before has saved."""
        self.flag = Flag(**saved["flag"], defects=self.defects)
        self.defects.clear()
        self.defects.update(saved["defects"])
        self.plans.restore(saved["plans"])
        if "hub" in saved:
            self.hub.restore(saved["hub"])
