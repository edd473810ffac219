"""Evidence: records, the file they are appended to, and the history that checks read.

Every process of a run appends to a file of its own, one JSON object a line, one writer a file.  Its first line is
the header: schema version, role, host, boot id, process id and one pair of clocks (monotonic, wall).  A line that a
crash tore is dropped, and only the last one can be torn.  `merge` orders the files of one run: files of one boot
share the monotonic clock; others are placed by wall clock, with an error bar that a check may ask for.

Time is an argument: this module reads no clock.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from harness.errors import HarnessError
from harness.kinds import KINDS, SCHEMA, fault

T = TypeVar("T")
WALL_ERROR: Final = 0.05  # seconds by which the wall clock of a host may be wrong that says nothing else


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened: `t` in seconds on the run's monotonic clock, its kind, and the kind's fields.

    `role` is the process that wrote it.
    """

    t: float
    kind: str
    data: Mapping[str, Any]
    role: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.data.get(name, default)


class Writer:
    """Appends records to one file; each line reaches the kernel before `write` returns.

    `now` gives monotonic seconds. `header` holds the fields of the kind `history` without the schema.
    """

    def __init__(self, path: Path, now: Callable[[], float], header: Mapping[str, Any]) -> None:
        self._now = now
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self.write("history", schema=SCHEMA, **header)

    def write(self, kind: str, *, t: float | None = None, **data: Any) -> None:
        """Append one record; `t` defaults to now.  A closed writer drops it."""
        missing = [name for name in KINDS[kind] if name not in data]
        if missing:
            raise ValueError(f"record {kind} lacks {', '.join(missing)}")
        if not self._file.closed:
            line = {"t": round(self._now() if t is None else t, 6), "kind": kind, **data}
            self._file.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class History:
    """The records of one run in the order of time.

    `header` is the runner's header: scenario, target, promises, client, seed, versions.  `clock_error` in seconds
    bounds how wrong the order between records of different hosts can be (0 on one host).
    """

    records: tuple[Record, ...]
    header: Mapping[str, Any] = field(default_factory=dict)
    clock_error: float = 0.0
    _memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def of(self, *kinds: str) -> list[Record]:
        """All records of these kinds, in order."""
        if len(kinds) == 1:
            return self._by_kind().get(kinds[0], [])
        return [record for record in self.records if record.kind in kinds]

    def memo(self, key: str, build: Callable[["History"], T]) -> T:
        """What `build` makes of this history, made once."""
        if key not in self._memo:
            self._memo[key] = build(self)
        value: T = self._memo[key]
        return value

    @property
    def start(self) -> float:
        return self.records[0].t if self.records else 0.0

    @property
    def end(self) -> float:
        return self.records[-1].t if self.records else 0.0

    def _by_kind(self) -> Mapping[str, list[Record]]:
        def index(history: "History") -> Mapping[str, list[Record]]:
            kinds: dict[str, list[Record]] = defaultdict(list)
            for record in history.records:
                kinds[record.kind].append(record)
            return kinds

        return self.memo("kinds", index)


def read(path: Path) -> list[Record]:
    """The records of one file, its header first; a torn last line is dropped.

    Raises HarnessError if the file is no history, holds what is no record, or is of a schema version that this code
    does not know.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise HarnessError(f"{path} cannot be read ({exc.strerror}); give a history.jsonl of a run") from exc
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        found = _parsed(line)
        if found is None and number == len(lines):
            break
        if found is None:
            raise HarnessError(f"{path} line {number} is no record; give a history.jsonl of a run")
        if not records and found.kind != "history":
            break
        _know(found, path)
        if wrong := fault(found.t, found.kind, found.data, records[0].t if records else None):
            raise HarnessError(f"{path} line {number} {wrong}; give a history.jsonl of a run")
        records.append(found)
    if not records:
        raise HarnessError(f"{path} has no header; give a history.jsonl of a run")
    return records


def _parsed(line: bytes) -> Record | None:
    try:
        data = json.loads(line)
        return Record(data.pop("t"), data.pop("kind"), data)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _know(record: Record, path: Path) -> None:
    version = record.get("schema")
    if record.kind == "history" and (version != SCHEMA or type(version) is not int):
        raise HarnessError(
            f"{path} has schema version {version!r:.40} and this sse-harness knows {SCHEMA}; "
            "judge it with the version that wrote it"
        )


def merge(parts: Iterable[list[Record]]) -> History:
    """One history of several files' records; the part whose role is `run` leads and gives the header and clock."""
    ordered = sorted(parts, key=lambda part: part[0]["role"] != "run")
    if not ordered:
        return History(())
    lead = ordered[0][0]
    merged: list[Record] = []
    for part in ordered:
        head = part[0]
        shift = 0.0
        if head["boot"] != lead["boot"]:
            shift = (head["wall"] - head["mono"]) - (lead["wall"] - lead["mono"])
        merged += [Record(record.t + shift, record.kind, record.data, head["role"]) for record in part]
    return _of(merged)


def _of(merged: list[Record]) -> History:
    """The history of records on one clock, the leading header first."""
    first, *rest = merged
    errors = (_error(first, one) for one in merged if one.kind == "history" and one["boot"] != first["boot"])
    ordered = (first, *sorted(rest, key=lambda record: record.t))
    return History(ordered, first.data, max(errors, default=0.0))


def _error(lead: Record, other: Record) -> float:
    """How wrong the order between the records of two hosts can be, in seconds."""
    return sum(float(one.get("wall_error", WALL_ERROR)) for one in (lead, other))


def save(history: History, path: Path) -> None:
    """Write a merged history as one file, each record with the role of the process it came from.

    The file is there as a whole or not at all: half a history would be judged as if nothing else had happened.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        with unfinished.open("w", encoding="utf-8") as out:
            for record in history.records:
                line = {"t": record.t, "kind": record.kind, "role": record.role, **record.data}
                out.write(json.dumps(line, separators=(",", ":")) + "\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load(path: Path) -> History:
    """A merged history from the file that `save` wrote (or a single part). Raises HarnessError as `read` does."""
    records = read(path)
    role = records[0]["role"]
    return _of([Record(one.t, one.kind, one.data, one.get("role", role)) for one in records])
