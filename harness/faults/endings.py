"""Faults of the end: how and where a stream breaks off."""

from typing import Final, Literal

from harness.faults.registry import chosen, fault, until
from harness.script import Close, Cut, Finish, Reset, Script, Send, Silence, Stream

_BROKEN: Final = {
    "not-hex": b"xyz\r\n: a\n\r\n",
    "no-size": b"\r\n: a\n\r\n",
    "negative": b"-4\r\n: a\n\r\n",
    "too-long": b"ffffffffffffffffffffffff\r\n: a\n\r\n",
    "no-line-end": b"4\r\n: a\nXX4\r\n: b\n\r\n",
}


@fault
def rst(script: Script, *, events: int = 0, bytes: int | None = None) -> Script:
    """After so many events, or bytes of the body, the connection is reset."""
    return until(script, _after(events, bytes), Reset())


@fault
def fin(script: Script, *, events: int = 0, bytes: int | None = None, clean: bool = True) -> Script:
    """After so many events, or bytes of the body, the stream ends: cleanly, or with FIN but without the final chunk."""
    return until(script, _after(events, bytes), Finish() if clean else Close())


@fault
def cut_event(
    script: Script, *, at: Cut = "inside-data", events: int = 0, how: Literal["fin", "rst"] = "fin"
) -> Script:
    """After so many events the next is cut (after-id, inside-data, before-empty-line) and FIN or RST follows."""
    return until(script, Stream(events=events, cut=at), Reset() if how == "rst" else Close())


@fault
def unfinished_chunk(script: Script, *, events: int = 0) -> Script:
    """After so many events a chunk announces more bytes than come, and FIN follows."""
    return until(script, Stream(events=events), Send(b'64\r\ndata: {"un', raw=True), Close())


@fault
def broken_chunk(script: Script, *, kind: str = "not-hex", events: int = 0) -> Script:
    """After so many events a chunk is malformed: not-hex, no-size, negative, too-long, no-line-end; FIN follows."""
    return until(script, Stream(events=events), Send(chosen(_BROKEN, kind, "kind"), raw=True), Close())


@fault
def silence(script: Script, *, events: int = 0) -> Script:
    """After so many events nothing comes any more, not even heartbeats, and the connection stays."""
    return until(script, Stream(events=events), Silence())


def _after(events: int, bytes: int | None) -> Stream:
    return Stream(events=events) if bytes is None else Stream(cut_bytes=bytes)
