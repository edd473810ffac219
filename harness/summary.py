"""What a load engine writes instead of one record per event: runs of events of which there is nothing to tell.

Theory.  An event that is whole, its subscriber's own, in time, and next in the order of its channel on the same
connection extends a run; a run is one record (`sub.run`) that stands for all of its events and the comments between.
Any other event ends the run and becomes a full record, at most the first thousand of a kind; whatever else a
subscriber tells ends its runs too, so that the order of what it got and did is kept.  The ledger gives the same
accounts for runs as for the events that they stand for.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from harness.history import Record
from harness.target import Promises

KEPT: Final = 1000


@dataclass(slots=True)
class _Run:
    """Events first..last of one channel, in order, on one connection; `gap` is the stream's longest silence within."""

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
    gap: float = 0.0
    slowest: float = 0.0
    comments: int = 0

    def record(self) -> Record:
        names = ("sub", "attempt", "channel", "epoch", "first", "last", "id", "since", "gap", "slowest", "comments")
        return Record(self.t, "sub.run", {name: getattr(self, name) for name in names}, self.role)


@dataclass(slots=True)
class _Stream:
    """What the summary keeps of one subscriber."""

    user: str = ""
    heard: float | None = None
    runs: dict[str, _Run] = field(default_factory=dict)
    last: dict[tuple[str, str], int] = field(default_factory=dict)


class Summary:
    """Feed it every record of this process; write what it returns. `offset` is wall clock minus monotonic clock."""

    def __init__(self, promises: Promises, *, offset: float = 0.0) -> None:
        self.kept: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()  # anomalies beyond the first thousand of their kind
        self._bound = promises.max_latency
        self._offset = offset
        self._streams: dict[str, _Stream] = {}

    def feed(self, record: Record) -> list[Record]:
        """The records to be written now, in order."""
        if not record.kind.startswith("sub."):
            return [record]
        stream = self._streams.setdefault(str(record["sub"]), _Stream())
        if record.kind == "sub.event" and record.get("channel") is not None:
            written = self._event(stream, record)
        elif record.kind == "sub.comment" and stream.runs:
            for run in stream.runs.values():
                run.gap, run.t = max(run.gap, record.t - (stream.heard or record.t)), record.t
            run.comments += 1
            written = []
        else:
            stream.user = str(record["user"]) if record.kind == "sub.start" else stream.user
            written = [*self._ended(stream), record]
        stream.heard = record.t
        return written

    def flush(self) -> list[Record]:
        """End all runs, at the end of an interval."""
        return [run for stream in self._streams.values() for run in self._ended(stream)]

    @staticmethod
    def _ended(stream: _Stream) -> list[Record]:
        runs = sorted(stream.runs.values(), key=lambda run: run.t)
        stream.runs = {}
        return [run.record() for run in runs]

    def _event(self, stream: _Stream, record: Record) -> list[Record]:
        name, seq = (str(record["epoch"]), str(record["channel"])), int(record["seq"])
        delay = record.t + self._offset - float(record["at"])
        kind = self._kind(stream, record, delay)
        expected = stream.last.get(name, 0) + 1
        stream.last[name] = max(seq, stream.last.get(name, 0))
        if not kind and seq != expected and expected > 1:
            kind = "order"
        if kind in ("stale", "order") and self.kept[kind] >= KEPT:
            # It was delivered all the same: it extends a run, or begins one, and the run says how late it was.
            self.uncounted[kind] += 1
        elif kind:
            return self._anomaly(stream, record, kind)
        run = stream.runs.get(name[1])
        if run is None or run.attempt != record["attempt"] or run.epoch != name[0] or seq != run.last + 1:
            ended = [] if run is None else [stream.runs.pop(name[1]).record()]
            about = (str(record["sub"]), int(record["attempt"]), name[1], name[0])
            run = _Run(*about, seq, seq, str(record["id"]), record.t, record.t, record.role, 0.0, max(0.0, delay))
            stream.runs[name[1]] = run
            return ended
        run.gap = max(run.gap, record.t - (stream.heard or record.t))
        run.last, run.id, run.t = seq, str(record["id"]), record.t
        run.slowest = max(run.slowest, delay)
        return []

    def _kind(self, stream: _Stream, record: Record, delay: float) -> str:
        """Why an event has to be told in full; nothing if there is nothing to tell."""
        if not record.get("intact", True):
            return "torn"
        if record.get("owner") is not None and str(record["owner"]) != stream.user:
            return "cross-user"
        if self._bound is not None and delay > self._bound:
            return "stale"
        return ""

    def _anomaly(self, stream: _Stream, record: Record, kind: str) -> list[Record]:
        ended = self._ended(stream)
        if self.kept[kind] >= KEPT:
            self.uncounted[kind] += 1
            return ended
        self.kept[kind] += 1
        return [*ended, record]
