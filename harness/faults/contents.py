"""Faults of the contents: which events come, in what bytes, and what comes between them.

What is inserted is written here as literal bytes, never by our encoder.
"""

import json
from typing import Any, Final

from harness import testevent
from harness.faults.registry import chosen, fault, through
from harness.script import LARGEST, LineEnds, Script, Send, Stream, Wait

_BOM: Final = {
    "whole": (Send(b"\xef\xbb\xbf"),),
    "split": (Send(b"\xef"), Wait(0.02), Send(b"\xbb\xbf")),
    # The second is data: with it the line is a field that nobody knows.
    "twice": (Send(b"\xef\xbb\xbf\xef\xbb\xbf: a\n\n"),),
}
_INVALID: Final = {"data": b"event: notice\ndata: \xc3(\xff\n\n", "comment": b": \xc3(\xff\n\n"}


@fault
def dribble(script: Script, *, seconds: float = 0.001) -> Script:
    """Every byte comes alone, so many seconds after the one before."""
    return through(script, dribble=seconds)


@fault
def buffer(script: Script, *, seconds: float = 2.0) -> Script:
    """The stream is delivered in batches, one every so many seconds."""
    return through(script, buffer=seconds)


@fault
def bom(script: Script, *, kind: str = "whole") -> Script:
    """The body begins with a byte order mark: whole, split over two chunks, or twice."""
    sent = chosen(_BOM, kind, "kind")
    return tuple(part for step in script for part in ((*sent, step) if isinstance(step, Stream) else (step,)))


@fault
def line_ends(script: Script, *, ends: LineEnds = "mixed") -> Script:
    """Lines of events end with crlf, cr, lf, all three mixed, or CRLF split over two chunks."""
    return through(script, line_ends=ends)


@fault
def invalid_utf8(script: Script, *, where: str = "data", events: int = 0) -> Script:
    """After so many events come bytes that are no UTF-8, in the data of an event or in a comment."""
    return _inserted(script, chosen(_INVALID, where, "where"), events)


@fault
def giant(script: Script, *, size: int = 1_000_000, events: int = 0) -> Script:
    """After so many events comes one with so many bytes of data."""
    return through(script, insert=b"event: notice\ndata: ", insert_after=events, insert_fill=size)


@fault
def retry(script: Script, *, value: object = "0", events: int = 0) -> Script:
    """After so many events comes a `retry` field with this value: empty, negative, a fraction, huge, 0, no number."""
    return _inserted(script, f"retry: {value}\n\n".encode(), events)


@fault
def id(script: Script, *, value: object = "ünï-☃", length: int | None = None, events: int = 0) -> Script:
    """After so many events comes one with this id, repeated up to a length: of other scripts, blanks, NUL, empty."""
    text = str(value) if length is None else (str(value) * min(length, LARGEST))[:length]
    return _inserted(script, f"event: notice\nid: {text}\ndata: an id\n\n".encode(), events)


@fault
def duplicate(script: Script, *, every: int = 2) -> Script:
    """Every n-th event comes twice."""
    return through(script, duplicate=every)


@fault
def reorder(script: Script, *, every: int = 2) -> Script:
    """Every n-th event comes after the one that follows it."""
    return through(script, reorder=every)


@fault
def omit(script: Script, *, every: int = 2) -> Script:
    """Every n-th event is left out."""
    return through(script, omit=every)


@fault
def foreign(script: Script, *, user: str = "somebody-else", events: int = 0) -> Script:
    """After so many events comes one that belongs to another user."""
    return _inserted(script, _event(user, "foreign"), events)


@fault
def phantom(script: Script, *, events: int = 0) -> Script:
    """After so many events comes one that was never published."""
    return _inserted(script, _event(None, "phantom"), events)


def _event(user: str | None, epoch: str) -> bytes:
    """A test event without an id, so that a resume is not disturbed."""
    payload: dict[str, Any] = testevent.make(user, epoch=epoch, seq=1, at=0.0, body={"text": "a fault of the mock"})
    return b"event: notice\ndata: " + json.dumps(payload).encode() + b"\n\n"


def _inserted(script: Script, data: bytes, events: int) -> Script:
    return through(script, insert=data, insert_after=events, insert_fill=None)
