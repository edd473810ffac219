"""What was published, channel by channel in the order of commitment, and sets of sequence numbers kept as ranges.

Theory.  seq is dense per (epoch, channel), so what a subscriber got is a few ranges however long the run, and a number
that is left out among those published is a record that we lack.  A server that uses an epoch again after a restart
publishes other payloads under names that exist: the digest tells them apart, and from the second payload on the epoch
gets a suffix, so that the accounts stay right and only ids are accused.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from harness.history import Record

SENTINEL: Final = "sentinel"


@dataclass(slots=True)
class Ranges:
    """A set of integers as sorted, disjoint, inclusive ranges."""

    lows: list[int] = field(default_factory=list)
    highs: list[int] = field(default_factory=list)

    def __contains__(self, n: int) -> bool:
        at = bisect_right(self.lows, n) - 1
        return at >= 0 and n <= self.highs[at]

    def add(self, low: int, high: int) -> int:
        """Add low..high; how many of them were there already."""
        if not self.highs or low > self.highs[-1] + 1:
            self.lows.append(low)
            self.highs.append(high)
            return 0
        if low == self.highs[-1] + 1:
            self.highs[-1] = high
            return 0
        return self._merge(low, high)

    def _merge(self, low: int, high: int) -> int:
        first, last = bisect_left(self.highs, low - 1), bisect_right(self.lows, high + 1)
        touched = list(zip(self.lows[first:last], self.highs[first:last], strict=True))
        known = sum(max(0, min(b, high) - max(a, low) + 1) for a, b in touched)
        self.lows[first:last] = [min([low, *(a for a, _ in touched)])]
        self.highs[first:last] = [max([high, *(b for _, b in touched)])]
        return known

    def within(self, low: int, high: int) -> int:
        """How many of low..high are in the set."""
        return sum(max(0, min(b, high) - max(a, low) + 1) for a, b in self._touching(low, high))

    def missing(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The ranges of low..high that are not in the set."""
        for a, b in self._touching(low, high):
            if low < a:
                yield low, a - 1
            low = b + 1
        if low <= high:
            yield low, high

    def _touching(self, low: int, high: int) -> list[tuple[int, int]]:
        first, last = bisect_left(self.highs, low), bisect_right(self.lows, high)
        return list(zip(self.lows[first:last], self.highs[first:last], strict=True))

    @property
    def top(self) -> int:
        return self.highs[-1] if self.highs else 0


@dataclass(frozen=True, slots=True)
class Publication:
    """One published event: committed not before `t` and not after `done` (the same where the server says when)."""

    channel: str
    owner: str | None
    epoch: str
    seq: int
    id: str
    type: str
    digest: str
    t: float
    done: float
    position: int
    number: int


@dataclass(slots=True)
class Publications:
    """All published events, by channel in the order of their commitment and by name."""

    by_channel: dict[str, list[Publication]] = field(default_factory=dict)
    by_name: dict[tuple[str, str, int], Publication] = field(default_factory=dict)
    types: set[str] = field(default_factory=set)
    count: int = 0
    _known: dict[tuple[str, str], Ranges] = field(default_factory=dict)
    _digests: dict[tuple[str, str, int], list[str]] = field(default_factory=dict)

    def feed(self, record: Record) -> None:
        """Take in one record of the kind `published`."""
        name = (str(record["epoch"]), str(record["channel"]), int(record["seq"]))
        digests = self._digests.setdefault(name, [])
        if record["digest"] in digests:
            return
        digests.append(str(record["digest"]))
        self._known.setdefault(name[:2], Ranges()).add(name[2], name[2])
        epoch, channel, seq = _nth(name, len(digests))
        row = self.by_channel.setdefault(channel, [])
        one = Publication(
            channel, record["owner"], epoch, seq, _text(record["id"]), str(record["type"]), digests[-1],
            record.t, float(record.get("done") or record.t), len(row), self.count,
        )  # fmt: skip
        row.append(one)
        self.by_name[epoch, channel, seq] = one
        self.types.add(one.type)
        self.count += 1

    def gaps(self) -> list[str]:
        """Of which numbers there is no record, though later ones of their channel were published."""
        return [
            f"{channel} of epoch {epoch}: no record of #{low} to #{high}"
            for (epoch, channel), known in self._known.items()
            for low, high in known.missing(1, known.top)
        ]

    def name(self, epoch: str, channel: str, seq: int, digest: str | None) -> tuple[str, str, int]:
        """The name under which this payload was published."""
        digests = self._digests.get((epoch, channel, seq), [])
        nth = digests.index(digest) + 1 if digest is not None and digest in digests else 1
        return _nth((epoch, channel, seq), nth)

    def differs(self, epoch: str, channel: str, seq: int, digest: str | None) -> bool:
        """Whether something else was published under this name, and never this payload."""
        digests = self._digests.get((epoch, channel, seq), [])
        return digest is not None and bool(digests) and digest not in digests

    def type_of(self, epoch: str, channel: str, seq: int) -> str | None:
        """The type of the event of this name; None if there is no such event, or more than one."""
        one = self.by_name.get((epoch, channel, seq))
        return one.type if one is not None and len(self._digests.get((epoch, channel, seq), ())) == 1 else None

    def slice(self, channel: str, after: float) -> list[Publication]:
        """The events of a channel whose commitment began later than a moment."""
        row = self.by_channel.get(channel, [])
        return row[bisect_right(row, after, key=lambda one: one.t) :]


def _nth(name: tuple[str, str, int], n: int) -> tuple[str, str, int]:
    return name if n == 1 else (f"{name[0]}#{n}", name[1], name[2])


def _text(value: Any) -> str:
    return "" if value is None else str(value)
