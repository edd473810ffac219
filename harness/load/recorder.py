"""What a process of subscribers writes down, and what it counts: bounded in memory and on disk.

Theory.  A `Recorder` stands where a `Session` has its writer.  The first `full` events of the process become records
as they are; after that `harness.summary` keeps all that can be judged and writes one record per run of events.  The
`Tally` beside it counts for Locust: latencies and connects since it was last taken.  In a standalone run the records
go to a file; a worker has an `Outbox`, from which they leave in bounded parts.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from harness.history import Record
from harness.kinds import KINDS, SCHEMA
from harness.stats import Histogram
from harness.summary import Summary
from harness.target import Promises

FULL: Final = 20_000
PART: Final = 1 << 20
LARGEST_OUTBOX: Final = 64 << 20
MOST_REASONS: Final = 50
LONGEST_REASON: Final = 80


class Sink(Protocol):
    """Where records go: `harness.history.Writer`, or an outbox."""

    def write(self, kind: str, *, t: float | None = None, **data: Any) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Outbox:
    """A worker's file of the history on its way to the master: lines as `harness.history.Writer` writes them.

    What does not fit into `limit` bytes is dropped and counted.
    """

    now: Callable[[], float]
    header: Mapping[str, Any]
    limit: int = LARGEST_OUTBOX
    dropped: int = 0
    size: int = 0
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.write("history", schema=SCHEMA, **self.header)

    def write(self, kind: str, *, t: float | None = None, **data: Any) -> None:
        if missing := [name for name in KINDS[kind] if name not in data]:
            raise ValueError(f"record {kind} lacks {', '.join(missing)}")
        line = {"t": round(self.now() if t is None else t, 6), "kind": kind, **data}
        text = json.dumps(line, separators=(",", ":"), default=str) + "\n"
        if self.size + len(text) > self.limit:
            self.dropped += 1
            return
        self.size += len(text)
        self.lines.append(text)

    def take(self, most: int = PART) -> str:
        """The oldest whole lines, at most so many bytes of them but at least one line; "" if there are none."""
        count = size = 0
        for text in self.lines:
            if count and size + len(text) > most:
                break
            count, size = count + 1, size + len(text)
        part = "".join(self.lines[:count])
        del self.lines[:count]
        self.size -= size
        return part

    def close(self) -> None:
        """Nothing to do: what is left is taken."""


@dataclass(frozen=True, slots=True)
class Request:
    """One connect, reconnect or lost stream for Locust's statistics; `seconds` it took, `error` "" if it succeeded."""

    name: str
    seconds: float
    error: str = ""


@dataclass(slots=True)
class Tally:
    """Latencies in seconds since the last `take`, all of them in a histogram, and requests."""

    latencies: list[float] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    total: Histogram = field(default_factory=Histogram)
    _began: dict[str, tuple[str, float]] = field(default_factory=dict)
    _lost: dict[str, float] = field(default_factory=dict)
    _reasons: set[str] = field(default_factory=set)

    def note(self, t: float, kind: str, data: Mapping[str, Any], offset: float) -> None:
        """Count a record; `offset` is wall clock minus monotonic clock."""
        match kind:
            # The stamp of an event that is not as it was made can be anything.
            case "sub.event" if data.get("intact") and "at" in data:
                latency = max(0.0, t + offset - float(data["at"]))
                self.latencies.append(latency)
                self.total.add(latency)
            case "sub.attempt":
                # What a user waits for after a loss is the stream, not the request.
                self._began[data["sub"]] = (
                    ("reconnect", self._lost.pop(data["sub"], t)) if data["attempt"] else ("connect", t)
                )
            case "sub.open":
                name, began = self._began.pop(data["sub"], ("connect", t))
                self.requests.append(Request(name, t - began))
            case "sub.error":
                name, began = self._began.pop(data["sub"], ("stream", t))
                self._lost[data["sub"]] = began if name == "reconnect" else t
                self.requests.append(Request(name, t - began, self._known(str(data["reason"]))))
            case "sub.closed":
                self._began.pop(data["sub"], None)
                self._lost.pop(data["sub"], None)
            case _:
                pass

    def take(self) -> tuple[list[float], list[Request]]:
        """What was counted since the last time."""
        taken = (self.latencies, self.requests)
        self.latencies, self.requests = [], []
        return taken

    def _known(self, reason: str) -> str:
        """The reason, cut; Locust keeps one row for each, so there are only so many."""
        reason = reason[:LONGEST_REASON]
        if len(self._reasons) < MOST_REASONS:
            self._reasons.add(reason)
        return reason if reason in self._reasons else "another reason"


@dataclass(slots=True)
class Recorder:
    """Takes records of subscribers, writes what has to be kept, counts the rest."""

    sink: Sink
    now: Callable[[], float]
    promises: Promises
    offset: float
    full: int = FULL
    tally: Tally = field(default_factory=Tally)
    summary: Summary = field(init=False)

    def __post_init__(self) -> None:
        self.summary = Summary(self.promises, offset=self.offset)

    def write(self, kind: str, *, t: float | None = None, **data: Any) -> None:
        t = self.now() if t is None else t
        self.tally.note(t, kind, data, self.offset)
        kept = self.summary.feed(Record(t, kind, data))
        if self.full <= 0:
            self._write(kept)
            return
        self.sink.write(kind, t=t, **data)
        self.full -= kind == "sub.event"
        if self.full == 0:
            self.summary.flush()  # those runs stand for events that are written

    def flush(self) -> None:
        """The end of an interval: what runs is written."""
        kept = self.summary.flush()
        if self.full <= 0:
            self._write(kept)

    def _write(self, records: list[Record]) -> None:
        for record in records:
            self.sink.write(record.kind, t=record.t, **record.data)
