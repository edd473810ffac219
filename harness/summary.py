"""What a load engine writes instead of one record per event: runs of events of which there is nothing to tell.

Theory.  An event that is whole, its subscriber's own, in time, valid, and next in the order of its channel on the same
connection extends a run; a run is one record (`sub.run`) that stands for all of its events, and its moment is that of
the last one.  Any other event ends the runs of its subscriber and becomes a full record, at most the first thousand of
a kind; whatever else a subscriber tells ends its runs too, and so does a silence of half a heartbeat, so that the order
of what it got and did, and when it got nothing, is kept.  A comment is a record of its own and ends nothing, nor do
bytes of which there is nothing to tell.  The ledger and the checks come to the same for runs as for the events that
they stand for.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from harness.checks.schema import Schemas
from harness.history import Record
from harness.target import Promises
from harness.testevent import ALL, channel_of

KEPT: Final = 1000
UNHEARD: Final = 0.5  # seconds of silence that end a run where no heartbeat is promised
REMEMBERED: Final = 10_000  # payloads of which it is remembered that they are valid


@dataclass(slots=True)
class _Run:
    """Events first..last of one channel, in order, on one connection; the last one came at `t`."""

    sub: str
    attempt: int
    channel: str
    epoch: str
    first: int
    last: int
    id: str
    since: float
    t: float
    role: str
    slowest: float = 0.0
    valid: int = 0
    invalid: int = 0
    types: dict[str, int] = field(default_factory=dict)

    def record(self) -> Record:
        return Record(self.t, "sub.run", {name: getattr(self, name) for name in _TOLD}, self.role)


_TOLD: Final = (
    "sub", "attempt", "channel", "epoch", "first", "last", "id", "since", "slowest", "valid", "invalid", "types",
)  # fmt: skip


@dataclass(slots=True)
class _Stream:
    """What the summary keeps of one subscriber; its runs by channel, the one that got the latest event last."""

    user: str = ""
    heard: float | None = None
    runs: dict[str, _Run] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=dict)


class Summary:
    """Feed it every record of this process; write what it returns. `offset` is wall clock minus monotonic clock."""

    def __init__(self, promises: Promises, *, offset: float = 0.0) -> None:
        self.kept: Counter[str] = Counter()
        self._untold: Counter[tuple[str, str, str]] = Counter()  # of what was torn or another user's
        self._latest = Record(0.0, "", {})
        self._bound = promises.max_latency
        self._patience = UNHEARD if promises.heartbeat is None else promises.heartbeat / 2
        self._schemas = Schemas(promises.schemas)
        self._known: dict[tuple[str, str, str], str | None] = {}
        self._offset = offset
        self._streams: dict[str, _Stream] = {}

    def feed(self, record: Record) -> list[Record]:
        """The records to be written now, in order."""
        if not record.kind.startswith("sub."):
            return [record]
        self._latest = record
        stream = self._streams.setdefault(str(record["sub"]), _Stream())
        silent = stream.heard is not None and record.t - stream.heard > self._patience
        ended = self._ended(stream) if silent else []
        stream.heard = record.t
        if record.kind in ("sub.comment", "sub.stirred"):
            return [*ended, record]
        if record.kind == "sub.event" and record.get("channel") is not None:
            return [*ended, *self._event(stream, record)]
        if record.kind == "sub.start":
            stream.user = str(record["user"])
        return [*ended, *self._ended(stream), record]

    def flush(self) -> list[Record]:
        """End all runs, at the end of an interval, and tell how many events there were of which nothing else tells."""
        ended = [run for stream in self._streams.values() for run in self._ended(stream)]
        names = ("sub", "channel", "fate", "count")
        t, role = self._latest.t, self._latest.role
        untold = [
            Record(t, "untold", dict(zip(names, (*about, count), strict=True)), role)
            for about, count in self._untold.items()
        ]
        self._untold.clear()
        return [*ended, *untold]

    @staticmethod
    def _ended(stream: _Stream) -> list[Record]:
        runs, stream.runs = stream.runs, {}
        return [run.record() for run in runs.values()]

    def _event(self, stream: _Stream, record: Record) -> list[Record]:
        name, seq = (str(record["epoch"]), str(record["channel"])), int(record["seq"])
        delay = record.t + self._offset - float(record["at"])
        kind = self._kind(stream, record, delay)
        expected = stream.last.get(name, 0) + 1
        stream.last[name] = max(seq, stream.last.get(name, 0))
        if record.get("via") == "poll":
            return [*self._ended(stream), record]  # it came on no connection
        if not kind and seq != expected and expected > 1:
            kind = "order"
        if kind and self.kept[kind] < KEPT:
            return self._told(stream, record, kind)
        if kind in ("torn", "cross-user"):
            own = name[1] in (ALL, channel_of(stream.user))
            self._untold[str(record["sub"]), name[1] if own else "?", kind] += 1
            return self._ended(stream)
        # One that is late or out of order was delivered all the same: the run says how late it was.
        breach = self._breach(record)
        if breach and self.kept["schema"] < KEPT:
            return self._told(stream, record, "schema")
        run = stream.runs.pop(name[1], None)
        ended = []
        if run is None or run.attempt != record["attempt"] or run.epoch != name[0] or seq != run.last + 1:
            ended = [] if run is None else [run.record()]
            about = (str(record["sub"]), int(record["attempt"]), name[1], name[0])
            run = _Run(*about, seq, seq, str(record["id"]), record.t, record.t, record.role)
        run.last, run.id, run.t = seq, str(record["id"]), record.t
        run.slowest = max(run.slowest, delay)
        run.valid += breach == ""
        run.invalid += bool(breach)
        kind = str(record["type"])
        run.types[kind] = run.types.get(kind, 0) + 1
        stream.runs[name[1]] = run
        return ended

    def _kind(self, stream: _Stream, record: Record, delay: float) -> str:
        """Why an event has to be told in full; nothing if there is nothing to tell."""
        if not record.get("intact", True):
            return "torn"
        if record.get("owner") is not None and str(record["owner"]) != stream.user:
            return "cross-user"
        if self._bound is not None and delay > self._bound:
            return "stale"
        return ""

    def _breach(self, record: Record) -> str | None:
        """As `Schemas` has it; the digest of an event that is whole stands for its payload, which many may get.

        Where there is more in the payload than the digest covers, the record has its text.
        """
        name = (str(record["type"]), str(record.get("digest")), str(record.get("data") or ""))
        if name not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            try:
                self._known[name] = self._schemas.breach(record)
            except Exception as exc:  # a schema that cannot be used: told in full, the check stumbles over the same
                self._known[name] = str(exc)
        return self._known[name]

    def _told(self, stream: _Stream, record: Record, kind: str) -> list[Record]:
        self.kept[kind] += 1
        return [*self._ended(stream), record]
