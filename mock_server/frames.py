"""Frames: what is written into an event stream, encoded once and then the same bytes for everybody."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from harness.eventstream import Comment, Event, Retry, encode

PRETTY_EVERY: Final = 4


class Frame(NamedTuple):
    """An event: its payload, and its bytes: `raw`, and `chunked` as one HTTP chunk; `number` is the n of its id."""

    number: int
    id: str
    owner: str | None
    channel: str
    seq: int
    type: str
    payload: Mapping[str, Any]
    raw: bytes
    chunked: bytes


def chunk(data: bytes) -> bytes:
    """The bytes as one chunk of an HTTP/1.1 body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame(
    number: int, payload: Mapping[str, Any], *, id: str, type: str, bare_lf: bool = False, nul_in_id: bool = False
) -> Frame:
    """The frame of a test event; every fourth one is pretty-printed, so that its data has several lines."""
    pretty = number % PRETTY_EVERY == 0
    text = json.dumps(payload, ensure_ascii=False, indent=1 if pretty else None)
    raw = encode(Event(type, text, id))
    if bare_lf:
        raw = f"id: {id}\nevent: {type}\ndata: {text}\n\n".encode()
    if nul_in_id:
        raw = raw.replace(b"id: ", b"id: \0", 1)
    channel, owner, seq = payload["channel"], payload["owner"], payload["seq"]
    return Frame(number, id, owner, channel, seq, type, payload, raw, chunk(raw))


def control(type: str, data: Mapping[str, Any], *, id: str = "") -> bytes:
    """The bytes of one of the server's own events (reset, dropped); they carry no id."""
    return encode(Event(type, json.dumps(data), id))


def heartbeat(id: str = "") -> bytes:
    """A heartbeat: a comment, without an id (a defect gives it one)."""
    return (f"id: {id}\n".encode() if id else b"") + encode(Comment("heartbeat"))


def retry(milliseconds: int) -> bytes:
    return encode(Retry(milliseconds))
