"""What a record may be: its kinds, the fields of each, and what is wrong with one that somebody else wrote.

A history may come from anywhere.  What would mislead every check or never end (a moment that is none, a kind or a field
that is missing, a run of events without an end) is refused when the file is read; the rest is for the checks, of which
one that stumbles knows nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

SCHEMA: Final = 1
LONGEST_RUN: Final = 31 * 86_400.0  # seconds; nothing in a history is further from its first record
LARGEST_SUMMARY: Final = 1_000_000  # events that one `sub.run` may stand for

# Every kind of record and the fields it must have.  Public and versioned with SCHEMA.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "history": ("schema", "role", "host", "boot", "pid", "mono", "wall"),
    # what was published
    "published": ("channel", "owner", "epoch", "seq", "id", "type", "digest", "at"),
    # what the server did
    "server.start": ("epoch",),
    "server.stop": ("how",),
    "server.fault": ("name", "state"),
    "server.stats": ("open", "slots", "rss", "descriptors", "tasks"),
    "conn.request": ("conn", "user", "method", "path", "headers", "last_event_id"),
    "conn.response": ("conn", "status", "headers"),
    "conn.resumed": ("conn", "after", "replayed", "reset"),
    "conn.sent": ("conn", "what"),
    "conn.end": ("conn", "by", "how", "bytes"),
    "flag.set": ("enabled",),
    # what the network did
    "net.fault": ("proxy", "fault", "state"),
    "net.open": ("proxy", "link"),
    "net.close": ("proxy", "link", "by", "how", "up", "down"),
    # what the client saw
    "sub.start": ("sub", "user", "options"),
    "sub.attempt": ("sub", "attempt", "last_event_id"),
    "sub.response": ("sub", "attempt", "status", "headers"),
    "sub.open": ("sub", "attempt"),
    "sub.event": ("sub", "attempt", "id", "type"),
    "sub.run": ("sub", "attempt", "channel", "epoch", "first", "last", "id", "since", "slowest", "types"),
    "sub.comment": ("sub", "attempt"),
    "sub.stirred": ("sub", "attempt"),
    "sub.retry": ("sub", "attempt", "retry_ms"),
    "sub.id": ("sub", "attempt", "id"),
    "sub.ignored": ("sub", "attempt", "line", "reason"),
    "sub.error": ("sub", "attempt", "reason"),
    "sub.end": ("sub", "attempt", "reason"),
    "sub.wait": ("sub", "attempt", "delay", "reason"),
    "sub.state": ("sub", "state"),
    "sub.token": ("sub",),
    "sub.poll": ("sub", "status", "events"),
    "sub.close": ("sub",),
    "sub.closed": ("sub", "reason"),
    "untold": ("sub", "channel", "fate", "count"),
    # what the run did
    "step": ("step", "state"),
    "probe": ("name", "status", "headers"),
    "probe.flag": ("name", "user", "status", "began"),
    "probe.rest": ("name", "user", "twin", "status", "digest", "began"),
    "drain": ("state",),
    "meter": ("label", "role", "rss", "descriptors", "sockets", "tasks"),
    "lag": ("worst",),
    "trouble": ("reason",),
}

_NUMBERS: Final = ("mono", "wall", "wall_error", "worst", "since", "slowest")
_LARGEST: Final = 1e12
_HEADER: Final[Mapping[str, type | tuple[type, ...]]] = {
    "role": str, "boot": str, "seed": int, "scenario": str, "checks": list, "target": Mapping, "client": Mapping,
    "promises": Mapping,
}  # fmt: skip


def fault(t: Any, kind: Any, data: Mapping[str, Any], start: float | None = None) -> str:
    """What is wrong with a record, as the end of a sentence that begins with its place; nothing if it may be judged.

    `start` is the moment of its file's first record.
    """
    if not isinstance(kind, str) or kind not in KINDS:
        return f"is of kind {kind!r:.40}, which this sse-harness does not know"
    if not _number(t):
        return f"has t = {t!r:.40}, which is no moment in seconds"
    if start is not None and abs(t - start) > LONGEST_RUN:
        return f"is of a moment {abs(t - start):.0f} s from that of the first record, and no run is so long"
    if missing := [name for name in KINDS[kind] if name not in data]:
        return f"lacks {', '.join(missing)}, which a record {kind} has"
    if wrong := [name for name in _NUMBERS if name in data and not _number(data[name])]:
        return f"has {wrong[0]} = {data[wrong[0]]!r:.40}, which is no number"
    match kind:
        case "history":
            return _of_header(data)
        case "sub.run":
            return _of_run(data["first"], data["last"], data["types"])
        case _:
            return ""


def _of_header(data: Mapping[str, Any]) -> str:
    wrong = [name for name, shape in _HEADER.items() if name in data and not isinstance(data[name], shape)]
    return f"is a header whose {wrong[0]} is {data[wrong[0]]!r:.40}" if wrong else ""


def _of_run(first: Any, last: Any, types: Any) -> str:
    if not (type(first) is int and type(last) is int and 0 <= last - first < LARGEST_SUMMARY):
        return f"stands for the events {first!r:.40} to {last!r:.40}, which are none or too many"
    counts = list(types.values()) if isinstance(types, Mapping) else []
    if any(type(count) is not int or count < 1 for count in counts) or sum(counts) != last - first + 1:
        return f"has types = {types!r:.40}, which do not count the events {first} to {last}"
    return ""


def _number(value: Any) -> bool:
    """A number that one can reckon with: a bool is none, nor is what JSON calls Infinity or writes with 400 digits."""
    return type(value) in (int, float) and -_LARGEST < value < _LARGEST
